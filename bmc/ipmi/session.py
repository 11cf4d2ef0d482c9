"""pyghmi's session made fit for one thread that serves a thousand BMCs.

What is changed, and why (Decision 20): asking for privilege blocks pyghmi's thread until *that* BMC answers, here it
does not; IPMI 1.5, which pyghmi falls back to, is refused; the suite that the BMC says it chose must be the one asked
for; why a log-in was refused is kept as a number; a lost session is reported instead of silently renewed, because
pyghmi would send a power cycle again; packets that make pyghmi stumble are dropped and counted.

Everything here runs on the thread of `loop`.
"""

import enum
import logging
import struct
from collections.abc import Callable
from typing import Any, Self

from pyghmi.exceptions import PyghmiException
from pyghmi.ipmi.private import session as pyghmi_session

log = logging.getLogger(__name__)

ADMINISTRATOR = 4
SET_PRIVILEGE = (0x06, 0x3B)
SUITE_OF_HASH = {256: 17, 1: 3}
ALGORITHMS_OF_HASH = {256: (3, 4, 1), 1: (1, 1, 1)}
ROLE_REFUSED, UNAUTHORIZED_ROLE = 0x09, 0x0A
STUMBLES = (IndexError, KeyError, TypeError, ValueError, struct.error, PyghmiException)
# pyghmi waits 0.5-1 s, then 1 s longer each time, and gives up past this: two tries, about 2.5 s.
LONGEST_RETRY_S = 2
# Once the BMC has answered, only the caller's deadline ends the tries to log in.
LONGEST_LOGIN_WAIT_S, NO_LIMIT_S = 2.5, 3600
SETTING_UP = ("OPENSESSION", "EXPECTINGRAKP2", "EXPECTINGRAKP4")
LAST_TAG = 200  # an octet, with room for the steps of one log-in


class Refusal(enum.Enum):
    """Why there is no session, beside the numbers of table 13-15."""

    NOT_IPMI_2 = "offers no IPMI 2.0"
    OTHER_SUITE = "chose another cipher suite than it was asked for"
    WRONG_PASSWORD = "knows another password"  # noqa: S105  a sentence
    NO_PRIVILEGE = "grants no privilege"


