"""`event list`: the event log."""

import sys
from dataclasses import replace

import click

from appliance.main.cli.columns import EVENT
from appliance.main.cli.complete import node_names
from appliance.main.cli.frame import verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.output import show_list


@verb("rackwright event list --node n1 --follow", data=True)
@click.option("--node", metavar="NODE", shell_complete=node_names, help="Of one node only.")
@click.option(
    "--after", type=click.IntRange(0), metavar="ID", help="The first ones after this one, instead of the newest."
)
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
@click.option(
    "--follow", "--watch", is_flag=True, help="Then go on with each event as it happens; JSON lines with -o json."
)
def list_(inv: Invocation, *, node: str | None, after: int | None, limit: int, follow: bool) -> None:
    """List events: every exchange, decision, change of state and act of an operator."""
    which: dict[str, object] = {"last": limit} if after is None else {"after": after, "limit": limit}
    answer = inv.client().get("/v1/events", node=node, **which)
    items = [item for item in answer.get("items") or [] if isinstance(item, dict)]
    if not follow:
        inv.show(EVENT, items)
        return
    from appliance.main.cli.stream import follow as go_on

    form = "jsonl" if inv.style.is_json else inv.style.format if inv.style.format in {"csv", "name"} else "plain"
    style = replace(inv.style, chosen=form)
    show_list(style, EVENT, items)
    sys.stdout.flush()
    style = replace(style, headers=False)
    for event in go_on(inv, answer.get("next") or 0, node=node):
        show_list(style, EVENT, [event])
        sys.stdout.flush()
