"""Secrets among free-form values: which they are, and how they are taken out before anything is stored.

What is stored and shown has the mask in the place of a secret; the secrets themselves are sealed together. The mask
that a client sends back stands for the stored secret and never becomes one.
"""

from collections.abc import Mapping
from typing import Any

from appliance.http.ironic.errors import BadRequest
from appliance.services.vault import MASK

_WORDS = (
    "password", "passwd", "passphrase", "pswd", "adminpass", "admin_pass", "new_pass", "secret", "token", "private_key",
    "encrypted_key", "auth_key", "priv_key", "sslkey", "credential", "configdrive",
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


def split(given: Mapping[str, Any], sealed: Mapping[str, Any], what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what to store in the clear, with masks; the secrets to seal). sealed: those stored before.

    Raises BadRequest for a mask that stands for nothing.
    """
    clear: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for name, value in given.items():
        if not holds_secret(name, value):
            clear[name] = value
            continue
        if value == MASK and name not in sealed:
            raise BadRequest(f"{what}/{name[:64]} is the mask of a secret, not a secret")
        clear[name], secrets[name] = MASK, sealed[name] if value == MASK else value
    return clear, secrets


def hidden(value: Any) -> Any:
    """The same with a mask in the place of each secret, for showing."""
    if isinstance(value, Mapping):
        return {key: MASK if is_secret(str(key)) and inner else hidden(inner) for key, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


def refuse_masks(what: str, value: Any) -> None:
    """Raises BadRequest when a mask stands where a secret should: whoever sends it was shown it, and not the secret."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if inner == MASK and is_secret(str(key)):
                raise BadRequest(f"{what}: {str(key)[:64]} is the mask of a secret, not a secret")
            refuse_masks(what, inner)
    elif isinstance(value, list):
        for inner in value:
            refuse_masks(what, inner)
