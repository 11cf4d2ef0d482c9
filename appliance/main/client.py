"""HTTP client of the native API: one kept connection, verified TLS, JSON in and out, a deadline on each call.

Not here: where the appliance is and who asks (`appliance.main.cli.place`), and what an error means to a shell
(`appliance.main.cli.exits`). Redirects are never followed, so the token goes to the URL it was given for only.
"""

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from appliance.main.client_errors import ApiError, ClientError, Unreachable

__all__ = ["ApiError", "Client", "ClientError", "Json", "Reply", "Unreachable", "part"]

Json = dict[str, Any]
"""A JSON object as the appliance sent it. The CLI presents it and decides nothing by it."""

CONNECT_S = 5.0
PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """body: the decoded JSON, the text when it was not JSON, or None when empty. headers: names in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str]


def part(text: str) -> str:
    """One path segment, quoted so that no name can climb out of it."""
    quoted = quote(text, safe="")
    return "%2E" * len(quoted) if quoted in {".", ".."} else quoted


@dataclass(slots=True, kw_only=True)
class Client:
    """url: `https://host:port`. ca: PEM file to trust instead of the system's. timeout_s: for one answer's start."""

    url: str
    ca: Path | None = None
    token: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    _pool: urllib3.HTTPSConnectionPool | None = field(default=None, init=False, repr=False)

    def get(self, path: str, **query: object) -> Json:
        """One JSON object."""
        return _an_object(self.call("GET", path, query=query).body)

    def items(self, path: str, **query: object) -> Iterator[Json]:
        """Every item of a list, page after page."""
        for page in self.pages(path, **query):
            yield from page

    def pages(self, path: str, **query: object) -> Iterator[list[Json]]:
        """The pages of a list, in order."""
        query.setdefault("limit", PAGE)
        seen: set[str] = set()
        while True:
            body = self.get(path, **query)
            yield [_an_object(item) for item in body.get("items") or []]
            marker = body.get("next")
            if not marker or str(marker) in seen:  # a server that repeats a marker must not hold us for ever
                return
            seen.add(str(marker))
            query["marker"] = marker

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Ask once. Raises ApiError for a status of 400 or more, Unreachable when nobody answers."""
        headers = self._headers()
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        return self._ask(method, _target(path, query), headers, data, timeout_s or self.timeout_s, preload=True)[1]

    def upload(self, path: str, blocks: Iterable[bytes], *, size: int, headers: Mapping[str, str]) -> Reply:
        """PUT blocks that make `size` bytes as an octet stream."""
        sent = {
            **self._headers(),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            **headers,
        }
        # An import converts and checks after the last byte, so the answer may be long in coming.
        return self._ask("PUT", path, sent, blocks, max(self.timeout_s, 1800.0), preload=True)[1]

    def stream(self, path: str, **query: object) -> Iterator[bytes]:
        """The pieces of an answer as they arrive, until the appliance ends it."""
        response, _ = self._ask("GET", _target(path, query), self._headers(), None, None, preload=False)
        try:
            while piece := response.read1(16384):
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as cause:
            raise self._unreachable(cause) from cause
        finally:
            response.close()

    def close(self) -> None:
        """Drop the kept connection."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "rackwright-cli"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def _ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        data: bytes | Iterable[bytes] | None,
        timeout_s: float | None,
        *,
        preload: bool,
    ) -> tuple[urllib3.BaseHTTPResponse, Reply]:
        timeout = urllib3.Timeout(connect=CONNECT_S, read=timeout_s)
        # A kept connection may have died with the appliance's last restart: asking again is harmless for GET only.
        attempts = 2 if method == "GET" and self._pool is not None else 1
        for attempt in range(attempts):
            try:
                response = self._connections().urlopen(
                    method,
                    target,
                    body=data,
                    headers=headers,
                    retries=False,
                    redirect=False,
                    timeout=timeout,
                    preload_content=preload,
                    decode_content=True,
                )
                reply = _reply(response, read=preload or response.status >= 400)
            except (urllib3.exceptions.HTTPError, OSError) as cause:
                if attempt + 1 < attempts and isinstance(cause, urllib3.exceptions.ProtocolError):
                    continue
                raise self._unreachable(cause) from cause
            if reply.status >= 300:
                raise _refusal(reply)
            return response, reply
        raise AssertionError("unreachable: the loop returns or raises")

    def _connections(self) -> urllib3.HTTPSConnectionPool:
        if self._pool is None:
            where = urlsplit(self.url)
            if where.scheme != "https" or not where.hostname:
                raise Unreachable(self.url, "the address must start with https://", "give --url https://HOST:8443")
            self._pool = urllib3.HTTPSConnectionPool(
                where.hostname, where.port or 443, ssl_context=self._trust(), maxsize=1, block=False, blocksize=1 << 18
            )
        return self._pool

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except (OSError, ssl.SSLError) as cause:
            raise Unreachable(
                self.url, f"the CA file {self.ca} cannot be used: {cause}", "give the appliance's tls/ca.pem with --ca"
            ) from cause

    def _unreachable(self, cause: Exception) -> Unreachable:
        text = " ".join(str(cause).split())
        if "CERTIFICATE_VERIFY_FAILED" in text:
            return Unreachable(
                self.url,
                f"its certificate is not one we trust ({text.rpartition('CERTIFICATE_VERIFY_FAILED] ')[2][:160]})",
                "give the appliance's tls/ca.pem with --ca, or --state DIR on the appliance itself",
            )
        # NewConnectionError (refused, no such host) is a kind of time-out in urllib3 2.
        is_late = isinstance(cause, urllib3.exceptions.TimeoutError)
        if is_late and not isinstance(cause, urllib3.exceptions.NewConnectionError):
            return Unreachable(self.url, "no answer in time", "see whether it is busy: rackwright doctor")
        reason = getattr(cause, "reason", None) or cause.__cause__ or cause
        return Unreachable(
            self.url, " ".join(str(reason).split())[:200], "is `rackwright serve` running, and is the address right?"
        )


def _target(path: str, query: Mapping[str, object] | None) -> str:
    given = {key: _as_query(value) for key, value in (query or {}).items() if value is not None}
    if not given:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(given)}"


def _as_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reply(response: urllib3.BaseHTTPResponse, *, read: bool) -> Reply:
    headers = {key.lower(): value for key, value in response.headers.items()}
    if not read:
        return Reply(status=response.status, body=None, headers=headers)
    raw = response.data
    body: Any = None
    if raw and "json" in headers.get("content-type", ""):
        try:
            body = json.loads(raw)
        except ValueError as cause:
            raise ApiError(502, code="nonsense", message="the answer is not the JSON that it claims to be") from cause
    elif raw:
        body = raw.decode("utf-8", "replace")
    return Reply(status=response.status, body=body, headers=headers)


def _refusal(reply: Reply) -> ApiError:
    error = reply.body.get("error") if isinstance(reply.body, dict) else None
    if not isinstance(error, dict):
        if 300 <= reply.status < 400:
            return ApiError(reply.status, code="redirect", message="the appliance points elsewhere; not followed")
        return ApiError(reply.status, message=f"the appliance answered {reply.status} without saying why")
    text = {key: str(value) for key, value in error.items() if value is not None}
    return ApiError(
        reply.status,
        code=text.get("code", ""),
        message=text.get("message", ""),
        why=text.get("why", ""),
        next_step=text.get("next", ""),
        request_id=text.get("request_id", reply.headers.get("x-request-id", "")),
    )


def _an_object(body: object) -> Json:
    if isinstance(body, dict):
        return body
    raise ApiError(502, code="nonsense", message="the answer is not a JSON object; is this a Rackwright appliance?")
