"""The bytes of one download, in order, and gone on with where the connection broke off.

Whoever reads sees one stream; checksums are taken of it as of any other, since nothing that was read is read again. The
rest is asked for (RFC 9110 §14.2) only where the server announced a length, ranges and a strong validator (§8.8.1), and
taken only if the answer says that it is exactly the rest of the same file (§13.1.5, §15.3.7). Anything else is Changed,
and whoever wants the file begins anew: bytes of two files never meet. Not here: which address may be asked.
"""

import contextlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import urllib3
from urllib3.exceptions import HTTPError

from images.errors import FetchFailed, TooLong

log = logging.getLogger(__name__)

PIECE = 1024 * 1024
LOOK_S = 1.0
"""A read ends after this time with what came, so that whoever reads can look whether it is still wanted."""
SLOW_S, SLOWEST = 60.0, 4096
"""A server that sends fewer bytes per second than SLOWEST, over SLOW_S seconds of waiting for it, is left."""
TRIES, PAUSE_S, PAUSE_MOST_S = 5, 1.0, 10.0
"""How often in a row the rest is asked for; seconds before the first time, doubled each time, and at most."""
WORTH = 16 * 1024 * 1024
"""So many bytes more, and the tries are counted anew."""
_STRONG = re.compile(r'"[\x21\x23-\x7e]{1,200}"\Z')
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """place: what answered, after all redirects: scheme, host, port and path. A signature behind them may change."""

    host: str
    place: str
    response: urllib3.BaseHTTPResponse


Ask = Callable[[Mapping[str, str]], AbstractContextManager[Answer]]
"""Asks for the file anew, with these headers more. Raises ImageRefused, FetchFailed."""


class Changed(FetchFailed):
    """The server has no rest of what it began to send."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the download broke off and cannot be gone on with: {reason}", retryable=True)


class Transfer:
    """To be entered before it is read. deadline: a moment of `monotonic`, for all of it."""

    def __init__(
        self, ask: Ask, *, max_bytes: int, deadline: float, monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._ask, self._max_bytes, self._deadline = ask, max_bytes, deadline
        self._monotonic, self._pause = monotonic, pause
        self._open = contextlib.ExitStack()
        self._position = 0
        self._tries = self._tried_at = 0
        self.size_bytes: int | None = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _begin(self) -> None:
        answer = self._open.enter_context(self._ask({}))
        refuse_status(answer, 200)
        self.size_bytes = _announced(answer.response)
        if self.size_bytes is not None and self.size_bytes > self._max_bytes:
            raise TooLong(f"the image has {self.size_bytes} bytes; {self._max_bytes} are allowed")
        self._take(answer)
        self._place, self._mark = answer.place, _mark(answer.response)

    def _take(self, answer: Answer) -> None:
        self._answer = answer
        self._waited, self._waited_at = 0.0, self._position

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; fewer where they come slowly; none at the end."""
        parts: list[bytes] = []
        wanted, until = size if size > 0 else PIECE, self._monotonic() + LOOK_S
        while wanted > 0 and (part := self._some(min(wanted, PIECE))):
            parts.append(part)
            wanted -= len(part)
            if self._monotonic() >= until:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int) -> bytes:
        if self.size_bytes is not None:  # whatever follows the last byte that was announced is not the image's
            size = min(size, self.size_bytes - self._position)
        while size > 0:
            try:
                data = self._received(size)
            except FetchFailed as fault:
                self._go_on(fault)
                continue
            self._position += len(data)
            if self._position > self._max_bytes:
                raise TooLong("the image is longer than allowed")
            return data
        return b""

    def _received(self, size: int) -> bytes:
        began = self._monotonic()
        try:
            data: bytes = self._answer.response.read1(size, decode_content=False)
        except (HTTPError, OSError) as cause:
            self._refuse_late()
            raise FetchFailed(f"the download broke off: {short(cause)}", retryable=True) from cause
        self._refuse_late()  # also when it seems to have ended: it may have been cut
        if not data and self.size_bytes is not None:
            raise FetchFailed(
                f"the download broke off after {self._position} of {self.size_bytes} bytes", retryable=True
            )
        self._refuse_slow(len(data), self._monotonic() - began)
        return data

    def _refuse_late(self) -> None:
        if self._monotonic() >= self._deadline:
            raise _late()

    def _refuse_slow(self, count: int, waited_s: float) -> None:
        """Only waiting for the server counts, not what is done with the bytes meanwhile."""
        self._waited += waited_s
        if self._waited < SLOW_S:
            return
        if self._position + count - self._waited_at < SLOWEST * self._waited:
            raise FetchFailed(
                f"the download broke off: {self._answer.host} sends less than {SLOWEST} bytes per second",
                retryable=True,
            )
        self._waited, self._waited_at = 0.0, self._position + count

    # Going on -----------------------------------------------------------------------------------------------------

    def _go_on(self, fault: FetchFailed) -> None:
        """Have the rest sent. Raises `fault` where that cannot be asked for, or was asked for in vain; Changed."""
        self._open.close()
        while True:
            self._refuse_another_try(fault)
            pause_s = min(PAUSE_S * 2 ** (self._tries - 1), PAUSE_MOST_S)
            if self._monotonic() + pause_s >= self._deadline:
                raise _late() from fault
            self._pause(pause_s)
            try:
                return self._ask_for_rest()
            except FetchFailed as other:
                if not other.retryable or isinstance(other, Changed):
                    raise
                fault = other

    def _refuse_another_try(self, fault: FetchFailed) -> None:
        if not self._mark or not fault.retryable or self._monotonic() >= self._deadline:
            raise fault
        if self._position - self._tried_at >= WORTH:
            self._tries, self._tried_at = 0, self._position
        if self._tries >= TRIES:
            raise FetchFailed(f"{fault} ({TRIES} tries to go on)", retryable=True) from fault
        self._tries += 1

    def _ask_for_rest(self) -> None:
        headers = {"Range": f"bytes={self._position}-", "If-Range": self._mark}
        with contextlib.ExitStack() as opened:
            answer = opened.enter_context(self._ask(headers))
            if answer.response.status in (200, 416):
                raise Changed("the file is another one by now")
            refuse_status(answer, 206)
            self._refuse_other(answer)
            self._take(answer)
            self._open = opened.pop_all()
        log.info("download goes on host=%s at=%d of=%s", answer.host, self._position, self.size_bytes)

    def _refuse_other(self, answer: Answer) -> None:
        """Raises Changed unless the answer is all of the rest, and of the same file."""
        size, headers = self.size_bytes or 0, answer.response.headers
        found = _RANGE.match(headers.get("Content-Range", ""))
        if answer.place != self._place:
            raise Changed("another server or file answers for it")
        if _mark(answer.response, is_rest=True) != self._mark:
            raise Changed("the file is another one by now")
        if found is None or tuple(map(int, found.groups())) != (self._position, size - 1, size):
            raise Changed("the server sends another part than was asked for")
        if _announced(answer.response) not in (None, size - self._position):
            raise Changed("the server sends another number of bytes than it says")


