"""`subnet create|list|show|delete`: the networks that the appliance serves."""

import ipaddress
from typing import Any

import click

from appliance.main.cli.columns import LEASE, RESULT, SUBNET
from appliance.main.cli.complete import subnet_names
from appliance.main.cli.exits import usage
from appliance.main.cli.frame import seconds, verb
from appliance.main.cli.invocation import Invocation


@verb("rackwright subnet create rack1 --cidr 10.20.0.0/24 --pool 10.20.0.100-10.20.0.199 --interface eth1", data=True)
@click.argument("name")
@click.option("--cidr", required=True, metavar="NET/LEN", help="The network, such as 10.20.0.0/24.")
@click.option("--pool", required=True, metavar="A-B", help="First and last address to hand out.")
@click.option("--interface", required=True, metavar="IF", help="The appliance's interface on it.")
@click.option("--gateway", metavar="ADDRESS", help="Router that machines are told of; none unless said.")
@click.option("--domain", metavar="DNS", help="Domain of the machines' names.")
@click.option("--lease", metavar="DURATION", help="How long an address is lent, such as 1h.")
def create(
    inv: Invocation,
    *,
    name: str,
    cidr: str,
    pool: str,
    interface: str,
    gateway: str | None,
    domain: str | None,
    lease: str | None,
) -> None:
    """Serve DHCP, network boot and DNS on an interface."""
    body: dict[str, Any] = {
        "name": name, "cidr": cidr, "pool": _pool(pool, cidr), "interface": interface, "gateway": gateway,
        "domain": domain, "lease_s": None if lease is None else int(seconds(lease)),
    }  # fmt: skip
    given = {key: value for key, value in body.items() if value is not None}
    made = dict(inv.client().call("POST", "/v1/subnets", body=given).body or given)
    warning = made.pop("warning", None)
    inv.show_one(SUBNET, made)
    if warning:
        inv.note(f"warning: {warning}")
        inv.note("next: rackwright doctor, which says so when it is served")


def _pool(pool: str, cidr: str) -> str:
    """First and last address in canonical form; the appliance checks the rest."""
    start, dash, end = (word.strip() for word in pool.partition("-"))
    try:
        network = ipaddress.ip_network(cidr)
        first, last = ipaddress.ip_address(start), ipaddress.ip_address(end if dash else start)
    except ValueError as cause:
        raise usage(
            f"--cidr {cidr} --pool {pool} is not usable", why=str(cause),
            next_step="write --cidr 10.20.0.0/24 --pool 10.20.0.100-10.20.0.199",
        ) from cause  # fmt: skip
    if first not in network or last not in network or int(first) > int(last):
        raise usage(f"the pool {pool} does not lie in {cidr}, first address first")
    return f"{first}-{last}"


@verb("rackwright subnet list", data=True)
def list_(inv: Invocation) -> None:
    """List subnets."""
    inv.show(SUBNET, inv.client().items("/v1/subnets"))


@verb("rackwright subnet show rack1", data=True)
@click.argument("name", shell_complete=subnet_names)
def show(inv: Invocation, *, name: str) -> None:
    """Show one subnet."""
    from appliance.main.client import part

    inv.show_one(SUBNET, inv.client().get(f"/v1/subnets/{part(name)}"))


@verb("rackwright subnet delete rack1 --yes", data=True)
@click.argument("name", shell_complete=subnet_names)
@click.option("--yes", "-y", is_flag=True, help="Do not ask; needed where nobody can be asked.")
def delete(inv: Invocation, *, name: str, yes: bool) -> None:
    """Stop serving a subnet."""
    from appliance.main.client import part

    inv.confirm(f"delete subnet {name}: machines on it get no addresses any more", yes=yes)
    inv.client().call("DELETE", f"/v1/subnets/{part(name)}")
    inv.show(RESULT, [{"name": name, "result": "deleted", "exit_code": 0}])


@verb("rackwright subnet leases rack1", data=True)
@click.argument("name", required=False, shell_complete=subnet_names, metavar="[NAME]")
def leases(inv: Invocation, *, name: str | None) -> None:
    """List the addresses that are lent, of one subnet or of all."""
    found = inv.client().items("/v1/leases")
    inv.show(LEASE, (lease for lease in found if name in {None, lease.get("subnet")}))
