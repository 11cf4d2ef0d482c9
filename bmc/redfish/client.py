"""One conversation with a Redfish service: a kept session, one request at a time, answers capped and never redirected.

DMTF DSP0266: sessions §13.3.4 (X-Auth-Token), ETags §6.5, extended errors §8.6.
"""

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import urllib3

from bmc.breaker import Breaker
from bmc.errors import BmcError, Busy, Denied, Nonsense, Unreachable, Unsupported
from bmc.types import BmcTarget

ROOT = "/redfish/v1/"
MAX_ANSWER = 4 * 1024 * 1024
MAX_DEPTH = 40
_WORDS_MAX = 200
_FAULTS: Mapping[int, type[BmcError]] = {
    401: Denied, 403: Denied, 404: Unsupported, 405: Unsupported, 501: Unsupported,
    409: Busy, 429: Busy, 500: Busy, 502: Busy, 503: Busy, 504: Busy,
}  # fmt: skip
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes


class RedfishClient:
    """Calls may come from any thread. The first one logs in; `close` logs out.

    options of the target: `verify_ca` (true: by the system's authorities; false: not at all) and `fingerprint`
    (SHA-256 of the certificate, hexadecimal), which stands for both.
    """

    def __init__(self, target: BmcTarget, *, breaker: Breaker) -> None:
        self._target = target
        self._breaker = breaker
        self._lock = threading.Lock()
        self._deadline = 0.0
        self._token: str | None = None
        self._session: str | None = None
        self._is_basic = False
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
            except (Unreachable, Denied) as error:
                self._breaker.failed(error, time.monotonic(), final=isinstance(error, Denied))
                raise
            except BmcError:
                self._breaker.succeeded()  # it answered
                raise
            self._breaker.succeeded()
        finally:
            self._lock.release()

    def ask(
        self, method: str, path: str, body: Json | None = None, *, etag: str | None = None
    ) -> tuple[Json, str | None]:
        """The answer and its ETag. A session that was lost is renewed once, before anything was done."""
        self._log_in()
        response = self._send(method, path, body, etag)
        if response.status == 401 and self._token is not None:
            self._token = None
            self._log_in()
            response = self._send(method, path, body, etag)
        return self._read(response, path), response.headers.get("ETag")

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
                    self._send("DELETE", self._session, None, None)
            self._token = self._session = None
            self._pool.close()
        finally:
            self._lock.release()

    def _log_in(self) -> None:
        if self._token is not None or self._is_basic or not self._target.username:
            return
        wish = {"UserName": self._target.username, "Password": self._target.password}
        response = self._send("POST", ROOT + "SessionService/Sessions", wish, None)
        if response.status in {404, 405, 501}:  # sessions are required, but small services leave them out
            self._is_basic = True
            return
        if response.status in {400, 401, 403}:  # 400: what some services say of a wrong password
            raise Denied
        self._read(response, "the session")
        self._token = response.headers.get("X-Auth-Token")
        if not self._token:
            raise Nonsense("The BMC opened a session and gave no token.")
        location = urllib3.util.parse_url(response.headers.get("Location", "")).path
        self._session = location if location and location.startswith(ROOT) else None

    def _send(self, method: str, path: str, body: Json | None, etag: str | None) -> _Answer:
        if not path.startswith("/redfish/"):
            raise Nonsense("The BMC names a resource outside of /redfish/.")
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise Unreachable("The BMC does not answer in time.")
        headers = {"Accept": "application/json", "OData-Version": "4.0"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if etag is not None:
            headers["If-Match"] = etag
        if self._token is not None:
            headers["X-Auth-Token"] = self._token
        elif self._is_basic:
            headers |= urllib3.make_headers(basic_auth=f"{self._target.username}:{self._target.password}")
        try:
            response = self._pool.urlopen(
                method, path, body=None if body is None else json.dumps(body), headers=headers, redirect=False,
                retries=False, timeout=urllib3.Timeout(total=left_s), preload_content=False, assert_same_host=False,
            )  # fmt: skip
        except urllib3.exceptions.SSLError as error:
            raise Denied(_about_tls(error)) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable from error
        return _Answer(response.status, response.headers, self._bytes(response))

    def _read(self, response: _Answer, path: str) -> Json:
        if response.status in {200, 201, 202, 204}:
            return _decoded(response.raw) if response.raw.strip() else {}
        words = _words(response.raw)
        kind = _FAULTS.get(response.status, Nonsense)
        if response.status == 400:
            kind = Unsupported
        if kind is Denied:
            raise Denied
        raise kind(f"The BMC answered {response.status} to {path}{': ' + words if words else '.'}")

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


def _decoded(raw: bytes) -> Json:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Nonsense("The BMC's answer is not JSON.") from error
    if not isinstance(found, dict) or _depth(found) > MAX_DEPTH:
        raise Nonsense("The BMC's answer is not the JSON object that was asked for.")
    return found


def _depth(value: object, level: int = 1) -> int:
    if level > MAX_DEPTH:
        return level
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((_depth(one, level + 1) for one in inside), default=level)


def _words(raw: bytes) -> str:
    """What the service says of an error, for people: its first message, printable and short."""
    try:
        found = _decoded(raw)["error"]
        told = found.get("@Message.ExtendedInfo") or []
        text = told[0]["Message"] if told else found["message"]
    except (BmcError, KeyError, TypeError, IndexError, AttributeError):
        return ""
    return "".join(one for one in str(text)[:_WORDS_MAX] if one.isprintable())
