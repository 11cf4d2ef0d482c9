"""The one way in which the appliance downloads an image from an address that somebody typed.

http and https only; the name is resolved once, every address it has is checked, and the connection goes to an address
that was checked, also after each redirect; so no image URL reaches the appliance itself or its private networks
(Decision 43). Not here: the checksum, which images.checksum takes of what is read.
"""

import contextlib
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from images.errors import FetchFailed, ImageRefused
from images.transfer import Answer, Transfer, short

logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)  # below, it logs addresses with what opens them

MAX_REDIRECTS = 3
MAX_URL = 2048
CONNECT_S = 10.0
READ_S = 30.0
HEAD_S = 60.0
REDIRECTS = frozenset({301, 302, 303, 307, 308})
Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """allow_private: loopback, link-local and private addresses too. trusted: these networks too, where an operator
    has a mirror.
    """

    max_bytes: int = 64 * 1024**3
    deadline_s: float = 6 * 3600.0
    allow_private: bool = False
    trusted: tuple[IPv4Network | IPv6Network, ...] = ()

    def allow(self, address: str) -> bool:
        if self.allow_private or is_public(address):
            return True
        found = ipaddress.ip_address(address.partition("%")[0])
        return any(found in network for network in self.trusted if network.version == found.version)


class Source(Protocol):
    """What `opened` gives: enough of a binary file for images.checksum.receive."""

    @property
    def size_bytes(self) -> int | None:
        """How many bytes the server announces."""

    def read(self, size: int = -1, /) -> bytes: ...


def addresses(host: str, port: int) -> list[str]:
    """What the system's resolver says, in its order, without repetitions. Raises FetchFailed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as cause:
        raise FetchFailed(f"the name {host} cannot be resolved", retryable=True) from cause
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, also when it is an IPv4 address in an IPv6 coat."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return inner.is_global and not inner.is_multicast
        # Whatever else holds an IPv4 address or has gone out of use (::/96, ::ffff:0:0:0/96, fec0::/10) lies outside.
        return address in _GLOBAL_UNICAST and address.is_global
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291 §2.4, and all that IANA has given out


@contextlib.contextmanager
def opened(
    url: str,
    *,
    limits: Limits = Limits(),
    resolve: Resolver = addresses,
    monotonic: Callable[[], float] = time.monotonic,
    tls: ssl.SSLContext | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Source]:
    """The body of the answer, to be read to its end. tls: to trust other authorities than the system's.

    Where the connection breaks off, the rest is asked for from the same URL, with all checks anew (images.transfer).
    Raises ImageRefused for an address that may not be asked or a body that is too long, FetchFailed for the rest.
    """
    deadline = monotonic() + limits.deadline_s

    def ask(headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Answer]:
        return _followed(url, headers, limits, resolve, tls, lambda: deadline - monotonic())

    transfer = Transfer(ask, max_bytes=limits.max_bytes, deadline=deadline, monotonic=monotonic, pause=pause)
    with transfer:
        yield transfer


@contextlib.contextmanager
def _followed(  # noqa: PLR0917  (what `opened` was given)
    url: str, headers: Mapping[str, str], limits: Limits, resolve: Resolver, tls: ssl.SSLContext | None,
    left_s: Callable[[], float],
) -> Iterator[Answer]:  # fmt: skip
    """The answer at the end of the redirects, whatever its status."""
    for _ in range(MAX_REDIRECTS + 1):
        parts = parsed(url)
        with _answer(parts, headers, _allowed(parts, limits, resolve), tls, max(left_s(), 0.0)) as response:
            if response.status not in REDIRECTS:
                place = f"{parts.scheme}://{parts.netloc}{parts.path}"
                yield Answer(host=parts.hostname or "", place=place, response=response)
                return
            target = response.headers.get("Location")
        if not target:
            raise FetchFailed("the server redirects to nowhere", retryable=False)
        was_secure, url = url.lower().startswith("https:"), _joined(url, target)
        if was_secure and not url.lower().startswith("https:"):
            raise ImageRefused("the server redirects from https to an address without TLS")
    raise FetchFailed(f"the server redirects more than {MAX_REDIRECTS} times", retryable=False)


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as cause:
        raise FetchFailed("the server redirects to a malformed address", retryable=False) from cause


def check(url: str, *, limits: Limits = Limits(), resolve: Resolver = addresses) -> None:
    """May the URL be asked, as far as one can say without asking? Raises ImageRefused; FetchFailed if no name server
    knows the name. `opened` checks again: an answer of a name server holds for one moment.
    """
    _allowed(parsed(url), limits, resolve)


def _allowed(parts: SplitResult, limits: Limits, resolve: Resolver) -> str:
    """One of the addresses of a host, each of which may be asked."""
    host = parts.hostname or ""
    found = resolve(host.removesuffix("."), _port(parts))
    if not found or not all(limits.allow(item) for item in found):
        raise ImageRefused(f"address not allowed: {host} is neither public nor in [images] trusted_networks")
    return found[0]


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def parsed(url: str) -> SplitResult:
    """Raises ImageRefused for what is no address that `opened` would ask."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as cause:
        raise ImageRefused("the URL is malformed") from cause
    is_plain = len(url) <= MAX_URL and url.isascii() and url.isprintable() and not set(url) & set(" \\#")
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain or port == 0:
        raise ImageRefused("the URL must be a plain http:// or https:// address")
    if parts.username is not None or parts.password is not None:
        raise ImageRefused("the URL must not hold a user name or password")
    return parts