class GuardedSession(pyghmi_session.Session):  # type: ignore[misc]  # pyghmi publishes no types
    """on_login(error text or None), on_lost(): both on the loop's thread, each at most once.

    later: `PyghmiLoop.call`. Every callback goes through it: a command sent while pyghmi still handles the answer to
    the one before is taken for answered, and its own answer is then dropped.
    """

    privlevel: int
    sessionid: int
    attemptedhash: int
    rmcptag: int
    localsid: int
    timeout: float
    logontries: int
    sol_handler: Callable[[bytearray | dict[str, object]], None] | None

    def __init__(
        self,
        *,
        address: str,
        username: str,
        password: str,
        udp_port: int,
        later: Callable[[Callable[[], None]], None],
        on_login: Callable[[str | None], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._later = later
        self.heard = 0
        self.refusal: int | Refusal | None = None
        self._on_login: Callable[[str | None], None] | None = on_login
        self._on_lost: Callable[[], None] | None = on_lost
        super().__init__(address, username, password, port=udp_port, onlogon=self._logged_in)

    def __new__(
        cls,
        *,
        address: str,
        udp_port: int,
        **_others: object,
    ) -> Self:
        """Always a new one. pyghmi's own hands out the session that somebody else has with the same BMC."""
        made = object.__new__(cls)
        keys = ((address, udp_port), (address, udp_port, 0, 0), (f"::ffff:{address}", udp_port, 0, 0))
        # pyghmi tells sessions apart by the addresses of both ends, so two with one BMC need two sockets.
        made.forbidsock = [
            other.socket for key in keys for other in pyghmi_session.Session.bmc_handlers.get(key, {}).values()
        ]
        return made

    @property
    def has_begun(self) -> bool:
        """The BMC has said that it speaks IPMI 2.0."""
        return self.sessioncontext is not None

    @property
    def cipher_suite(self) -> int:
        return SUITE_OF_HASH[self.attemptedhash]

    def send(self, netfn: int, command: int, data: bytes, lun: int, callback: Callable[[dict[str, Any]], None]) -> None:
        """One command; the answer comes to callback. Only after the answer to the one before."""

        def answered(response: dict[str, Any]) -> None:
            self.incommand = False
            self._later(lambda: callback(response))

        self.incommand = False  # else pyghmi would wait here for a command that we gave up
        self.raw_command(netfn=netfn, command=command, data=data, rslun=lun, callback=answered)

    def abandon(self) -> None:
        """Forget the session at once; a session that was open is told so in one unrepeated packet."""
        self._on_login = self._on_lost = None
        self.incommand = False
        self.sol_handler = None
        if not self.broken:
            self._mark_broken("abandoned")

    # ---- what pyghmi calls

    def _logged_in(self, result: dict[str, Any]) -> None:
        callback, self._on_login = self._on_login, None
        if callback is not None:
            self._later(lambda: callback(result.get("error")))

    def _got_channel_auth_cap(self, response: dict[str, Any]) -> None:
        data = response.get("data", b"")
        if response.get("code") == 0 and not (len(data) > 3 and data[1] & 0x80 and data[3] & 0x02):
            self._refuse(Refusal.NOT_IPMI_2)
            return
        self.ipmi15only = None  # pyghmi's switch for "do not try IPMI 1.5"
        super()._got_channel_auth_cap(response)

    def _got_rmcp_response(self, data: bytearray) -> Any:
        self._note(data)
        if len(data) >= 36 and data[1] == 0 and data[0] == self.rmcptag:
            chosen = (data[16], data[24], data[32])
            if chosen != ALGORITHMS_OF_HASH[self.attemptedhash]:
                self._refuse(Refusal.OTHER_SUITE)
                return None
        return super()._got_rmcp_response(data)

    def _got_rakp2(self, data: bytearray) -> Any:
        self._note(data)
        if len(data) > 1 and data[1] == UNAUTHORIZED_ROLE:
            data[1] = ROLE_REFUSED  # pyghmi tries again as operator for this number only
        context = self.sessioncontext
        result = super()._got_rakp2(data)
        if self.sessioncontext == "FAILED" and context != "FAILED":
            self.refusal = Refusal.WRONG_PASSWORD
        return result

    def _got_rakp4(self, data: bytearray) -> Any:
        self._note(data)
        return super()._got_rakp4(data)

    def _note(self, data: bytearray) -> None:
        if len(data) > 1 and data[0] == self.rmcptag:
            self.refusal = data[1] or None

    def _refuse(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.onlogon({"error": f"The BMC {refusal.value}."})

    def onlogon(self, parameter: dict[str, Any]) -> None:
        if self.refusal is None and "Incorrect password" in str(parameter.get("error", "")):
            self.refusal = Refusal.WRONG_PASSWORD
        super().onlogon(parameter)

    def _req_priv_level(self) -> None:
        """Instead of pyghmi's, which waits for the answer on this thread."""
        self.logged = 1
        self.logoutexpiry = None
        self.maxtimeout = LONGEST_RETRY_S
        self.logontries = 1
        self.ipmicallback = self._got_privilege
        self._send_ipmi_net_payload(*SET_PRIVILEGE, data=[self.privlevel])

    def _got_privilege(self, response: dict[str, Any]) -> None:
        if not response.get("code"):
            self.logging = False
            self.onlogon({"success": True})
        elif self.privlevel == ADMINISTRATOR and "error" not in response:
            self.privlevel = ADMINISTRATOR - 1
            self._later(self._req_priv_level)
        else:
            self.logged = 0
            self._refuse(Refusal.NO_PRIVILEGE)

    def _mark_broken(self, error: str | None = None) -> None:
        """Pyghmi counts the users of a socket down twice and more, until all sessions crowd on one socket."""
        users, was_broken = self.socketpool.get(self.socket, 0), self.broken
        super()._mark_broken(error)
        if self.socket in self.socketpool:
            self.socketpool[self.socket] = users - (not was_broken)

    def _timedout(self) -> None:
        if self.logging and self.sessioncontext in SETTING_UP:
            self._begin_again()
        else:
            super()._timedout()

    def _relog(self) -> None:
        self.onlogpayload = None  # pyghmi would send it after the next log-in, in the middle of something else
        if self.sessioncontext != "ESTABLISHED" or self.logging:
            self._begin_again()
            return
        lost, self._on_lost = self._on_lost, None
        self.logged = 0  # nobody is there to be told
        self.abandon()
        if lost is not None:
            self._later(lost)

    def _begin_again(self) -> None:
        """Instead of pyghmi's, which repeats tags and session ids (a late RAKP 2 then reads as a wrong password), asks
        again what was answered, and always waits under a second, too short for slow BMCs.
        """
        tag, console_id, wait_s = self.rmcptag, self.localsid, self.timeout
        attempted, was_2_0 = self.attemptedhash, self.has_begun
        self._initsession()
        self.rmcptag, self.localsid = tag % LAST_TAG, console_id
        if was_2_0:
            self.timeout = min(wait_s * 1.3, LONGEST_LOGIN_WAIT_S)
            self.maxtimeout = NO_LIMIT_S
            self.attemptedhash, self.ipmiversion = attempted, 2.0
            self._open_rmcpplus_request()
        else:
            self.logontries -= 1  # who has never answered is given up after four tries, about 5 s
            self._get_channel_auth_cap()

    def _keepalive(self) -> None:
        """`channel` keeps sessions alive, in turn with its commands."""

    def process_pktqueue(self) -> None:
        self.heard += len(self.pktqueue)
        while self.pktqueue:
            try:
                super().process_pktqueue()
            except STUMBLES as stumble:
                log.info("packet dropped bmc=%s error=%s", self.bmc, type(stumble).__name__)
