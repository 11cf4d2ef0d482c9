"""/v1/nodes/REF/power, boot-device, sensors …: what goes straight to the BMC. No transaction is open during a call."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, g
from sqlalchemy.orm import Session

from appliance.domain.access import Permission, may
from appliance.domain.errors import Invalid, Unauthenticated, Unavailable
from appliance.http.auth import allowed, bearer
from appliance.http.context import Context
from appliance.http.json_body import nothing, number, only, read_object, reply, stamp
from appliance.models import event
from appliance.models.node import Node
from appliance.services import nodes, power
from bmc import api
from bmc.errors import Unsupported
from bmc.types import BootDevice, BootOverride, PowerAction

CONSOLE_QUEUE = 4096
CONSOLE_LOOK_S = 5.0
"""How long who was logged out, or has lost the role, may go on to read."""
CONSOLES_AT_ONCE = 16


def places_at_once(threads: int) -> int:
    """How many requests may wait for BMCs: a rack of dead ones takes half of the door's threads at most."""
    return max(1, threads // 2)


def install(app: Flask, context: Context) -> None:
    places = threading.BoundedSemaphore(most) if (most := places_at_once(context.config.api.threads)) else None
    consoles = threading.BoundedSemaphore(CONSOLES_AT_ONCE)

    def guarded(permission: Permission) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Permission first; then a place, or 503 at once."""
        allow = allowed(context, permission)
        return lambda view: allow(lambda **arguments: _in_a_place(places, view, arguments))

    read, operate, stream = guarded(Permission.READ), guarded(Permission.OPERATE), allowed(context, Permission.OPERATE)
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
        ("PUT", "nmi", "nmi", operate(lambda ref: _nmi(context, ref))),
        ("GET", "console", "console", stream(lambda ref: _console(context, ref, consoles))),
    ]
    for method, path, name, view in routes:
        app.add_url_rule(f"/v1/nodes/<ref>/{path}", f"node_{name}", view, methods=[method])


def _in_a_place(places: threading.BoundedSemaphore | None, view: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    if places is None or not places.acquire(blocking=False):
        raise Unavailable("too many BMCs are being asked at once", next_step="try again")
    try:
        return view(**arguments)
    finally:
        places.release()


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
    with context.database.read() as session:
        node = nodes.fetch(session, ref)
        nodes.refuse_held(session, node, "its boot device is not yours now")
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


def _nmi(context: Context, ref: str) -> Response:
    only(read_object())
    with context.database.read() as session:
        node = nodes.fetch(session, ref)
        nodes.refuse_held(session, node, "it is not interrupted now")
    bmc = context.connect(node)
    if not isinstance(bmc, api.HasInterrupt):
        raise Unsupported("this driver cannot interrupt a machine")
    bmc.interrupt()
    _note(context, node.id, "NMI injected")
    return nothing()


def _console(context: Context, ref: str, consoles: threading.BoundedSemaphore) -> Response:
    """The serial console as a stream of bytes, until the client leaves, may not any more, or `seconds` are over."""
    seconds = number("seconds", default=3600, lowest=1, highest=86400)
    node = _node(context, ref)
    bmc = context.connect(node)
    if not isinstance(bmc, api.HasConsole):
        raise Unsupported("this driver has no serial console")
    received: queue.Queue[bytes] = queue.Queue(maxsize=CONSOLE_QUEUE)

    def _take(data: bytes) -> None:
        if not received.full():  # a slow reader loses bytes; the BMC's conversation is never held up
            received.put_nowait(data)

    if not consoles.acquire(blocking=False):
        raise Unavailable(f"{CONSOLES_AT_ONCE} consoles are open already", next_step="close one of them")
    try:
        _note(context, node.id, "serial console asked for")
        stream = bmc.open_console(_take)
    except BaseException:
        consoles.release()
        raise
    # Not in the generator: one that nobody began to read (a HEAD, a client that left) never ends.
    token = bearer()
    going_on = _bytes_of(stream, received, seconds, lambda: _may_read(context, token))
    response = Response(going_on, mimetype="application/octet-stream")
    response.call_on_close(stream.close)
    response.call_on_close(consoles.release)
    return response


def _may_read(context: Context, token: str) -> bool:
    """Does the token still open consoles?"""
    try:
        actor = context.tokens.find(token).actor
    except Unauthenticated:
        return False
    return actor.is_site_wide and may(actor.role, Permission.OPERATE)


def _bytes_of(
    stream: api.ConsoleStream, received: "queue.Queue[bytes]", seconds: int, may_read: Callable[[], bool]
) -> Iterator[bytes]:
    now = time.monotonic()
    ends, look_at = now + seconds, now + CONSOLE_LOOK_S
    while stream.is_open and (now := time.monotonic()) < ends:
        if now >= look_at:
            look_at = now + CONSOLE_LOOK_S
            if not may_read():
                return
        try:
            yield received.get(timeout=CONSOLE_LOOK_S)
        except queue.Empty:
            yield b"\0"  # terminals ignore it, and the server notices by it that the client has gone
