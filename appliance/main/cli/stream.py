"""Following the appliance's event log by long poll."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from appliance.main.cli.columns import doing
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.text import inert, inert_json
from appliance.main.client_errors import ApiError, Unreachable

Json = dict[str, Any]

HOLD_S = 25
"""How long the appliance may hold one question open."""
PAUSE_S = 0.2
"""At least so long between two questions, whatever the answer: a stream of changes must not become a storm of them."""


def latest(inv: Invocation) -> object:
    """The place in the log from which everything is new."""
    return inv.client().get("/v1/events", last=1).get("next")


def follow(inv: Invocation, cursor: object, **query: object) -> Iterator[Json]:
    """Events after `cursor`, for ever. The appliance may restart meanwhile."""
    told = False
    while True:
        asked_at = time.monotonic()
        try:
            answer = inv.client().get("/v1/events", after=cursor, wait=HOLD_S, **query)
            told = False
        except Unreachable as error:
            if not told:
                inv.note(f"the appliance does not answer ({error.why}); still trying")
            told = True
            time.sleep(1.0)
            continue
        yield from (item for item in answer.get("items") or [] if isinstance(item, dict))
        cursor = answer.get("next") or cursor
        time.sleep(max(0.0, PAUSE_S - (time.monotonic() - asked_at)))


def watch_nodes(inv: Invocation, cursor: object, query: Mapping[str, object]) -> None:
    """One line per node that changed: JSON in a pipe, words on a terminal."""
    from appliance.main.client import part

    shown: dict[str, str] = {}
    for event in follow(inv, cursor):
        named = event.get("node")
        ref = (named.get("uuid") or named.get("name")) if isinstance(named, Mapping) else named
        if not ref:
            continue
        try:
            node = inv.client().get(f"/v1/nodes/{part(str(ref))}")
        except ApiError:
            continue  # deleted since
        if not _matches(node, query):
            continue
        line = _line(inv, node)
        if shown.get(str(ref)) != line:
            shown[str(ref)] = line
            print(line, flush=True)


def _matches(node: Json, query: Mapping[str, object]) -> bool:
    keys = {"state": "provision_state"}
    return all(
        value in (node.get("macs") or []) if key == "mac" else str(node.get(keys.get(key, key))) == value
        for key, value in query.items()
    )


def _line(inv: Invocation, node: Json) -> str:
    if inv.style.is_json or not sys.stdout.isatty():
        return inert_json(json.dumps(node, ensure_ascii=False))
    words = [node.get("name") or node.get("uuid"), node.get("provision_state"), node.get("power_state"), doing(node)]
    return inert("  ".join(str(word) for word in words if word))
