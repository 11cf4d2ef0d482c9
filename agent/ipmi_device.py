"""Requests to the management controller through /dev/ipmi0, by ioctl.

The structures are those of Linux include/uapi/linux/ipmi.h on a 64-bit machine. Pointers come from array buffers, so
neither ctypes nor ipmitool has to be in the ramdisk.
"""

import array
import errno
import fcntl
import itertools
import os
import select
import struct
from pathlib import Path
from typing import Self

from agent.errors import IpmiFailed

_SEND_COMMAND = 0x8028690D  # _IOR('i', 13, struct ipmi_req)
_RECEIVE_TRUNCATED = 0xC030690B  # _IOWR('i', 11, struct ipmi_recv)
_SYSTEM_INTERFACE = 0x0C
_BMC_CHANNEL = 0x0F
_ADDRESS = struct.Struct("<ihBx")
_REQUEST = struct.Struct("<QI4xqBBH4xQ")
_RECEIVED = struct.Struct("<i4xQI4xqBBH4xQ")
_MAX_ANSWER = 512
_ANSWER_S = 5.0
_DEVICES = ("/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0")


class IpmiDevice:
    """Opened for one use: `with IpmiDevice(path) as ask: ask(6, 1, b"")`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def __call__(self, function: int, command: int, data: bytes) -> bytes:
        """Data after the completion code. Raises IpmiFailed if that code is not zero, or on silence."""
        what = f"request {function:#04x}/{command:#04x}"
        number = next(self._numbers)
        address = array.array("B", _ADDRESS.pack(_SYSTEM_INTERFACE, _BMC_CHANNEL, 0))
        body = array.array("B", data or b"\0")
        request = _REQUEST.pack(
            address.buffer_info()[0], len(address), number, function, command, len(data), body.buffer_info()[0]
        )
        try:
            fcntl.ioctl(self._file, _SEND_COMMAND, request)
            answer = self._receive(number)
        except OSError as cause:
            raise IpmiFailed(what, None) from cause
        if not answer:
            raise IpmiFailed(what, None)
        if answer[0] != 0:
            raise IpmiFailed(what, answer[0])
        return answer[1:]

    def _receive(self, number: int) -> bytes:
        """Skips late answers to earlier requests."""
        poll = select.poll()
        poll.register(self._file, select.POLLIN)
        while poll.poll(_ANSWER_S * 1000):
            address = array.array("B", bytes(64))
            body = array.array("B", bytes(_MAX_ANSWER))
            buffer = bytearray(
                _RECEIVED.pack(0, address.buffer_info()[0], len(address), 0, 0, 0, _MAX_ANSWER, body.buffer_info()[0])
            )
            try:
                fcntl.ioctl(self._file, _RECEIVE_TRUNCATED, buffer)
            except OSError as cause:
                if cause.errno != errno.EMSGSIZE:
                    raise
            _kind, _address, _length, answered, _function, _command, size, _data = _RECEIVED.unpack(buffer)
            if answered == number:
                return body.tobytes()[:size]
        return b""


def find(root: Path) -> Path | None:
    """The device file of the first controller, if the kernel found one."""
    paths = (root / name.lstrip("/") for name in _DEVICES)
    return next((path for path in paths if path.exists()), None)