def refuse_status(answer: Answer, wanted: int) -> None:
    status = answer.response.status
    if status != wanted:
        is_passing = status >= 500 or status == 429
        raise FetchFailed(f"{answer.host} answered with status {status}", retryable=is_passing)


def _announced(response: urllib3.BaseHTTPResponse) -> int | None:
    """Content-Length, unless the body is in chunks, where it means nothing (RFC 9112 §6.3)."""
    text = response.headers.get("Content-Length", "")
    if "Transfer-Encoding" in response.headers or not (text.isascii() and text.isdigit()):
        return None
    return int(text.lstrip("0")[:19] or "0")


def _mark(response: urllib3.BaseHTTPResponse, *, is_rest: bool = False) -> str:
    """What tells this file from any other that the address may stand for; empty when the rest cannot be asked for.

    is_rest: of an answer to such a request, which says by its status that ranges are served.
    """
    headers = response.headers
    tag = headers.get("ETag", "").strip()
    is_plain = headers.get("Content-Encoding", "identity").strip().lower() == "identity"
    is_ranged = is_rest or (headers.get("Accept-Ranges", "").strip().lower() == "bytes" and _announced(response))
    return tag if is_plain and is_ranged and _STRONG.match(tag) else ""


def _late() -> FetchFailed:
    return FetchFailed("the download took too long", retryable=True)


def short(cause: BaseException) -> str:
    """The innermost reason, without the addresses of objects that urllib3 puts into its texts."""
    while cause.__cause__ is not None or isinstance(getattr(cause, "reason", None), BaseException):
        inner = getattr(cause, "reason", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__ or cause
    return type(cause).__name__ if "object at" in str(cause) else str(cause)[:200]
