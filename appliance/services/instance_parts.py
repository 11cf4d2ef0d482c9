"""What people give an instance: SSH keys and user-data, checked before anything is powered."""

import base64
import binascii
import re
from typing import Any

from appliance.domain.errors import Invalid, TooLarge
from images import userdata

MAX_KEYS = 64
MAX_USER_DATA = 64 * 1024
_KEY_KINDS = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
              "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com")  # fmt: skip
_KEY = re.compile(r"([a-z0-9@.-]+) ([A-Za-z0-9+/]+={0,2})( [^\x00-\x1f\x7f]{0,200})?\Z")


def ssh_keys(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_KEYS:
        raise Invalid(f"ssh_keys is a list of at most {MAX_KEYS} public keys")
    return [_ssh_key(item) for item in value]


def _ssh_key(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if "PRIVATE KEY" in text[:200]:
        raise Invalid("that is a private key; it was not stored", next_step="give the file that ends in .pub")
    found = _KEY.match(text) if len(text) <= 16384 else None
    if found is None or found[1] not in _KEY_KINDS:
        raise Invalid("an SSH key is one line such as 'ssh-ed25519 AAAA… name', without options")
    try:
        blob = base64.b64decode(found[2], validate=True)
    except binascii.Error as cause:
        raise Invalid("the SSH key's middle part is not base64") from cause
    if found[1].encode() not in blob[:64]:
        raise Invalid("the SSH key's body is of another kind than its first word says")
    return text


def user_data(value: Any, schema: dict[str, Any] | None) -> str | None:
    """Base64 of the bytes as given; cloud-config is checked against the schema that came with the image."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Invalid("user_data is a text")
    raw = value.encode()
    if len(raw) > MAX_USER_DATA:
        raise TooLarge(f"user-data is larger than {MAX_USER_DATA} bytes")
    problems = userdata.validate(raw, schema)
    if problems:
        first = problems[0]
        raise Invalid(
            f"user-data is not valid cloud-config: line {first.line}: {first.message}",
            why="; ".join(f"line {p.line}, column {p.column}: {p.message}" for p in problems[:10]),
            next_step="correct it and deploy again; nothing was powered",
        )
    return encoded(value)


def encoded(value: Any) -> str | None:
    return base64.b64encode(value.encode()).decode() if value else None
