"""`node enroll` and `node set`: one machine from the line, or many from a CSV file."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from appliance.domain import names
from appliance.domain.errors import Invalid
from appliance.main.cli import nodefile
from appliance.main.cli.columns import ENROLLED, NODE
from appliance.main.cli.exits import Exit, Failure, from_client, usage
from appliance.main.cli.frame import file_option, verb
from appliance.main.cli.invocation import Invocation, read_secret
from appliance.main.cli.targets import fetch, node_arguments
from appliance.main.client_errors import ApiError

Json = dict[str, Any]

BATCH = 200
_BOOLEANS = {"true": True, "false": False}
_TAKEN = frozenset({"conflict", "exists", "duplicate", "taken"})


def _traits(function: Any) -> Any:
    """The options that describe a machine."""
    for option in reversed(
        (
            click.option("--driver", metavar="DRIVER", help="ipmi, redfish, manual or fake."),
            click.option(
                "--driver-option",
                "driver_options",
                multiple=True,
                metavar="KEY=VALUE",
                help="What the driver wants to know; of redfish: fingerprint, verify_ca, system.",
            ),
            click.option("--bmc", metavar="ADDRESS[:PORT]", help="Where its BMC is."),
            click.option("--username", metavar="NAME", help="Who logs in to the BMC."),
            file_option("--password-file", help_text="The BMC password; first line of FILE, - for standard input."),
            click.option("--mac", "macs", multiple=True, metavar="MAC", help="A network port; may be repeated."),
            click.option("--boot-mode", type=click.Choice(["bios", "uefi"]), help="How it boots."),
            click.option("--resource-class", metavar="NAME", help="What kind of machine it is."),
            click.option("--rack", metavar="NAME", help="Its rack."),
            click.option("--unit", "rack_unit", type=click.IntRange(1, 100), metavar="U", help="Its lowest rack unit."),
            click.option("--property", "properties", multiple=True, metavar="KEY=VALUE", help="Any fact about it."),
        )
    ):
        function = option(function)
    return function


@verb(
    "rackwright node enroll n1 --driver ipmi --bmc 10.0.0.5 --username admin --password-file bmc.pw "
    "--mac 52:54:00:12:34:56",
    data=True,
)
@click.argument("name", required=False)
@_traits
@file_option("--file", help_text="CSV of machines, - for standard input; see below.")
@click.option("--check", is_flag=True, help="With --file: report only, enroll nothing.")
def enroll(inv: Invocation, *, name: str | None, file: Path | None, check: bool, **traits: Any) -> int:
    """Add a machine by hand, or complete one that was found booting from the network.

    --file reads a CSV whose first row names the columns: name, driver, bmc_address, bmc_udp_port, bmc_username,
    bmc_password, macs, boot_mode, resource_class, rack, rack_unit. Commas, semicolons or tabs; UTF-8, UTF-16 or Windows
    text. Every bad line is reported with its number; good ones are enrolled, and never twice.
    """
    if (name is None) == (file is None):
        raise usage("give a NAME, or --file with many machines", next_step="rackwright node enroll --help")
    if file is not None:
        return _enroll_file(inv, file, traits, check=check)
    if check:
        raise usage("--check goes with --file")
    body = {"name": name, "driver": traits["driver"] or "ipmi", **_described(inv, traits, is_new=True)}
    inv.show_one(NODE, _create(inv, body))
    return 0


@verb("rackwright node set n1 --bmc 10.0.0.5 --username admin --password-file bmc.pw", data=True)
@node_arguments(many=False)
@_traits
@click.option("--name", "new_name", metavar="NAME", help="A new name.")
def set_(inv: Invocation, *, node: str, new_name: str | None, **traits: Any) -> None:
    """Change what is recorded of a node: its BMC and password, its ports, its place."""
    from appliance.main.client import part

    body = _described(inv, traits, is_new=False)
    for key, value in (("name", new_name), ("driver", traits["driver"])):
        if value:
            body[key] = value
    if not body:
        raise usage("nothing to change is named", next_step="rackwright node set --help")
    found = fetch(inv, node)
    inv.show_one(
        NODE, inv.client().call("PATCH", f"/v1/nodes/{part(str(found['uuid']))}", body=_over(found, body)).body
    )


def _described(inv: Invocation, traits: Mapping[str, Any], *, is_new: bool) -> Json:
    """The API's body for what the options say."""
    body: Json = {key: traits[key] for key in ("boot_mode", "resource_class", "rack", "rack_unit") if traits[key]}
    try:
        macs = [names.mac(mac) for mac in traits["macs"]]
    except Invalid as error:
        raise usage(error.message, why=error.why, next_step=error.next_step) from error
    if macs:
        body["macs"] = macs
    if traits["properties"]:
        body["properties"] = dict(_pair(text, "--property") for text in traits["properties"])
    if traits["driver_options"]:
        options = dict(_pair(text, "--driver-option") for text in traits["driver_options"])
        body["driver_options"] = {key: _BOOLEANS.get(value.lower(), value) for key, value in options.items()}
    bmc = _bmc(inv, traits, is_new=is_new)
    if bmc:
        body["bmc"] = bmc
    return body


