"""/v1/nodes/REF/power, boot-device, sensors …: what goes straight to the BMC. No transaction is open during a call."""

import queue
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, g, request
from sqlalchemy.orm import Session

from appliance.domain.access import Permission
from appliance.domain.errors import Invalid
from appliance.http.auth import allowed
from appliance.http.context import Context
from appliance.http.json_body import nothing, only, read_object, reply, stamp
from appliance.models import event
from appliance.models.node import Node
from appliance.services import nodes, power
from bmc import api
from bmc.errors import Unsupported
from bmc.types import BootDevice, BootOverride, PowerAction

CONSOLE_QUEUE = 4096
CONSOLE_IDLE_S = 15.0


def install(app: Flask, context: Context) -> None:
    read, operate = allowed(context, Permission.READ), allowed(context, Permission.OPERATE)
    routes: list[tuple[str, str, str, Callable[..., Any]]] = [
        ("GET", "power", "power_show", read(lambda ref: _power(context, ref))),
        ("PUT", "power", "power_set", operate(lambda ref: _set_power(context, ref))),
        ("GET", "boot-device", "boot_show", read(lambda ref: _boot_device(context, ref))),
        ("PUT", "boot-device", "boot_set", operate(lambda ref: _set_boot_device(context, ref))),
        ("GET", "sensors", "sensors", read(lambda ref: _sensors(context, ref))),
        ("GET", "sel", "sel", read(lambda ref: _sel(context, ref))),
        ("GET", "fru", "fru", read(lambda ref: _fru(context, ref))),
        ("GET", "bmc", "bmc", read(lambda ref: _bmc(context, ref))),
        ("PUT", "identify", "identify", operate(lambda ref: _identify(context, ref))),
        ("GET", "console", "console", operate(lambda ref: _console(context, ref))),
    ]
    for method, path, name, view in routes:
        app.add_url_rule(f"/v1/nodes/<ref>/{path}", f"node_{name}", view, methods=[method])


def _node(context: Context, ref: str) -> Node:
    with context.database.read() as session:
        return nodes.fetch(session, ref)


def _power(context: Context, ref: str) -> Response:
    node = _node(context, ref)
    state = context.connect(node).power_state()
    return reply({"power_state": state.value, "observed_at": stamp(context.clock())})


def _set_power(context: Context, ref: str) -> Response:
    wanted = only(read_object(), "target").get("target")
    try:
        action = PowerAction(str(wanted))
    except ValueError as cause:
        raise Invalid(
            f"target {str(wanted)[:40]!r} is unknown", next_step="on, off, soft-off, reset or cycle"
        ) from cause
    with context.database.write() as session:
        node = nodes.fetch(session, ref)
        power.ask(session, node, action, actor=g.actor.name, now=context.clock())
        node_id, label = node.id, node.label
    context.background.submit(power.carry_out, context.database, context.connect, node_id, action, context.clock)
    return reply({"node": label, "target": action.value}, 202)


def _boot_device(context: Context, ref: str) -> Response:
    override = context.connect(_node(context, ref)).boot_override()
    return reply({"device": override.device.value, "persistent": override.persistent, "uefi": override.is_uefi})


def _set_boot_device(context: Context, ref: str) -> Response:
    body = only(read_object(), "device", "persistent", "uefi")
    try:
        device = BootDevice(str(body.get("device")))
    except ValueError as cause:
        raise Invalid("device is unknown", next_step="none, pxe, disk, cdrom or bios") from cause
    node = _node(context, ref)
    is_uefi = body.get("uefi", node.boot_mode == "uefi")
    persistent = body.get("persistent", False)
    if not isinstance(is_uefi, bool) or not isinstance(persistent, bool):
        raise Invalid("persistent and uefi are true or false")
    context.connect(node).set_boot_override(BootOverride(device=device, persistent=persistent, is_uefi=is_uefi))
    _note(context, node.id, f"boot device {device.value}{' (persistent)' if persistent else ' (once)'}")
    return nothing()


