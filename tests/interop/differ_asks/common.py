"""What all sections share: short forms, versions, values that fit nowhere."""

from typing import Any

from tests.interop.differ_worlds import Ask

VERSIONS = ("1.1", "1.9", "1.11", "1.31", "1.46", "1.61", "1.72", "1.89", "1.101", "1.110")
FAKE = "fake-hardware"
ABSENT = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
ODD: tuple[Any, ...] = (None, "", "x", 5, 1.5, True, [], {}, "a" * 300, ABSENT)
"""One of each type, and texts that are too short, too long and of another form."""


def get(path: str, version: str | None = "1.110", **more: Any) -> Ask:
    return Ask(method="GET", path=path, version=version, **more)


def post(path: str, body: Any, version: str | None = "1.110", **more: Any) -> Ask:
    return Ask(method="POST", path=path, body=body, version=version, **more)


def put(path: str, body: Any = None, version: str | None = "1.110", **more: Any) -> Ask:
    return Ask(method="PUT", path=path, body=body, version=version, **more)


def patch(path: str, body: Any, version: str | None = "1.110", **more: Any) -> Ask:
    return Ask(method="PATCH", path=path, body=body, version=version, **more)


def delete(path: str, version: str | None = "1.110", **more: Any) -> Ask:
    return Ask(method="DELETE", path=path, version=version, **more)


def node(keep: str, version: str = "1.110", **more: Any) -> Ask:
    return post("/v1/nodes", {"driver": FAKE, **more}, version, keep=keep)


def trial(path: str, body: Any, version: str = "1.110") -> list[Ask]:
    """Make one; what was made is taken away again, and where nothing was made both say so."""
    return [post(path, body, version, keep="trial"), delete(f"{path}/<trial>", version)]


def replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


def add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def remove(path: str) -> dict[str, Any]:
    return {"op": "remove", "path": path}
