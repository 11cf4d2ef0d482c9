"""The netboot process: DHCP, TFTP, DNS, router advertisements and boot HTTP on the provisioning interfaces.

It owns the lease book, knows control only through the unix socket, and keeps serving while control is down.
"""

import asyncio
import contextlib
import logging
import resource
import signal
from pathlib import Path

from appliance.netboot.process import Netboot, Ports

log = logging.getLogger(__name__)

_OPEN_FILES = 8192


def run(state_dir: Path, *, http_port: int = 8080, tftp_port: int = 69, dns_port: int = 53, dhcp_port: int = 67) -> int:
    """Serve until SIGTERM or SIGINT; 0 after a clean end. Blocks; needs the main thread."""
    _raise_file_limit()
    (state_dir / "netboot").mkdir(mode=0o700, parents=True, exist_ok=True)
    ports = Ports(http=http_port, tftp=tftp_port, dns=dns_port, dhcp=dhcp_port)
    asyncio.run(_serve(state_dir, ports))
    return 0


async def _serve(state_dir: Path, ports: Ports) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("netboot starts")
    await Netboot(state_dir, ports).run(stop)
    log.info("netboot ended")


def _raise_file_limit() -> None:
    """One socket per TFTP transfer and HTTP connection is more than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(_OPEN_FILES, hard) if hard != resource.RLIM_INFINITY else _OPEN_FILES
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
