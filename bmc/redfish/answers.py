"""What a Redfish service answers: JSON in bounds, its errors in words, the paths that it may send us to. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from bmc.errors import BmcError, Busy, Denied, Nonsense, Unsupported

MAX_DEPTH = 40
_WORDS_MAX = 200
_MESSAGES_MAX = 20
_PASSING = ("UnableToModifyDuringSystemPOST", "InvalidOperationForSystemState", "ResourceInUse", "SYS518")
"""Messages of BMCs that are not ready yet, whatever the status; a later try may succeed."""
_FULL = ("SessionLimitExceeded", "RAC0218")
"""No session is free: the standard's message, and Dell's."""
_FULL_STATUSES = frozenset({429, 503})
Json = dict[str, Any]


class Forbidden(Denied):
    """The BMC lets the user in and forbids this: a privilege is missing, or a licence."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes


_FAULTS: Mapping[int, type[BmcError]] = {
    401: Denied, 403: Forbidden,
    400: Unsupported, 404: Unsupported, 405: Unsupported, 415: Unsupported, 501: Unsupported,
    409: Busy, 412: Busy, 428: Busy, 429: Busy, 500: Busy, 502: Busy, 503: Busy, 504: Busy,
}  # fmt: skip


def read(answer: Answer, path: str) -> Json:
    """The JSON of an answer that says yes. Raises the BmcError of one that says no."""
    if answer.status in {200, 201, 202, 204}:
        return decoded(answer.raw) if answer.raw.strip() else {}
    kind = _FAULTS.get(answer.status, Nonsense)
    if kind is not Nonsense and _mentions(answer, _PASSING):
        kind = Busy
    if issubclass(kind, Denied):
        raise kind
    words = _words(answer.raw)
    raise kind(f"The BMC answered {answer.status} to {path}{': ' + words if words else '.'}")


def etag(answer: Answer, found: Json) -> str | None:
    """The header's, else the one that the resource carries: some services give only this."""
    said = answer.headers.get("ETag") or found.get("@odata.etag")
    return said if isinstance(said, str) and 0 < len(said) <= 256 and said.isascii() and said.isprintable() else None


def is_full(answer: Answer) -> bool:
    """Whether a log-in was refused because too many sessions are open."""
    return answer.status in _FULL_STATUSES or (answer.status >= 400 and _mentions(answer, _FULL))


def own_path(location: str | None, *, host: str, port: int) -> str | None:
    """The path of a URL below /redfish/ of this very service; None for every other place."""
    try:
        url = parse_url(location or "")
    except LocationParseError:
        return None
    if url.host is not None:
        there = (url.scheme, url.host.strip("[]"), url.port or 443)
        if there != ("https", host.lower(), port):
            return None
    path = url.path or ""
    if not is_own(path):
        return None
    return f"{path}?{url.query}" if url.query else path


def is_own(path: str) -> bool:
    return path.startswith("/redfish/")


def decoded(raw: bytes) -> Json:
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


def _messages(raw: bytes) -> list[Json]:
    try:
        told = decoded(raw)["error"].get("@Message.ExtendedInfo") or []
    except (BmcError, KeyError, AttributeError):
        return []
    return [one for one in told[:_MESSAGES_MAX] if isinstance(one, dict)] if isinstance(told, list) else []


def _mentions(answer: Answer, ids: tuple[str, ...]) -> bool:
    return any(str(one.get("MessageId", "")).endswith(ids) for one in _messages(answer.raw))


def _words(raw: bytes) -> str:
    """What the service says of an error, for people: its first message, printable and short."""
    said = next((one["Message"] for one in _messages(raw) if isinstance(one.get("Message"), str)), None)
    if said is None:
        try:
            said = decoded(raw)["error"]["message"]
        except (BmcError, KeyError, TypeError):
            return ""
    return "".join(one for one in str(said)[:_WORDS_MAX] if one.isprintable())
