"""The machine's network interfaces and their IPv4 addresses, and a notice when they change (rtnetlink, RFC 3549)."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

_HEADER = struct.Struct("=IHHII")
_ADDRESS = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_NEW_ADDRESS, _GET_ADDRESS, _DONE, _ERROR = 20, 22, 3, 2
_REQUEST, _DUMP = 0x1, 0x300
_LOCAL = 2
_LINK_GROUP, _IPV4_ADDRESS_GROUP = 0x1, 0x10
_SETTLE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """index changes when an interface of the same name is made anew."""

    name: str
    index: int
    addresses: tuple[IPv4Address, ...]


def present() -> Mapping[str, Interface]:
    """Interfaces by name. Raises OSError."""
    by_index: dict[int, list[IPv4Address]] = {}
    for index, address in _dump():
        by_index.setdefault(index, []).append(address)
    found = {}
    for index, name in socket.if_nameindex():
        found[name] = Interface(name=name, index=index, addresses=tuple(by_index.get(index, ())))
    return found


def _dump() -> Iterator[tuple[int, IPv4Address]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asking:
        asking.settimeout(2.0)
        asking.bind((0, 0))
        body = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
        asking.send(_HEADER.pack(_HEADER.size + len(body), _GET_ADDRESS, _REQUEST | _DUMP, 1, 0) + body)
        while True:
            data = asking.recv(65536)
            at = 0
            while at + _HEADER.size <= len(data):
                size, kind, _flags, _sequence, _port = _HEADER.unpack_from(data, at)
                if kind == _DONE or size < _HEADER.size:
                    return
                if kind == _ERROR:
                    code = struct.unpack_from("=i", data, at + _HEADER.size)[0]
                    raise OSError(-code, os.strerror(-code))
                if kind == _NEW_ADDRESS:
                    yield from _addresses(data[at + _HEADER.size : at + size])
                at += (size + 3) & ~3


def _addresses(message: bytes) -> Iterator[tuple[int, IPv4Address]]:
    _family, _prefix, _flags, _scope, index = _ADDRESS.unpack_from(message)
    at = _ADDRESS.size
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if size < _ATTRIBUTE.size:
            return
        if kind == _LOCAL and size == _ATTRIBUTE.size + 4:
            yield index, IPv4Address(message[at + 4 : at + 8])
        at += (size + 3) & ~3


class Watch:
    """Calls back, a moment after links or addresses changed; many changes in a row make one call."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Needs a running event loop. Raises OSError."""
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            self._socket.bind((0, _LINK_GROUP | _IPV4_ADDRESS_GROUP))
        except OSError:
            self._socket.close()
            raise
        self._loop.add_reader(self._socket, self._readable)

    def close(self) -> None:
        self._loop.remove_reader(self._socket)
        self._socket.close()
        if self._timer is not None:
            self._timer.cancel()

    def _readable(self) -> None:
        try:
            while True:
                self._socket.recv(65536)
        except OSError:  # nothing more, or the queue overflowed: look again either way
            pass
        if self._timer is None:
            self._timer = self._loop.call_later(_SETTLE_S, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._changed()
