"""Which names of free-form values are those of secrets, whatever the face that was given them.

image_url and the like hold temporary URLs, whose signature opens what they name; Ironic hides them for that, too.
"""

from collections.abc import Mapping
from typing import Any

_WORDS = (
    "password", "passwd", "passphrase", "pswd", "adminpass", "admin_pass", "new_pass", "secret", "token", "private_key",
    "encrypted_key", "auth_key", "priv_key", "sslkey", "credential", "configdrive", "snmp_community", "key_contents",
    "kg_key", "fernetkey", "image_url", "temp_url",
)  # fmt: skip


def is_secret(name: str) -> bool:
    """By its name, as the field decides it."""
    lowered = name.lower()
    return any(word in lowered for word in _WORDS)


def holds_secret(name: str, value: Any) -> bool:
    """Whether an entry is a secret or an object with one somewhere in it; an empty value is none."""
    if value is None or value == "":
        return False
    if is_secret(name):
        return True
    if isinstance(value, Mapping):
        return any(holds_secret(str(key), inner) for key, inner in value.items())
    return isinstance(value, list) and any(holds_secret("", inner) for inner in value)
