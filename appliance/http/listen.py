"""Listening sockets, and sentences for people when they cannot be had."""

import errno
import socket
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from appliance.domain.errors import RackwrightError
from appliance.domain.values import Endpoint

BACKLOG = 512


class CannotListen(RackwrightError):
    """An address to listen on cannot be had."""

    code: ClassVar[str] = "cannot-listen"


def listen_tcp(endpoint: Endpoint) -> socket.socket:
    """A listening socket. `[::]` also takes IPv4. Raises CannotListen, naming who has the port where we may see it."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    except OSError as cause:
        raise CannotListen(f"{endpoint}: {cause.strerror}") from cause
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not endpoint.is_any))
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(BACKLOG)
    except OSError as cause:
        sock.close()
        raise _explained(endpoint, cause) from cause
    return sock


def listen_unix(path: Path, mode: int) -> socket.socket:
    """A listening unix socket with this mode; a socket that a dead process left is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.unlink(missing_ok=True)
        sock.bind(str(beside))
        beside.chmod(mode)
        sock.listen(BACKLOG)
        beside.replace(path)  # nobody ever finds it with other permissions, or missing
    except OSError as cause:
        sock.close()
        hint = "choose a shorter path for the state directory" if "too long" in str(cause) else ""
        raise CannotListen(f"{path}: {cause.strerror or cause}", next_step=hint) from cause
    return sock


def _explained(endpoint: Endpoint, cause: OSError) -> CannotListen:
    if cause.errno == errno.EADDRINUSE:
        holder = holder_of(endpoint.port)
        return CannotListen(
            f"port {endpoint.port} is in use: nothing else can listen on {endpoint}",
            why=f"{holder} listens there" if holder else "another program listens there",
            next_step=f"see who with `ss -ltnp 'sport = :{endpoint.port}'`; stop it, or choose another port",
        )
    if cause.errno == errno.EADDRNOTAVAIL:
        return CannotListen(
            f"{endpoint}: this machine does not have the address {endpoint.host}",
            next_step="see its addresses with `ip address`; 0.0.0.0 stands for all of them",
        )
    if cause.errno in {errno.EACCES, errno.EPERM}:
        return CannotListen(f"{endpoint}: ports below 1024 need root or CAP_NET_BIND_SERVICE")
    return CannotListen(f"{endpoint}: {cause.strerror}")


def holder_of(port: int) -> str:
    """`name (pid 123)` of the process that listens on a TCP port; empty when we may not know."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in inodes:
                        return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:  # 0A: LISTEN
                    found.add(words[9])
    return found
