"""One conversation with a Redfish service: a kept session, one request at a time, answers capped.

DMTF DSP0266: sessions §13.3.4 (X-Auth-Token), ETags §6.5, extended errors §8.6, operations that take long §12.2.
"""

import json
import math
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import urllib3

from bmc.breaker import Breaker
from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.redfish import answers
from bmc.redfish.answers import Answer, Json
from bmc.types import BmcTarget

ROOT = "/redfish/v1/"
SESSIONS = f"{ROOT}SessionService/Sessions"
MAX_ANSWER = 4 * 1024 * 1024
MAX_REDIRECTS = 2
BASIC_S = 60.0
"""After a log-in that found no free session, the password goes with each request for so long."""
POLL_S, POLL_MAX_S = 0.2, 2.0
_REDIRECTS = frozenset({301, 302, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_ENDED = frozenset({"Completed", "Pending", "Suspended", "Service"})
"""States of tasks that nobody waits for: done, or waiting for the machine's next boot."""
_FAILED = frozenset({"Exception", "Killed", "Cancelled", "Interrupted"})


class RedfishClient:
    """Calls may come from any thread. The first one logs in; `close` logs out.

    options of the target: `verify_ca` (true: by the system's authorities; false: not at all) and `fingerprint`
    (SHA-256 of the certificate, hexadecimal), which stands for both. `auth_type`: `auto` (a session, and the password
    with each request where there is none), `session` or `basic` (only the one).
    """

    def __init__(self, target: BmcTarget, *, breaker: Breaker) -> None:
        self._target = target
        self._breaker = breaker
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._token: str | None = None
        self._session: str | None = None
        self._way = target.options.get("auth_type")
        self._basic_until = math.inf if self._way == "basic" else -math.inf
        self._is_closed = False
        self._pool = urllib3.HTTPSConnectionPool(target.address, target.udp_port, maxsize=1, **_trust(target))

    @contextmanager
    def operation(self, deadline_s: float) -> Iterator[None]:
        """A turn of up to deadline_s seconds, waiting for it included; everything that `ask` does is inside one."""
        deadline = time.monotonic() + deadline_s
        if not self._lock.acquire(timeout=deadline_s):
            raise Busy("Another request to this BMC takes long.")
        try:
            if self._is_closed:
                raise Unreachable("This connection was closed.")
            refusal = self._breaker.refusal(time.monotonic())
            if refusal is not None:
                raise refusal
            self._deadline = deadline
            try:
                yield
            except answers.Forbidden:
                self._breaker.succeeded()  # the password is right: what else is asked may be allowed
                raise
            except (Unreachable, Denied) as error:
                self._breaker.failed(error, time.monotonic(), final=isinstance(error, Denied))
                raise
            except BmcError:
                self._breaker.succeeded()  # it answered
                raise
            self._breaker.succeeded()
        finally:
            self._lock.release()

    @property
    def left_s(self) -> float:
        """How much of the operation's time is left."""
        return self._deadline - time.monotonic()

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[Json, str | None]:
        """The answer and its ETag."""
        answer = self._ask(method, path, body)
        found = answers.read(answer, path)
        return found, answers.etag(answer, found)

    def do(self, path: str, body: Json) -> None:
        """POST an action, and wait for the end of one that was only accepted (202)."""
        self._end(self._ask("POST", path, body), path)

    def change(self, path: str, wish: Json, etag: str | None) -> None:
        """PATCH what was read with this ETag.

        Refused (412), it is read again: somebody else changed it, or the service compares weak ETags as strong ones.
        Some refuse every ETag, also their own: those are asked without one in the end.
        """
        answer = self._ask("PATCH", path, wish, etag=etag)
        if answer.status == 428:
            answer = self._ask("PATCH", path, wish, etag="*")
        elif answer.status == 412:
            fresh = self.ask("GET", path)[1]
            answer = self._ask("PATCH", path, wish, etag=fresh and fresh.removeprefix("W/"))
            if answer.status == 412:
                answer = self._ask("PATCH", path, wish)
        self._end(answer, path)

    def close(self) -> None:
        """Log out, within a second; a service that has stopped answering forgets the session by itself."""
        if not self._lock.acquire(timeout=1.0):
            self._is_closed = True
            return
        try:
            self._is_closed = True
            if self._session is not None and self._token is not None:
                self._deadline = time.monotonic() + 1.0
                with suppress(BmcError):
                    self._send("DELETE", self._session)
            self._token = self._session = None
            self._pool.close()
        finally:
            self._lock.release()

    def _ask(self, method: str, path: str, body: Json | None = None, *, etag: str | None = None) -> Answer:
        """A session that was lost is renewed once, before anything was done."""
        self._log_in()
        answer = self._send(method, path, body, etag)
        if answer.status == 401 and self._token is not None:
            self._token = None
            self._log_in()
            answer = self._send(method, path, body, etag)
        return answer

    def _end(self, answer: Answer, path: str) -> None:
        """Wait until what was accepted is done. Raises what became of it instead."""
        found = answers.read(answer, path)
        monitor = self._own(answer) if answer.status == 202 else None
        pause_s = POLL_S
        while monitor is not None:
            state = found.get("TaskState")
            if state in _FAILED:
                raise Unsupported(f"The BMC began and gave up: its task for {path} ended as {state}.")
            if state in _ENDED:
                return
            if pause_s >= self.left_s:
                raise Busy("The BMC has accepted it and is still at it.")
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, POLL_MAX_S)
            answer = self._ask("GET", monitor)
            if answer.status in {404, 410}:  # a monitor is gone once somebody has seen the end
                return
            found = answers.read(answer, monitor)
            if answer.status != 202 and "TaskState" not in found:  # the answer of the operation itself
                return

    def _log_in(self) -> None:
        if self._token is not None or not self._target.username or time.monotonic() < self._basic_until:
            return
        wish = {"UserName": self._target.username, "Password": self._target.password}
        answer = self._send("POST", SESSIONS, wish)
        if self._way != "session" and (basic_s := self._without_session_s(answer)) is not None:
            self._basic_until = time.monotonic() + basic_s
            return
        if answers.is_full(answer):
            raise Busy("The BMC has no free session.")
        if answer.status in {400, 401, 403}:  # 400: what some services say of a wrong password
            raise Denied
        answers.read(answer, "the session")
        self._token = answer.headers.get("X-Auth-Token")
        if not self._token:
            raise Nonsense("The BMC opened a session and gave no token.")
        self._session = self._own(answer)

    def _without_session_s(self, answer: Answer) -> float | None:
        """For how long the password has to do, after this answer to a log-in; None when it is not about sessions."""
        if answer.status in {404, 405, 501} or (answer.status == 401 and not self._has_sessions()):
            return math.inf  # sessions are required, but small services leave them out
        return BASIC_S if answers.is_full(answer) else None

    def _has_sessions(self) -> bool:
        """What the root says, which all show to everybody; some refuse strangers before they look further."""
        answer = self._send("GET", ROOT)
        found = answers.read(answer, ROOT) if answer.status == 200 else {}
        return answer.status != 200 or "SessionService" in found or "Sessions" in str(found.get("Links"))

    def _own(self, answer: Answer) -> str | None:
        where = answer.headers.get("Location")
        return answers.own_path(where, host=self._target.address, port=self._target.udp_port)

    def _send(self, method: str, path: str, body: Json | None = None, etag: str | None = None) -> Answer:
        """Redirects lead to other paths of this service alone, as to one with a slash at its end."""
        for _ in range(MAX_REDIRECTS):
            answer = self._exchange(method, path, body, etag)
            is_followed = answer.status in (_REDIRECTS if method == "GET" else _SAME_METHOD)
            there = self._own(answer) if is_followed else None
            if there is None:
                return answer
            path = there
        return self._exchange(method, path, body, etag)

    def _exchange(self, method: str, path: str, body: Json | None, etag: str | None) -> Answer:
        if not answers.is_own(path):
            raise Nonsense("The BMC names a resource outside of /redfish/.")
        if self.left_s <= 0:
            raise Unreachable("The BMC does not answer in time.")
        try:
            response = self._begun(method, path, body, etag)
        except urllib3.exceptions.SSLError as error:
            raise Denied(_about_tls(error)) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable from error
        return Answer(response.status, response.headers, self._bytes(response))

    def _begun(self, method: str, path: str, body: Json | None, etag: str | None) -> urllib3.BaseHTTPResponse:
        """What only reads is repeated where the connection broke: BMCs drop kept ones without a word."""
        for tries_left in (1, 0) if method == "GET" else (0,):
            try:
                return self._pool.urlopen(
                    method, path, body=None if body is None else json.dumps(body),
                    headers=self._headers(path, body, etag), redirect=False, retries=False,
                    timeout=urllib3.Timeout(total=max(self.left_s, 0.001)), preload_content=False,
                    assert_same_host=False,
                )  # fmt: skip
            except urllib3.exceptions.ProtocolError:
                if not tries_left:
                    raise
        raise Unreachable

    def _headers(self, path: str, body: Json | None, etag: str | None) -> dict[str, str]:
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if etag is not None:
            headers["If-Match"] = etag
        if self._token is not None:
            headers["X-Auth-Token"] = self._token
        elif time.monotonic() < self._basic_until and path.rstrip("/") != SESSIONS:
            headers |= urllib3.make_headers(basic_auth=f"{self._target.username}:{self._target.password}")
        return headers

    def _bytes(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """All of the body, in pieces, so that one who drips bytes is cut off at the deadline."""
        found = bytearray()
        try:
            while piece := response.read1(65536):
                found += piece
                if len(found) > MAX_ANSWER:
                    raise Nonsense("The BMC's answer is larger than 4 MiB.")
                if time.monotonic() > self._deadline:
                    raise Unreachable("The BMC does not answer in time.")
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable("The BMC broke off in the middle of an answer.") from error
        finally:
            if len(found) > MAX_ANSWER or time.monotonic() > self._deadline:
                response.close()
            response.release_conn()
        return bytes(found)


def _trust(target: BmcTarget) -> dict[str, Any]:
    fingerprint = target.options.get("fingerprint")
    if isinstance(fingerprint, str) and fingerprint:
        return {"assert_fingerprint": fingerprint, "cert_reqs": ssl.CERT_NONE}
    if target.options.get("verify_ca", True) is False:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # it was asked for, node by node
        return {"cert_reqs": ssl.CERT_NONE, "assert_hostname": False}
    return {"cert_reqs": ssl.CERT_REQUIRED}


def _about_tls(error: Exception) -> str:
    if "ingerprint" in str(error):
        return "The BMC shows another certificate than the one with the fingerprint that was given."
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "The BMC's certificate is not of a known authority: give its fingerprint, or verify_ca=false."
    return "The BMC's TLS cannot be used."
