"""Which nodes a command means: names on the line, or a filter; and a suggestion for a name that is not there."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from appliance.main.cli.exits import Exit, Failure, from_client, usage
from appliance.main.cli.invocation import Invocation
from appliance.main.client_errors import ApiError, ClientError

Json = dict[str, Any]

FILTERS = ("state", "driver", "rack", "name", "mac")


def node_arguments(*, required: bool = True, many: bool = True) -> Callable[[Any], Any]:
    """`NODE…`: name, UUID, start of a UUID, or MAC address."""
    from appliance.main.cli.complete import node_names

    return click.argument(
        "nodes" if many else "node",
        nargs=-1 if many else 1,
        required=required,
        metavar="NODE..." if many else "NODE",
        shell_complete=node_names,
    )


def filter_option(function: Any) -> Any:
    """`-l KEY:VALUE`."""
    return click.option(
        "-l",
        "--filter",
        "filters",
        multiple=True,
        metavar="KEY:VALUE",
        help=f"Only nodes that match; KEY is one of {', '.join(FILTERS)}.",
    )(function)


def yes_option(function: Any) -> Any:
    """`--yes`, and the guard on filters."""
    function = click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where nobody can be asked.")(function)
    return click.option("--max", "most", type=click.IntRange(1), default=20, show_default=True, metavar="N",
                        help="Refuse when a filter matches more nodes.")(function)  # fmt: skip


def as_query(filters: Sequence[str]) -> dict[str, object]:
    """`state:available` (or with `=`) as query parameters."""
    query: dict[str, object] = {}
    for text in filters:
        for term in text.split(","):
            key, _, value = term.partition(":") if ":" in term.partition("=")[0] else term.partition("=")
            key = key.strip()
            if key not in FILTERS:
                from difflib import get_close_matches

                near = get_close_matches(key, FILTERS, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(FILTERS)}, as in state:available"
                raise usage(f"there is no filter {key!r}", next_step=hint)
            if not value.strip():
                raise usage(f"the filter {key!r} has no value", next_step=f"write {key}:VALUE")
            if key in query:
                raise usage(f"the filter {key!r} is given twice")
            query[key] = value.strip()
    return query


def pick(inv: Invocation, nodes: Sequence[str], filters: Sequence[str], *, most: int | None = None) -> list[str]:
    """The nodes meant, each once, in order. most: limit for nodes found by a filter."""
    if nodes and filters:
        raise usage("name nodes or give a filter, not both")
    if nodes:
        return list(dict.fromkeys(canonical(node) for node in nodes))
    if not filters:
        raise usage("no node is named", next_step="name nodes, or give a filter such as -l state:available")
    found = [str(node.get("name") or node["uuid"]) for node in inv.client().items("/v1/nodes", **as_query(filters))]
    if most is not None and len(found) > most:
        raise usage(
            f"the filter matches {len(found)} nodes, more than {most}",
            next_step=f"add --max {len(found)} if you mean it",
        )
    return found


def canonical(ref: str) -> str:
    """A MAC address however it is written, as the API writes it; anything else as it is."""
    if not re.fullmatch(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}", ref):
        return ref
    return ref.lower().replace("-", ":")


def fetch(inv: Invocation, ref: str) -> Json:
    """One node, or a failure that suggests names."""
    from appliance.main.client import part

    try:
        return inv.client().get(f"/v1/nodes/{part(canonical(ref))}")
    except ApiError as error:
        raise missing(inv, ref, error) from error


def missing(inv: Invocation, ref: str, error: ClientError) -> Failure:
    """The failure for this error; when the node is not there, with names that are like it."""
    failure = from_client(error)
    if failure.exit_code is Exit.NOT_FOUND and ref in failure.message:  # and not, say, the image of a deploy
        near = _like(inv, ref)
        if near:
            failure.next_step = f"did you mean {' or '.join(near)}?"
        elif not failure.next_step:
            failure.next_step = "rackwright node list"
    return failure


def _like(inv: Invocation, ref: str) -> list[str]:
    from difflib import get_close_matches

    try:
        page = next(iter(inv.client().pages("/v1/nodes")), [])
    except ClientError:
        return []  # a suggestion is a courtesy; the failure itself is told anyway
    names = [str(node["name"]) for node in page if node.get("name") and node["name"] != ref]
    return get_close_matches(ref, names, n=3, cutoff=0.6)
