"""The keys that seal tokens. They lie in the database, sealed under the master key, so appliances that share a database
accept each other's tokens.

A ring has a staged key, the one that seals, and older ones that only open. A rotation makes the staged key the sealing
one and stages a fresh one: since every process has known the staged key for long, none meets a token that it cannot
open. An older key is dropped when every token sealed with it has expired.
"""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy.orm import Session

from appliance.models.database import Database, take_turns
from appliance.models.setting import Setting
from appliance.services.vault import Vault

_SETTING = "token_keys"
_CONTEXT = "setting/token_keys"
_KNOWN_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """since: when it was staged, or began to seal. retired_at: when it ended to seal."""

    secret: str = field(repr=False)
    since: float
    retired_at: float | None = None


def load(session: Session, vault: Vault) -> list[_Key]:
    """The ring: staged, sealing, older ones; empty when there is none yet."""
    row = session.get(Setting, _SETTING)
    if row is None:
        return []
    kept: list[dict[str, Any]] = json.loads(vault.open(row.value, _CONTEXT))
    return [_Key(secret=one["secret"], since=one["since"], retired_at=one["retired_at"]) for one in kept]


def _keep(session: Session, vault: Vault, ring: list[_Key]) -> None:
    plain = [{"secret": key.secret, "since": key.since, "retired_at": key.retired_at} for key in ring]
    sealed = vault.seal(json.dumps(plain).encode(), _CONTEXT)
    row = session.get(Setting, _SETTING)
    if row is None:
        session.add(Setting(name=_SETTING, value=sealed))
    else:
        row.value = sealed
    session.flush()


def _fresh(now: datetime) -> _Key:
    return _Key(secret=Fernet.generate_key().decode(), since=now.timestamp())


def ensure(session: Session, vault: Vault, now: datetime) -> list[_Key]:
    """The ring, made when there is none."""
    take_turns(session, _SETTING)
    ring = load(session, vault)
    if not ring:
        ring = [_fresh(now), _fresh(now)]
        _keep(session, vault, ring)
    return ring


def rotate(session: Session, vault: Vault, now: datetime, *, longest: timedelta) -> int:
    """Seal with the staged key from now on. longest: no token lives longer. Returns how many keys open tokens now."""
    staged, sealing, *older = ensure(session, vault, now)
    retired = _Key(secret=sealing.secret, since=sealing.since, retired_at=now.timestamp())
    sealing_now = _Key(secret=staged.secret, since=now.timestamp())
    earliest = (now - longest).timestamp()
    ring = [_fresh(now), sealing_now, *(key for key in (retired, *older) if (key.retired_at or 0) >= earliest)]
    _keep(session, vault, ring)
    return len(ring)


def rotate_when_old(session: Session, vault: Vault, now: datetime, *, age: timedelta, longest: timedelta) -> bool:
    """Rotate when the sealing key is of that age; False when nothing was due."""
    sealing = ensure(session, vault, now)[1]
    if now.timestamp() - sealing.since < age.total_seconds():
        return False
    rotate(session, vault, now, longest=longest)
    return True


class Ring:
    """The keys as this process knows them; looked up again each minute, and when a token does not open."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._lock = threading.Lock()
        self._keys: list[Fernet] = []
        self._looked_at = datetime(1970, 1, 1, tzinfo=UTC)

    def __repr__(self) -> str:
        return f"Ring(keys={len(self._keys)})"

    def opening(self, now: datetime) -> list[Fernet]:
        """The sealing key first, then the others."""
        if not self._keys or not timedelta(0) <= now - self._looked_at < _KNOWN_FOR:
            self.look(now)
        return self._keys

    def look(self, now: datetime) -> bool:
        """Read the ring again; False when that was done within the last second."""
        with self._lock:
            if self._keys and timedelta(0) <= now - self._looked_at < timedelta(seconds=1):
                return False
            with self._database.read() as session:
                ring = load(session, self._vault)
            if not ring:
                with self._database.write() as session:
                    ring = ensure(session, self._vault, now)
            staged, *rest = [Fernet(key.secret) for key in ring]
            self._keys, self._looked_at = [*rest, staged], now
            return True
