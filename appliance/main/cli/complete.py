"""Completion of names that only the appliance knows. Kept in a cache for a minute, so that Tab is quick.

A Tab key must never print an error or hang: whatever goes wrong, there are no suggestions.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from appliance.main.cli.exits import Failure
from appliance.main.cli.invocation import Invocation
from appliance.main.client_errors import ClientError

FRESH_S = 60.0
PATIENCE_S = 1.0

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _names(kind: str) -> Completer:
    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        invocation = ctx.find_object(Invocation)
        try:
            names = known_names(invocation, kind) if invocation is not None else []
        except (Failure, ClientError, OSError, ValueError):
            return []
        return [name for name in names if name.startswith(incomplete)]

    return complete


node_names = _names("nodes")
image_names = _names("images")
subnet_names = _names("subnets")


def known_names(inv: Invocation, kind: str) -> list[str]:
    """Names of nodes, images or subnets; from the cache when it is fresh and of the same appliance."""
    cache = _cache_file(inv, kind)
    now = time.time()
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
        if kept["url"] == inv.place().url and 0 <= now - kept["at"] < FRESH_S:
            return [str(name) for name in kept["names"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no cache, or not one of ours: ask
    client = inv.client()
    client.timeout_s = PATIENCE_S
    page = next(iter(client.pages(f"/v1/{kind}")), [])
    names = [str(item["name"]) for item in page if item.get("name")]
    _keep(cache, {"url": inv.place().url, "at": now, "names": names})
    return names


def _cache_file(inv: Invocation, kind: str) -> Path:
    environment = inv.environment
    home = environment.get("XDG_CACHE_HOME") or str(Path(environment.get("HOME") or "/nonexistent") / ".cache")
    return Path(home) / "rackwright" / f"{kind}.json"


def _keep(cache: Path, document: object) -> None:
    try:
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = cache.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(document), encoding="utf-8")
        temporary.chmod(0o600)
        temporary.replace(cache)
    except OSError:
        pass  # a read-only home only makes the next Tab slower
