"""What is sealed of a node's instance: {user_data (base64), network_data, rescue (hash of a password)}."""

from collections.abc import Mapping
from typing import Any

import orjson

from appliance.models.node import Node
from appliance.services.vault import Vault


def context(node: Node) -> str:
    """The vault context."""
    return f"node:{node.uuid}:instance"


def read(vault: Vault, node: Node) -> dict[str, Any]:
    if node.instance_secret is None:
        return {}
    opened: dict[str, Any] = orjson.loads(vault.open(node.instance_secret, context(node)))
    return opened


def keep(vault: Vault, node: Node, hidden: Mapping[str, Any]) -> None:
    node.instance_secret = vault.seal(orjson.dumps(hidden), context(node))
