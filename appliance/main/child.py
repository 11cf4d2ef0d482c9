"""The entry of a child process: `python -P -m appliance.main.child control|netboot …`, started by the supervisor only.

Before the work begins: the process waits for its own lock (so two of a kind never overlap, even after the supervisor
was killed), logging starts, and `control` checks database, master key and certificates. What forbids the start goes
to the supervisor in one JSON object, and the exit code is 78.
"""

import argparse
import fcntl
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

from appliance.config import Config
from appliance.domain.errors import RackwrightError
from appliance.main import logs
from appliance.main.children import EX_CONFIG, STOP_S

log = logging.getLogger(__name__)

PREDECESSOR_S = 15.0


def main(arguments: list[str]) -> int:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    options = _parse(arguments)
    link = socket.socket(fileno=options.link)
    os.set_inheritable(options.lock, False)  # held open for the lock's sake, not for programs that we start
    os.set_inheritable(options.link, False)
    try:
        config = Config.load(options.state)
        end_logs = logs.start(
            options.name,
            config.places.log,
            level=config.log.level,
            as_json=config.log.format == "json",
            max_mib=config.log.max_mib,
            keep=config.log.keep,
        )
    except RackwrightError as fault:
        return _refuse(link, fault)
    threading.Thread(target=_end_with_parent, args=(link,), name="parent", daemon=True).start()
    try:
        _become_only(config.places.run / f"{options.name}.lock")
        return _run(options, config)
    except RackwrightError as fault:
        log.critical("start refused: %s; %s", fault.message, fault.next_step)
        return _refuse(link, fault)
    except Exception:  # the process's top: say why before it ends
        log.exception("the process ends by an unexpected fault")
        return 70
    finally:
        end_logs()


def prepare(config: Config) -> None:
    """What must hold before control serves. Raises RackwrightError; upgrades the schema when it is older."""
    from appliance.domain.clock import system_clock  # noqa: PLC0415  (netboot never needs these)
    from appliance.models import version  # noqa: PLC0415
    from appliance.models.database import Database  # noqa: PLC0415
    from appliance.services import certificate_names, tls, vault  # noqa: PLC0415

    key = vault.Vault.load(config.state)
    database = Database.at(config.database_url)
    try:
        if not version.is_current(database):
            database.dispose()
            import_module("appliance.models.schema").upgrade(config.database_url, config.state)
        with database.read() as session:
            vault.check_canary(session, key)
    finally:
        database.dispose()
    tls.ensure_server_certificate(config.state, certificate_names.of(config), now=system_clock())


def _run(options: argparse.Namespace, config: Config) -> int:
    """Each process imports its own half of the appliance, and only now."""
    if options.name == "netboot":
        asked = config.netboot
        return int(
            import_module("appliance.netboot").run(
                config.state,
                http_port=asked.http_port,
                tftp_port=asked.tftp_port,
                dns_port=asked.dns_port,
                dhcp_port=asked.dhcp_port,
            )
        )
    prepare(config)
    run = import_module("appliance.main.control").run
    return int(run(config.state, listen=options.listen, roles=frozenset(options.roles.split(","))))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -P -m appliance.main.child")
    parser.add_argument("name", choices=("control", "netboot"))
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--link", type=int, required=True)
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("--roles", default="api,worker")
    parser.add_argument("--listen")
    return parser.parse_args(arguments)


def _refuse(link: socket.socket, fault: RackwrightError) -> int:
    said = {"message": fault.message, "why": fault.why, "next": fault.next_step}
    link.sendall(json.dumps(said).encode())
    return EX_CONFIG


def _become_only(path: Path) -> None:
    """Wait until the predecessor of the same name is gone. The lock lives as long as the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    ends = time.monotonic() + PREDECESSOR_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as cause:
            if time.monotonic() > ends:
                raise RackwrightError(f"another process holds {path}", next_step=f"see `fuser {path}`") from cause
            time.sleep(0.05)
        else:
            return


def _end_with_parent(link: socket.socket) -> None:
    """Read until the supervisor is gone; then stop as if told, and if that takes too long, at once."""
    while link.recv(1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
