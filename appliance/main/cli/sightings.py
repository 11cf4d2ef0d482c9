"""`sighting list` and `sighting delete`: machines that booted from the network and that no node claims."""

import click

from appliance.main.cli.columns import RESULT, SIGHTING
from appliance.main.cli.frame import verb
from appliance.main.cli.invocation import Invocation


@verb("rackwright sighting list", data=True)
def list_(inv: Invocation) -> None:
    """List unknown machines. Make one a node with `rackwright node enroll NAME --mac MAC …`."""
    inv.show(SIGHTING, inv.client().items("/v1/sightings"))


@verb("rackwright sighting delete 52:54:00:12:34:56", data=True)
@click.argument("macs", nargs=-1, required=True, metavar="MAC...")
def delete(inv: Invocation, *, macs: tuple[str, ...]) -> None:
    """Forget a machine; it comes back when it boots again."""
    from appliance.main.client import part

    for mac in macs:
        inv.client().call("DELETE", f"/v1/sightings/{part(mac)}")
    inv.show(RESULT, ({"name": mac, "result": "deleted", "exit_code": 0} for mac in macs))