@contextlib.contextmanager
def _answer(
    parts: SplitResult, headers: Mapping[str, str], address: str, tls: ssl.SSLContext | None, left_s: float
) -> Iterator[urllib3.BaseHTTPResponse]:
    """The answer of the server at an address that was checked."""
    host = parts.hostname or ""
    with _pool(parts.scheme, address, host, _port(parts), tls) as pool, _Watch(pool, left_s) as watch:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        always = {"Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "rackwright"}
        try:
            response = pool.urlopen(
                "GET",
                path,
                headers=always | dict(headers),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
            )
        except HTTPError as cause:
            raise FetchFailed(f"{host} could not be asked: {short(cause)}", retryable=True) from cause
        watch.head_came()
        try:
            yield response
        finally:
            response.close()


def _pool(scheme: str, address: str, host: str, port: int, tls: ssl.SSLContext | None) -> urllib3.HTTPConnectionPool:
    """Connects to the address that was checked, and speaks TLS for the name."""
    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, maxsize=1)
    extra: dict[str, Any] = {"server_hostname": host, "assert_hostname": host, "cert_reqs": "CERT_REQUIRED"}
    return urllib3.HTTPSConnectionPool(
        address, port, maxsize=1, ssl_context=tls or ssl.create_default_context(), **extra
    )


class _Watch:
    """Ends the conversation when its time is over: who sends an octet now and then never meets a socket's timeout.

    left_s: for all of it. The head of the answer has HEAD_S of that.
    """

    def __init__(self, pool: urllib3.HTTPConnectionPool, left_s: float) -> None:
        watch = self
        usual: Any = pool.ConnectionCls
        self._pool, self._left_s = pool, left_s
        self._timers: list[threading.Timer] = []

        class Watched(usual):  # type: ignore[misc]  # of either kind
            def connect(self) -> None:
                super().connect()
                watch.begin(self.sock)

        pool.ConnectionCls = Watched

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()

    def begin(self, connected: socket.socket) -> None:
        for within_s in (min(HEAD_S, self._left_s), self._left_s):
            timer = threading.Timer(within_s, _cut, (connected,))
            timer.daemon = True
            timer.start()
            self._timers.append(timer)

    def head_came(self) -> None:
        self._timers[0].cancel()


def _cut(connected: socket.socket) -> None:
    """Whoever reads from it sees its end. Below TLS, whose own way would wait for the peer."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
