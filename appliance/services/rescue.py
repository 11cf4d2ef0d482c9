"""The password of a rescue: hashed when it is asked for, sealed while it is needed, never kept in the clear."""

import orjson

from appliance.domain.errors import Conflict, Invalid
from appliance.models.node import Node
from appliance.services import agents, instance_secrets, shadow
from appliance.services.vault import Vault

MAX_PASSWORD = 255


def password_hash(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_PASSWORD or not value.isprintable():
        raise Invalid(f"rescue_password is a text of 1 to {MAX_PASSWORD} printable characters")
    return shadow.hashed(value)


def keep(vault: Vault, node: Node, password_hash: str) -> None:
    """Sealed, and only until the end of the rescue."""
    instance_secrets.keep(vault, node, instance_secrets.read(vault, node) | {"rescue": password_hash})


def params(vault: Vault, node: Node) -> bytes | None:
    """Secret parameters of the agent's `rescue`, sealed."""
    password_hash = instance_secrets.read(vault, node).get("rescue")
    if password_hash is None:
        raise Conflict(f"the rescue password of {node.label} is gone", next_step="ask for the rescue anew")
    return vault.seal(orjson.dumps({"password_hash": password_hash}), agents.command_context(node))


def forget(vault: Vault, node: Node) -> None:
    """The rescue is over: its password opens nothing any more."""
    hidden = instance_secrets.read(vault, node)
    if hidden.pop("rescue", None) is not None:
        instance_secrets.keep(vault, node, hidden)