def _note(context: Context, node_id: int, text: str) -> None:
    def _write(session: Session) -> None:
        event.record(session, at=context.clock(), kind="bmc.set", actor=g.actor.name, node_id=node_id, message=text)

    with context.database.write() as session:
        _write(session)


def _sensors(context: Context, ref: str) -> Response:
    bmc = context.connect(_node(context, ref))
    if not isinstance(bmc, api.HasSensors):
        raise Unsupported("this driver has no sensors")
    items = [
        {"name": s.name, "kind": s.kind, "value": s.value, "unit": s.unit, "health": s.health} for s in bmc.sensors()
    ]
    return reply({"items": items, "next": None})


def _sel(context: Context, ref: str) -> Response:
    bmc = context.connect(_node(context, ref))
    if not isinstance(bmc, api.HasEventLog):
        raise Unsupported("this driver has no event log")
    items = [
        {"record_id": e.record_id, "at_s": e.at_s, "sensor": e.sensor, "event": e.event, "severity": e.severity}
        for e in bmc.event_log()
    ]
    return reply({"items": items, "next": None})


def _fru(context: Context, ref: str) -> Response:
    bmc = context.connect(_node(context, ref))
    if not isinstance(bmc, api.HasFru):
        raise Unsupported("this driver has no FRU data")
    return reply(bmc.fru())


def _bmc(context: Context, ref: str) -> Response:
    bmc = context.connect(_node(context, ref))
    if not isinstance(bmc, api.HasIdentity):
        raise Unsupported("this driver has no BMC to ask")
    info, lan = bmc.info(), bmc.lan()
    return reply(
        {
            "firmware_version": info.firmware_version, "ipmi_version": info.ipmi_version,
            "manufacturer_id": info.manufacturer_id, "product_id": info.product_id, "guid": info.guid,
            "cipher_suite": info.cipher_suite, "address": lan.address, "netmask": lan.netmask, "gateway": lan.gateway,
            "mac": lan.mac, "source": lan.source,
        }
    )  # fmt: skip


def _identify(context: Context, ref: str) -> Response:
    seconds = only(read_object(), "seconds").get("seconds", 15)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= 255:
        raise Invalid("seconds is a number from 0 to 255")
    bmc = context.connect(_node(context, ref))
    if not isinstance(bmc, api.HasIdentify):
        raise Unsupported("this driver has no identify light")
    bmc.identify(on_s=seconds)
    return nothing()


def _console(context: Context, ref: str) -> Response:
    """The serial console as a stream of bytes, from now until the client leaves or `seconds` are over."""
    seconds = request.args.get("seconds", "3600")
    if not seconds.isdigit() or not 1 <= int(seconds) <= 86400:
        raise Invalid("seconds is a number from 1 to 86400")
    node = _node(context, ref)
    bmc = context.connect(node)
    if not isinstance(bmc, api.HasConsole):
        raise Unsupported("this driver has no serial console")
    received: queue.Queue[bytes] = queue.Queue(maxsize=CONSOLE_QUEUE)

    def _take(data: bytes) -> None:
        if not received.full():  # a slow reader loses bytes; the BMC's conversation is never held up
            received.put_nowait(data)

    stream = bmc.open_console(_take)
    _note(context, node.id, "serial console opened")
    return Response(_bytes_of(stream, received, context, int(seconds)), mimetype="application/octet-stream")


def _bytes_of(
    stream: api.ConsoleStream, received: "queue.Queue[bytes]", context: Context, seconds: int
) -> Iterator[bytes]:
    start = context.clock()
    try:
        while stream.is_open and (context.clock() - start).total_seconds() < seconds:
            try:
                yield received.get(timeout=CONSOLE_IDLE_S)
            except queue.Empty:
                yield b""  # lets the server notice that the client has gone
    finally:
        stream.close()
