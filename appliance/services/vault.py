"""Secrets at rest: AES-256-GCM under a master key that lies beside the database, never in it.

A sealed value names the key that made it and is bound to its context (`node/UUID/bmc`), so a value copied to another
row does not open. A canary in the database proves at every start that key and database belong together; a missing or
foreign key stops the start and is never made anew, because that would make every stored secret unreadable.

Envelope: `RW1` | key id, 4 octets | nonce, 12 octets | ciphertext and tag. Spec: NIST SP 800-38D, 96-bit random nonce.
"""

import base64
import binascii
import hashlib
import os
import stat
from pathlib import Path
from typing import ClassVar, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from appliance.config import Places
from appliance.domain.errors import RackwrightError
from appliance.models.setting import Setting

MASK = "******"
KEY_BYTES = 32
_MAGIC = b"RW1"
_NONCE_BYTES = 12
_HEADER_BYTES = len(_MAGIC) + 4
_FILE_MARK = "rackwright-master-key-1:"
_CANARY = "canary"


class VaultError(RackwrightError):
    """The secrets cannot be opened."""

    code: ClassVar[str] = "vault"


class NotSealedHere(VaultError):
    """The value was not sealed with this key for this context, or was changed since."""


class MasterKeyUnusable(VaultError):
    """The master key is missing, damaged, exposed, or belongs to another database."""


def mask(value: object | None) -> str | None:
    """What people see of a secret: six stars, or None where there is none."""
    return None if value is None else MASK


class Vault:
    """Seals and opens. `repr` shows the key's id, which is a hash."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise MasterKeyUnusable(f"a master key has {KEY_BYTES} octets, not {len(key)}")
        self._cipher = AESGCM(key)
        self.key_id = hashlib.sha256(b"rackwright key id" + key).digest()[:4]

    def __repr__(self) -> str:
        return f"Vault(key_id={self.key_id.hex()})"

    @classmethod
    def load(cls, state: Path) -> Self:
        """The vault of a state directory. Raises MasterKeyUnusable; never makes a key."""
        path = Places(state).master_key
        return cls(_parse_key(path, _read_key(path)))

    def seal(self, plain: bytes, context: str) -> bytes:
        """context: what the value is and whose, such as `node/UUID/bmc`; the same text is needed to open."""
        nonce = os.urandom(_NONCE_BYTES)
        header = _MAGIC + self.key_id
        return header + nonce + self._cipher.encrypt(nonce, plain, header + context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        header, nonce = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        if header != _MAGIC + self.key_id or len(nonce) != _NONCE_BYTES:
            raise NotSealedHere
        try:
            return self._cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], header + context.encode())
        except InvalidTag as cause:
            raise NotSealedHere from cause


def plant_canary(session: Session, vault: Vault) -> None:
    """Bind a fresh database to this key. A database that is bound already is only checked."""
    if session.get(Setting, _CANARY) is None:
        session.add(Setting(name=_CANARY, value=vault.seal(_CANARY.encode(), "setting/canary")))
    else:
        check_canary(session, vault)


def check_canary(session: Session, vault: Vault) -> None:
    """Raises MasterKeyUnusable when the key did not seal this database's secrets."""
    row = session.get(Setting, _CANARY)
    if row is None:
        raise MasterKeyUnusable(
            "the database was never bound to a master key",
            why="it was not made by `rackwright init`, or init did not finish",
            next_step="run `rackwright init` on this state directory again, or restore the database from a backup",
        )
    try:
        vault.open(row.value, "setting/canary")
    except NotSealedHere as cause:
        raise MasterKeyUnusable(
            "the master key does not belong to this database",
            why="stored BMC passwords and user-data were sealed with another key",
            next_step="put the master.key that belongs to this database back (it is part of every backup)",
        ) from cause


def new_key_text() -> str:
    """A fresh master key in the form of its file."""
    return f"{_FILE_MARK}{base64.b64encode(os.urandom(KEY_BYTES)).decode()}\n"


def _read_key(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError as cause:
        raise MasterKeyUnusable(
            f"{path} is missing",
            why="without it no stored secret can be opened",
            next_step="restore master.key from a backup; it cannot be made again",
        ) from cause
    except OSError as cause:
        raise MasterKeyUnusable(
            f"{path} cannot be read: {cause.strerror}", next_step="run as the user who owns the state directory"
        ) from cause
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise MasterKeyUnusable(f"{path} is not a file", next_step="restore master.key from a backup")
        if facts.st_mode & 0o077:
            raise MasterKeyUnusable(
                f"{path} can be read by others (mode {stat.S_IMODE(facts.st_mode):04o})",
                why="who holds the key opens every stored secret",
                next_step=f"run `chmod 600 {path}`, and consider the stored passwords known if others had access",
            )
        return os.read(descriptor, 256).decode("ascii", errors="replace")
    finally:
        os.close(descriptor)


def _parse_key(path: Path, text: str) -> bytes:
    body = text.strip()
    try:
        key = base64.b64decode(body.removeprefix(_FILE_MARK), validate=True)
    except binascii.Error:
        key = b""
    if not body.startswith(_FILE_MARK) or len(key) != KEY_BYTES:
        raise MasterKeyUnusable(
            f"{path} does not hold a master key",
            why="the file was cut short or changed",
            next_step="restore master.key from a backup; it cannot be made again",
        )
    return key
