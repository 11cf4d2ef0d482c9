"""A token: claims, sealed so that nobody but the appliance can read, make or change one. No row, no look-up by value.

Text: `rwt_` (a mark for secret scanners) and a Fernet token without its padding. Claims, big-endian:

    version 1 | methods 1 | scope 1 | flags 1 | issued 8 | expires 8 | generation 4 | audit 16 | [parent 16]
    then user, [scope id], [application credential], each: length 1 and UTF-8, or 0xFF and the 16 octets of a hex id

Times are microseconds since 1970. Spec: Fernet (github.com/fernet/spec): AES-128-CBC under HMAC-SHA256. Not here:
whether the claims still hold (services.identity.bearers).
"""

import base64
import binascii
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

PREFIX = "rwt_"
MAX_TEXT = 1024
METHODS = ("password", "token", "application_credential")
SCOPES = ("unscoped", "system", "project", "domain")

_VERSION = 1
_HEAD = struct.Struct(">BBBBQQI16s")
_HAS_PARENT, _HAS_CREDENTIAL = 1, 2
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_US = 250_000_000_000_000_000  # about the year 9890
_NOT_OURS = "not a token of ours"


class Malformed(ValueError):
    """The text is no token of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """kind: one of SCOPES. id: of the project or the domain, else empty."""

    kind: str = "unscoped"
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says.

    generation: the user's when it was issued. audit, parent: 16 octets; the first of a chain has no parent.
    credential_id: the application credential that it came from, or empty.
    """

    user_uuid: str
    methods: tuple[str, ...]
    scope: Scope
    issued_at: datetime
    expires_at: datetime
    generation: int
    audit: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    parent: bytes = b""
    credential_id: str = ""

    @property
    def audit_ids(self) -> list[str]:
        return [_short(octets) for octets in (self.audit, self.parent) if octets]

    @property
    def chain_id(self) -> str:
        """The audit id that this token and all that were made from it share."""
        return _short(self.parent or self.audit)


def encode(claims: Claims) -> bytes:
    """Raises ValueError for an id of more than 254 octets."""
    methods = sum(1 << METHODS.index(method) for method in set(claims.methods))
    flags = (_HAS_PARENT if claims.parent else 0) | (_HAS_CREDENTIAL if claims.credential_id else 0)
    head = _HEAD.pack(
        _VERSION, methods, SCOPES.index(claims.scope.kind), flags, _us(claims.issued_at), _us(claims.expires_at),
        claims.generation, claims.audit,
    )  # fmt: skip
    ids = [claims.user_uuid]
    if claims.scope.kind in ("project", "domain"):
        ids.append(claims.scope.id)
    if claims.credential_id:
        ids.append(claims.credential_id)
    return head + claims.parent + b"".join(_id_out(one) for one in ids)


def decode(data: bytes) -> Claims:
    """Raises Malformed, and nothing else, for any octets that `encode` did not make."""
    if len(data) < _HEAD.size or len(data) > 1024:
        raise Malformed(_NOT_OURS)
    version, methods, scope, flags, issued, expires, generation, audit = _HEAD.unpack_from(data)
    is_known = version == _VERSION and scope < len(SCOPES) and not flags & ~3 and not methods >> len(METHODS)
    if not is_known or max(issued, expires) > _LATEST_US:
        raise Malformed(_NOT_OURS)
    reader = _Reader(data, _HEAD.size)
    parent = reader.take(16) if flags & _HAS_PARENT else b""
    user = reader.id()
    kind = SCOPES[scope]
    target = reader.id() if kind in ("project", "domain") else ""
    credential = reader.id() if flags & _HAS_CREDENTIAL else ""
    if not reader.is_at_end or (flags & _HAS_CREDENTIAL and not credential):
        raise Malformed(_NOT_OURS)
    return Claims(
        user_uuid=user, methods=tuple(name for bit, name in enumerate(METHODS) if methods >> bit & 1),
        scope=Scope(kind=kind, id=target), issued_at=_EPOCH + timedelta(microseconds=issued),
        expires_at=_EPOCH + timedelta(microseconds=expires), generation=generation, audit=audit, parent=parent,
        credential_id=credential,
    )  # fmt: skip


def seal(claims: Claims, keys: Sequence[Fernet]) -> str:
    """keys: the first one seals."""
    return PREFIX + keys[0].encrypt(encode(claims)).decode().rstrip("=")


def unseal(text: str, keys: Sequence[Fernet]) -> Claims:
    """Raises Malformed. When the claims end is for the caller to check."""
    body = text.removeprefix(PREFIX)
    if len(text) > MAX_TEXT or not text.isascii() or not text.startswith(PREFIX):
        raise Malformed(_NOT_OURS)
    padded = body + "=" * (-len(body) % 4)
    try:  # Fernet reads base64 leniently; one token has one spelling here, or its hash would not name it
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).decode() != padded:
            raise Malformed(_NOT_OURS)
        return decode(MultiFernet(keys).decrypt(padded))
    except (InvalidToken, binascii.Error, ValueError) as cause:
        raise Malformed(_NOT_OURS) from cause


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise Malformed(_NOT_OURS)
        self._at += count
        return taken

    def id(self) -> str:
        length = self.take(1)[0]
        if length == 0xFF:
            return self.take(16).hex()
        try:
            text = self.take(length).decode()
        except UnicodeDecodeError as cause:
            raise Malformed(_NOT_OURS) from cause
        if _HEX_ID.fullmatch(text):  # has a shorter form
            raise Malformed(_NOT_OURS)
        return text


def _id_out(text: str) -> bytes:
    if _HEX_ID.fullmatch(text):
        return b"\xff" + bytes.fromhex(text)
    octets = text.encode()
    if len(octets) > 254:
        raise ValueError("an id has at most 254 octets")
    return bytes([len(octets)]) + octets


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _short(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")