def _bmc(inv: Invocation, traits: Mapping[str, Any], *, is_new: bool) -> Json:
    bmc: Json = {}
    if traits["bmc"]:
        bmc["address"], udp_port = _endpoint(traits["bmc"])
        if udp_port is not None:
            bmc["udp_port"] = udp_port
    if traits["username"]:
        bmc["username"] = traits["username"]
    file: Path | None = traits["password_file"]
    needs_one = is_new and bool(traits["username"]) and (traits["driver"] or "ipmi") == "ipmi"
    if file is not None or (needs_one and inv.can_ask()):
        bmc["password"] = inv.password("BMC password", file, option="--password-file")
    return bmc


def _endpoint(text: str) -> tuple[str, int | None]:
    """`10.0.0.5`, `10.0.0.5:6230`, `[fd00::5]:623`, `fd00::5`, `bmc1.example`."""
    host, port = text, ""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        return nodefile.bmc_address(host), int(port) if port else None
    except (Invalid, ValueError) as cause:
        raise usage(
            f"--bmc {text[:80]!r} is not the address of a BMC", next_step="write 10.0.0.5 or 10.0.0.5:623"
        ) from cause


def _pair(text: str, option: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise usage(f"{option} {text[:80]!r} is not KEY=VALUE")
    return key, value


def _create(inv: Invocation, body: Json) -> Json:
    """POST; and when a machine that was found by itself already has this MAC, complete its record instead."""
    try:
        return dict(inv.client().call("POST", "/v1/nodes", body=body).body)
    except ApiError as error:
        found = _found_before(inv, body) if error.status == 409 else None
        if found is None:
            raise from_client(error) from error
    from appliance.main.client import part

    inv.note(f"completing {found.get('name') or found['uuid']}, which booted from the network before")
    changes = _over(found, body)
    changes["macs"] = list(dict.fromkeys([*(found.get("macs") or []), *body["macs"]]))
    return dict(inv.client().call("PATCH", f"/v1/nodes/{part(str(found['uuid']))}", body=changes).body)


def _over(node: Json, body: Json) -> Json:
    """A change in which the parts of `bmc` that were not named keep their value: the API replaces `bmc` as a whole."""
    if "bmc" not in body:
        return body
    kept = {key: value for key, value in (node.get("bmc") or {}).items() if key in {"address", "udp_port", "username"}}
    return {**body, "bmc": {key: value for key, value in {**kept, **body["bmc"]}.items() if value is not None}}


def _found_before(inv: Invocation, body: Json) -> Json | None:
    """A node in `enroll` that has one of these MACs and whose BMC nobody could log in to yet."""
    from appliance.main.client import part

    for mac in body.get("macs") or []:
        try:
            node = inv.client().get(f"/v1/nodes/{part(mac)}")
        except ApiError:
            continue
        bmc = node.get("bmc") or {}
        if node.get("provision_state") == "enroll" and not (bmc.get("username") and bmc.get("password")):
            return node
    return None


def _enroll_file(inv: Invocation, file: Path, traits: Mapping[str, Any], *, check: bool) -> int:
    given = [
        key for key in ("bmc", "macs", "rack", "rack_unit", "boot_mode", "resource_class", "properties") if traits[key]
    ]
    if given:
        raise usage(f"{given[0]} is a matter of each line of --file", next_step="make it a column of the file")
    password = read_secret(traits["password_file"]) if traits["password_file"] else None
    defaults = nodefile.Defaults(driver=traits["driver"] or "ipmi", username=traits["username"], password=password)
    found = nodefile.read(_bytes_of(file), defaults)
    if found.encoding == "cp1252":
        inv.note("the file is not UTF-8; read as Windows text")
    rows: list[Json] = [
        {"line": bad.line, "name": bad.name or None, "result": "bad", "reason": bad.reason} for bad in found.problems
    ]
    rows += _send(inv, found.machines, check=check)
    rows.sort(key=lambda row: row["line"])
    inv.show(ENROLLED, rows)
    return _summary(inv, rows, check=check)


def _bytes_of(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(nodefile.LARGEST + 1)
        with file.open("rb") as stream:
            return stream.read(nodefile.LARGEST + 1)
    except OSError as cause:
        raise usage(f"{file} cannot be read", why=str(cause.strerror or cause)) from cause


def _send(inv: Invocation, machines: Sequence[nodefile.Machine], *, check: bool) -> Iterator[Json]:
    """A row per machine. What broke off in the middle is told by the failure; running again goes on from there."""
    known: Callable[[str], Json | None] = _Known(inv)
    for start in range(0, len(machines), BATCH):
        batch = machines[start : start + BATCH]
        request = {"nodes": [machine.body for machine in batch], "check": check}
        try:
            answer = inv.client().call("POST", "/v1/nodes/bulk", body=request, timeout_s=300).body
        except ApiError as error:
            raise from_client(error) from error
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list) or len(items) != len(batch):
            raise Failure("the appliance's answer does not fit the lines sent", why="it has another number of items")
        for machine, item in zip(batch, items, strict=True):
            yield _row(machine, item, known, check=check)
        if len(machines) > BATCH:
            inv.note(f"{start + len(batch)} of {len(machines)} lines sent")


class _Known:
    """Nodes by name, read once and only if a name turns out to be taken."""

    def __init__(self, inv: Invocation) -> None:
        self._inv = inv
        self._nodes: dict[str, Json] | None = None

    def __call__(self, name: str) -> Json | None:
        if self._nodes is None:
            self._nodes = {str(node.get("name")): node for node in self._inv.client().items("/v1/nodes")}
        return self._nodes.get(name)


def _row(machine: nodefile.Machine, item: Json, known: Callable[[str], Json | None], *, check: bool) -> Json:
    row: Json = {"line": machine.line, "name": machine.name}
    node = item.get("node") if isinstance(item.get("node"), dict) else None
    if item.get("ok"):
        done = "already enrolled" if item.get("existing") else "would enroll" if check else "enrolled"
        return {**row, "result": done, "reason": None, "uuid": node.get("uuid") if node else None}
    error = item.get("error")
    words = error if isinstance(error, dict) else {"message": error}
    if str(words.get("code")) in _TAKEN and (same := known(machine.name)) and _is_same(machine.body, same):
        return {**row, "result": "already enrolled", "reason": None, "uuid": same.get("uuid")}
    told = [str(words[key]) for key in ("message", "why") if words.get(key)]
    return {**row, "result": "bad", "reason": _without_secret("; ".join(told) or "refused", machine.body)}


def _is_same(body: Json, node: Json) -> bool:
    """Whether the node is what this line enrolled before: nothing that identifies the machine differs."""
    own, other = body.get("bmc") or {}, node.get("bmc") or {}
    same_bmc = not own or (own.get("address"), own.get("udp_port", 623)) == (
        other.get("address"),
        other.get("udp_port") or 623,
    )
    return same_bmc and set(body.get("macs") or []) <= set(node.get("macs") or [])


def _without_secret(text: str, body: Json) -> str:
    secret = (body.get("bmc") or {}).get("password")
    return text.replace(secret, "******") if secret else text


def _summary(inv: Invocation, rows: Sequence[Json], *, check: bool) -> int:
    bad = [row for row in rows if row["result"] == "bad"]
    already = sum(row["result"] == "already enrolled" for row in rows)
    good = len(rows) - len(bad) - already
    if inv.style.format == "name":
        for row in bad:
            inv.note(f"line {row['line']}: {row['reason']}")
    inv.note(
        f"{good} {'would be enrolled' if check else 'enrolled'}, {already} already there, {len(bad)} bad "
        f"line{'' if len(bad) == 1 else 's'}"
    )
    if not bad:
        return int(Exit.OK)
    return int(Exit.PARTIAL if good + already else Exit.USAGE)
