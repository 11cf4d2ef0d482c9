"""Arguments of runbooks' and deploy templates' steps may hold secrets: masks are stored, and the whole is sealed."""

from collections.abc import Mapping
from typing import Any, Protocol

import orjson

from appliance.domain.secret_names import is_secret
from appliance.services.vault import MASK, Vault


class HasSteps(Protocol):
    uuid: Any
    steps: Any
    secret: Any


def columns(vault: Vault, uuid: str, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """What to keep of the steps of the thing with this UUID, by the names of the columns."""
    masked = hidden(steps)
    secret = vault.seal(orjson.dumps(steps), _context(uuid)) if masked != steps else None
    return {"steps": masked, "secret": secret}


def opened(vault: Vault, row: HasSteps) -> list[dict[str, Any]]:
    """The steps as they were given."""
    found: list[dict[str, Any]] = (
        row.steps if row.secret is None else orjson.loads(vault.open(row.secret, _context(row.uuid)))
    )
    return found


def hidden(value: Any) -> Any:
    """The same with a mask in the place of each secret."""
    if isinstance(value, Mapping):
        return {key: MASK if is_secret(str(key)) and inner else hidden(inner) for key, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


def _context(uuid: str) -> str:
    return f"steps:{uuid}"
