"""What differs between two answers to the same request, as lines of text that a table of known differences matches.

Before that each answer is made free of what must differ: addresses, identifiers, times, names of hosts. A line begins
with what it is about: status, body, key, type, value, fault, header.
"""

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.interop.differ_worlds import Answer, World

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")
_REQUEST = re.compile(r"req-[0-9a-f<>uid-]+")
_HEADERS = (
    "content-type", "location", "openstack-request-id", "x-openstack-ironic-api-maximum-version",
    "x-openstack-ironic-api-minimum-version", "x-openstack-ironic-api-version", "x-openstack-request-id",
)  # fmt: skip
_ALWAYS = _HEADERS[2:]
"""What is compared whatever the status is."""
HOSTS = {"ironic": "bench", "ours": socket.gethostname()[:64]}


def differences(them: tuple[World, Answer], us: tuple[World, Answer]) -> list[str]:
    """One line each; theirs first."""
    theirs, ours = them[1], us[1]
    found = []
    if theirs.status != ours.status:
        said = f"{_short(clean(*them), 160)} / {_short(clean(*us), 160)}"
        found.append(f"status: {theirs.status}, ours {ours.status}: {said}")
    found += _headers(_shown(*them), _shown(*us), _ALWAYS if found else _HEADERS)
    if theirs.status == ours.status:
        found += _bodies(clean(*them), clean(*us))
    return found


def clean(world: World, answer: Answer) -> Any:
    """The body, read, without what must differ. A refusal's inner JSON is read, too."""
    value = answer.value
    if value is None:
        return answer.raw.decode(errors="replace")[:200]
    if isinstance(value, dict) and isinstance(value.get("error_message"), str):
        try:
            value["error_message"] = json.loads(value["error_message"])
        except ValueError:
            value["error_message"] = {"not JSON": value["error_message"]}
    return _walk(world, value)


def _walk(world: World, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _next(_walk(world, one)) if key == "next" else _walk(world, one) for key, one in value.items()}
    if isinstance(value, list):
        return [_walk(world, one) for one in value]
    return _text(world, value) if isinstance(value, str) else value


def _next(url: Any) -> Any:
    """Where the next page begins, and how long it is. (Ironic adds what is usual, and forgets most filters.)"""
    if not isinstance(url, str):
        return url
    path, _, query = url.partition("?")
    return f"{path} " + " ".join(sorted(part for part in query.split("&") if part.startswith(("limit=", "marker="))))


def _text(world: World, text: str) -> str:
    text = text.replace(world.origin, "")
    for name, ident in world.kept.items():
        if _UUID.fullmatch(ident):
            text = text.replace(ident, f"<{name}>")
    text = _UUID.sub("<uuid>", text)
    text = _REQUEST.sub("<request>", _TIME.sub("<time>", text))
    return "<host>" if text == HOSTS[world.name] else text


def _shown(world: World, answer: Answer) -> dict[str, str]:
    shown = {name: _text(world, value) for name, value in answer.headers.items() if name in _HEADERS}
    if "x-openstack-ironic-api-maximum-version" in shown:
        shown["x-openstack-ironic-api-maximum-version"] = "<maximum>"
    if "content-type" in shown:
        shown["content-type"] = shown["content-type"].split(";")[0]
    return shown


def _headers(theirs: Mapping[str, str], ours: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if theirs.get(name) != ours.get(name):
            yield f"header {name}: {theirs.get(name)!r}, ours {ours.get(name)!r}"


def _bodies(theirs: Any, ours: Any) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict) and "error_message" in theirs and "error_message" in ours:
        yield from _refusals(theirs["error_message"], ours["error_message"])
    else:
        yield from _values("", theirs, ours)


def _refusals(theirs: Any, ours: Any) -> Iterator[str]:
    if set(theirs) != set(ours):
        yield f"body: a refusal has {sorted(theirs)}, ours {sorted(ours)}: {_short(theirs)} / {_short(ours)}"
        return
    for key in theirs:
        if theirs[key] != ours[key]:
            word = "fault" if key in ("faultstring", "description", "debuginfo") else f"body {key}"
            yield f"{word}: {theirs[key]!s:.400} / ours: {ours[key]!s:.400}"


def _values(at: str, theirs: Any, ours: Any) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted(set(theirs) - set(ours)):
            yield f"key {at}.{key}: not in ours ({_short(theirs[key])})"
        for key in sorted(set(ours) - set(theirs)):
            yield f"key {at}.{key}: in ours alone ({_short(ours[key])})"
        for key in sorted(set(theirs) & set(ours)):
            yield from _values(f"{at}.{key}", theirs[key], ours[key])
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f"value {at}: {len(theirs)} items, ours {len(ours)}: {_short(theirs)} / {_short(ours)}"
            return
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from _values(f"{at}[{number}]", one, other)
    elif type(theirs) is not type(ours):
        yield f"type {at}: {_short(theirs)}, ours {_short(ours)}"
    elif theirs != ours:
        yield f"value {at}: {_short(theirs)}, ours {_short(ours)}"


def _short(value: Any, most: int = 300) -> str:
    return json.dumps(value)[:most]
