"""Give the management controller an administrator that the appliance knows: by name, in a slot of its own.

Pure but for the function that sends requests, so it is tested against a pretend controller.
Specification: IPMI 2.0, sections 22.26 to 22.31 (user access, name, password) and 24.6 (payload access).
"""

import contextlib
from typing import Any

from agent.errors import IpmiFailed, Refused
from agent.inventory.bmc import Ask, lan, lan_channel

_APP = 0x06
_SET_ACCESS, _GET_ACCESS, _SET_NAME, _GET_NAME, _SET_PASSWORD, _SET_PAYLOAD = 0x43, 0x44, 0x45, 0x46, 0x47, 0x4C
_ENABLE, _SET, _TEST = 1, 2, 3
_LONG_FORM = 0x80
_WRONG_PASSWORD = (0x80, 0x81)
# Slot 1 is the anonymous user, slot 2 the one that the vendor ships.
_FIRST_SLOT = 3
_ADMINISTRATOR = 4


def setup(ask: Ask, *, username: str, password: str) -> dict[str, Any]:
    """{"address", "mac", "user_id"}. Harmless to repeat: the same name keeps its slot. Raises IpmiFailed or Refused."""
    name = _field(username, 16, "user name")
    secret = _field(password, 20, "password")
    channel = lan_channel(ask)
    slot = _slot(ask, channel, name)
    ask(_APP, _SET_NAME, bytes([slot]) + name.ljust(16, b"\0"))
    _set_password(ask, slot, secret)
    # Bit 7: take the change; bit 4: IPMI messaging on this channel. Then slot, privilege limit, no session limit.
    ask(_APP, _SET_ACCESS, bytes([0x90 | channel, slot, _ADMINISTRATOR, 0]))
    _enable(ask, slot)
    # Serial over LAN is payload type 1, so bit 1. Controllers without it refuse, and that is no fault.
    with contextlib.suppress(IpmiFailed):
        ask(_APP, _SET_PAYLOAD, bytes([channel, slot, 0x02, 0, 0, 0]))
    found = lan(ask, channel)
    return {"address": found["address"], "mac": found["mac"], "user_id": slot}


def _field(value: str, limit: int, what: str) -> bytes:
    if not value.isascii() or not value.isprintable() or not 0 < len(value) <= limit:
        raise Refused(f"the {what} must be 1 to {limit} printable ASCII characters")
    return value.encode("ascii")


def _slot(ask: Ask, channel: int, name: bytes) -> int:
    """The slot that bears the name already, else the first free one."""
    access = ask(_APP, _GET_ACCESS, bytes([channel, 1]))
    last = access[0] & 0x3F if access else 0
    free: int | None = None
    for slot in range(2, last + 1):
        found = _name(ask, slot)
        if found == name:
            return slot
        if found == b"" and slot >= _FIRST_SLOT and free is None:
            free = slot
    if free is None:
        raise Refused("the management controller has no free user slot")
    return free


def _name(ask: Ask, slot: int) -> bytes:
    """Some controllers refuse to name an empty slot instead of answering with zeros."""
    try:
        return ask(_APP, _GET_NAME, bytes([slot])).rstrip(b"\0\xff")
    except IpmiFailed as failure:
        if failure.code is None:
            raise
        return b""


def _set_password(ask: Ask, slot: int, secret: bytes) -> None:
    """The 20 octet form, which IPMI 2.0 sessions use; controllers that refuse it get the 16 octet form if it fits."""
    try:
        ask(_APP, _SET_PASSWORD, bytes([slot | _LONG_FORM, _SET]) + secret.ljust(20, b"\0"))
        size, mark = 20, _LONG_FORM
    except IpmiFailed as failure:
        if failure.code is None or len(secret) > 16:
            raise
        ask(_APP, _SET_PASSWORD, bytes([slot, _SET]) + secret.ljust(16, b"\0"))
        size, mark = 16, 0
    try:
        ask(_APP, _SET_PASSWORD, bytes([slot | mark, _TEST]) + secret.ljust(size, b"\0"))
    except IpmiFailed as failure:
        # Other codes mean that the test itself is not served.
        if failure.code in _WRONG_PASSWORD:
            raise


def _enable(ask: Ask, slot: int) -> None:
    try:
        ask(_APP, _SET_PASSWORD, bytes([slot, _ENABLE]))
    except IpmiFailed as failure:
        if failure.code is None:
            raise
        # Some controllers want the password field there, though it means nothing.
        ask(_APP, _SET_PASSWORD, bytes([slot, _ENABLE]) + bytes(16))
