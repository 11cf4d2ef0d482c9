"""`node list`, `node show`, `node delete`: reading and removing the records."""

from typing import Any

import click

from appliance.main.cli.columns import NODE, RESULT
from appliance.main.cli.exits import Exit, combined, from_client, tell
from appliance.main.cli.frame import verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.moves import sure
from appliance.main.cli.targets import as_query, fetch, filter_option, missing, node_arguments, pick, yes_option
from appliance.main.client_errors import ApiError

Json = dict[str, Any]


@verb("rackwright node list -l state:available --sort name", data=True)
@filter_option
@click.option("--watch", is_flag=True, help="Then go on: a line for each node that changes.")
def list_(inv: Invocation, *, filters: tuple[str, ...], watch: bool) -> None:
    """List nodes. In a pipe: tab-separated, complete, written as pages arrive."""
    query = as_query(filters)
    if not watch:
        inv.show(NODE, inv.client().items("/v1/nodes", **query))
        return
    from appliance.main.cli.stream import latest, watch_nodes

    cursor = latest(inv)  # before the list, so that no change falls between the two
    inv.show(NODE, inv.client().items("/v1/nodes", **query))
    watch_nodes(inv, cursor, query)


@verb("rackwright node show n1 -o yaml", data=True)
@node_arguments(many=False)
@click.option("--inventory", is_flag=True, help="The hardware report of the last inspection instead.")
def show(inv: Invocation, *, node: str, inventory: bool) -> None:
    """Show everything that is known of one node."""
    from appliance.main.cli.columns import PLAIN

    if inventory:
        from appliance.main.cli.hardware import read_part

        inv.show_one(PLAIN, read_part(inv, node, "inventory"))
    else:
        inv.show_one(NODE, fetch(inv, node))


@verb("rackwright node delete n1 --yes", data=True)
@node_arguments(required=False)
@filter_option
@yes_option
def delete(inv: Invocation, *, nodes: tuple[str, ...], filters: tuple[str, ...], yes: bool, most: int) -> int:
    """Remove the records of nodes. The machines themselves are not touched."""
    from appliance.main.client import part

    refs = pick(inv, nodes, filters, most=most)
    sure(inv, "delete", refs, "the record and its history are removed", yes=yes)
    rows: list[Json] = []
    for ref in refs:
        try:
            inv.client().call("DELETE", f"/v1/nodes/{part(ref)}")
        except ApiError as error:
            failure = missing(inv, ref, error) if error.status == 404 else from_client(error)
            if len(refs) == 1:
                raise failure from error
            tell(failure, as_json=inv.style.is_json)
            rows.append({"name": ref, "result": "refused", "reason": failure.message, "exit_code": failure.exit_code})
        else:
            rows.append({"name": ref, "result": "deleted", "exit_code": Exit.OK})
    inv.show(RESULT, rows)
    return int(combined([row["exit_code"] for row in rows]))
