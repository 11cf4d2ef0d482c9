"""The control process: the HTTP doors, the step engine and the reconcilers, until SIGTERM."""

import gc
import logging
import signal
import sys
import threading
from pathlib import Path

from flask import Flask

from agent import wire
from appliance.config import Config
from appliance.domain.clock import system_clock
from appliance.domain.values import endpoint
from appliance.http import app
from appliance.http.native import nodes as native_nodes
from appliance.http.server import BODY_BYTES, Server, TlsServer, UnixServer
from appliance.http.turn import Turn
from appliance.main import wiring
from appliance.services import certificate_names, image_recovery, image_store, tls
from webui import console
from webui.site import Site

log = logging.getLogger(__name__)

INTERNAL_BODY = 4 * 1024 * 1024
GC_THRESHOLDS = 20_000, 10, 10
"""A page of nodes makes 20,000 objects and no rubbish; looking for it 30 times meanwhile costs a tenth of it all."""
SWITCH_S = 0.0005
"""A request waits its turn for the interpreter several times; at 5 ms each, the slowest of eight waited for 100 ms."""
CONFIG_DRIVE_BODY = 64 * 1024 * 1024
_BRINGS_DRIVE = tuple(f"/{verb}" for verb in native_nodes.VERBS)
DOOR_GRACE_S, ENGINE_GRACE_S = 2.0, 4.0


def run(state: Path, *, listen: str | None = None, roles: frozenset[str] = frozenset({"api", "worker"})) -> int:
    """Serve until asked to stop; 0 after a clean stop. roles: `api` (the doors) and `worker` (engine, reconcilers)."""
    config = Config.load(state)
    control = wiring.build(config, system_clock)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    servers = _doors(control, listen) if "api" in roles else []
    for server in servers:
        server.start()
    control.background.submit(_go_on_importing, control)
    if "worker" in roles:
        control.engine.start()
        control.loop.start()
    gc.collect()
    gc.freeze()  # what start-up made stays: later collections need not look at it again
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    log.info("control ready roles=%s", ",".join(sorted(roles)))
    stopping.wait()
    _stop(control, servers, roles)
    return 0


def _go_on_importing(control: wiring.Control) -> None:
    """What this appliance's last process had in hand, whoever does the rest of the work."""
    context = control.context
    for left in image_recovery.recover(context.images, context.database, context.vault, context.clock):
        with control.imports.place(left.one, is_bounded=False) as submit:
            submit(left.work)


def _doors(control: wiring.Control, listen: str | None) -> list[Server]:
    config = control.config
    operator_listen = endpoint(listen) if listen else config.api.listen
    operators = tls.ServerContexts(
        config.state, certificate_names.of(config) | {operator_listen.host}, clock=system_clock
    )
    agents = tls.ServerContexts(config.state, tls.local_addresses(), clock=system_clock, name="agents")
    return [
        TlsServer(
            _operators(control), operator_listen, operators.context_for, name="api",
            threads=config.api.threads, body_limit=_operator_limit, turn=Turn(),
        ),
        TlsServer(
            app.agent_app(control.context), config.agent.listen, agents.context_for, name="agents",
            threads=config.agent.threads, body_limit=lambda _method, _path: wire.MAX_BODY_BYTES,
        ),
        UnixServer(
            app.internal_app(control.context), config.places.control_socket,
            body_limit=lambda _method, _path: INTERNAL_BODY,
        ),
    ]  # fmt: skip


def _operators(control: wiring.Control) -> Flask:
    """The operators' API and the console, on one address."""
    context = control.context
    operators = app.operator_app(context)
    site = Site(
        database=context.database, vault=context.vault, images=context.images, clock=context.clock,
        tokens=context.tokens, doctor=context.doctor, connect=context.connect,
        background=context.background, import_waits_for=context.imports.waits_for,
        power_fresh_s=3 * control.config.bmc.sweep_interval_s,
    )  # fmt: skip
    operators.register_blueprint(console.blueprint(site))
    return operators


def _operator_limit(method: str, path: str) -> int:
    """Image bytes may be large, and a config-drive that comes with a deploy; nothing else."""
    is_ours = path.startswith("/v1/images/") and path.endswith("/file")
    is_glance = path.startswith("/image/v2/images/") and path.endswith(("/file", "/stage"))
    is_upload = method == "PUT" and (is_ours or is_glance)
    if path.startswith("/baremetal/v1/nodes/") and path.rstrip("/").endswith("/states/provision"):
        return CONFIG_DRIVE_BODY
    if method == "POST" and path.startswith("/v1/nodes/") and path.endswith(_BRINGS_DRIVE):
        return native_nodes.MAX_WISH
    return image_store.MAX_UPLOAD if is_upload else BODY_BYTES


def _stop(control: wiring.Control, servers: list[Server], roles: frozenset[str]) -> None:
    """No new requests, then no new steps; what was committed goes on at the next start."""
    closing = [threading.Thread(target=server.stop, kwargs={"grace_s": DOOR_GRACE_S}) for server in servers]
    for thread in closing:  # together: the supervisor waits only so long
        thread.start()
    for thread in closing:
        thread.join()
    if "worker" in roles:
        control.loop.stop(within_s=1.0)
        control.engine.stop(within_s=ENGINE_GRACE_S)
    control.background.shutdown(wait=False, cancel_futures=True)
    control.imports.shutdown()
    control.connections.close()
    control.database.dispose()
    log.info("control stopped")
