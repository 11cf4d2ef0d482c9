"""`flow list` and `flow show`: work in progress."""

import click

from appliance.main.cli.columns import FLOW, STEP
from appliance.main.cli.frame import verb
from appliance.main.cli.invocation import Invocation


@verb("rackwright flow list --all", data=True)
@click.option("--all", "everything", is_flag=True, help="Ended work too.")
def list_(inv: Invocation, *, everything: bool) -> None:
    """List the work that is going on: its step, what it waits for, and until when."""
    inv.show(FLOW, inv.client().items("/v1/flows", state="all" if everything else "active"))


@verb("rackwright flow show 7d0c1a2b -o json", data=True)
@click.argument("flow", metavar="FLOW")
def show(inv: Invocation, *, flow: str) -> None:
    """Show one piece of work: its steps, its wait and its deadline."""
    from appliance.main.client import part

    found = inv.client().get(f"/v1/flows/{part(flow)}")
    if inv.style.fields or inv.style.format in {"json", "jsonl", "yaml", "csv", "name"}:
        inv.show_one(FLOW, found)
        return
    steps = found.pop("steps", None) or []
    inv.show_one(FLOW, found)
    print()
    inv.show(STEP, steps)
