"""User slots of the virtual BMC (§22.26-22.31): number, name, password, right to log in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bmc.rmcp.message import Code
from bmc.rmcp.suites import same
from bmc.virtual.errors import Refused

SLOTS = 15
NAME_BYTES = 16
PASSWORD_SIZES = (16, 20)
ADMINISTRATOR = 4
NO_ACCESS = 15


@dataclass(slots=True, kw_only=True)
class User:
    user_id: int
    name: bytes = b""
    password: bytes = field(default=b"", repr=False)
    is_enabled: bool = False
    privilege: int = NO_ACCESS
    may_message: bool = False  # "IPMI messaging": without it nobody logs in under this name
    may_link: bool = False
    is_callback_only: bool = False


class Users:
    """Slot 1 is the nameless user of the specification and stays without access."""

    def __init__(self, initial: Mapping[str, str]) -> None:
        self._slots = {number: User(user_id=number) for number in range(1, SLOTS + 1)}
        for number, (name, password) in enumerate(initial.items(), start=2):
            user = self.slot(number)
            self.rename(number, name.encode())
            user.password = password.encode()
            user.is_enabled = user.may_message = user.may_link = True
            user.privilege = ADMINISTRATOR

    def slot(self, number: int) -> User:
        try:
            return self._slots[number]
        except KeyError as error:
            raise Refused(Code.PARAMETER_OUT_OF_RANGE) from error

    def enabled_count(self) -> int:
        return sum(user.is_enabled for user in self._slots.values())

    def rename(self, number: int, name: bytes) -> None:
        """The name of slot 1 is fixed; a name belongs to one slot."""
        user = self.slot(number)
        name = name.rstrip(b"\0")
        if number == 1 or len(name) > NAME_BYTES:
            raise Refused(Code.INVALID_FIELD)
        if name and any(other.name == name for other in self._slots.values() if other is not user):
            raise Refused(Code.INVALID_FIELD)
        user.name = name

    def may_log_in(self, name: bytes, privilege: int) -> User | None:
        """The user of that name if he may have a session at that privilege. An empty password never logs in."""
        for user in self._slots.values():
            if name and user.name == name and user.is_enabled and user.may_message and user.password:
                return user if privilege <= user.privilege != NO_ACCESS else None
        return None

    def test_password(self, number: int, password: bytes) -> bool:
        return same(self.slot(number).password, password.rstrip(b"\0"))
