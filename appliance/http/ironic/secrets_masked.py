"""Secrets among free-form values: which they are, and how they are taken out before anything is stored.

What is stored and shown has the mask in the place of a secret; the secrets themselves are sealed together. The mask
that a client sends back stands for the stored secret and never becomes one.
"""

import re
from collections.abc import Mapping
from typing import Any

from appliance.domain.secret_names import holds_secret, is_secret
from appliance.http.ironic.errors import BadRequest
from appliance.services.vault import MASK

_ADDRESS = re.compile(r"://[^\s/?#]{0,1024}@")
"""An address that somebody's name and password open."""


def split(given: Mapping[str, Any], sealed: Mapping[str, Any], what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what to store in the clear, with masks; the secrets to seal). sealed: those stored before.

    Raises BadRequest for a mask that stands for nothing, and for an address with a password in it.
    """
    clear: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for name, value in given.items():
        if not holds_secret(name, value):
            _refuse_open_address(f"{what}/{name[:64]}", value)
            clear[name] = value
            continue
        if value == MASK and name not in sealed:
            raise BadRequest(f"{what}/{name[:64]} is the mask of a secret, not a secret")
        clear[name], secrets[name] = MASK, sealed[name] if value == MASK else value
    return clear, secrets


def _refuse_open_address(what: str, value: Any) -> None:
    """Raises BadRequest: whoever may see the value would see the password, and no fetcher of ours sends one."""
    if isinstance(value, str) and _ADDRESS.search(value):
        raise BadRequest(f"{what} is an address with a user name or password in it, which everybody could read here")
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for one in inner:
        _refuse_open_address(what, one)


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
