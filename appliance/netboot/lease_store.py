"""The lease book on the disk: SQLite, on the platter when `apply` returns. Fulfils `pxe.needs.LeaseBook`.

Never two owners is also a rule of the schema: one row per address, one per machine and subnet. A row that cannot be
read is left out and named in the log; the rest is served.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from pxe.errors import StorageFault
from pxe.types import Lease, LeaseChange, Mac

log = logging.getLogger(__name__)

_BUSY_MS = 1000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS lease (
    address TEXT PRIMARY KEY,
    subnet TEXT NOT NULL,
    mac TEXT NOT NULL,
    expires_at REAL NOT NULL,
    hostname TEXT,
    client_id BLOB NOT NULL,
    UNIQUE (subnet, mac)
) WITHOUT ROWID
"""
_INSERT = (
    "INSERT OR REPLACE INTO lease (address, subnet, mac, expires_at, hostname, client_id) VALUES (?, ?, ?, ?, ?, ?)"
)


class LeaseStore:
    """Calls block; they may come from different threads, one at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def load(self) -> Sequence[Lease]:
        """Raises StorageFault when there is no usable file at all."""
        try:
            rows = self._open().execute("SELECT address, subnet, mac, expires_at, hostname, client_id FROM lease")
            return [lease for row in rows if (lease := _lease(row)) is not None]
        except sqlite3.Error as cause:
            self.close()
            raise StorageFault(f"leases cannot be read: {cause}") from cause

    def apply(self, changes: Iterable[LeaseChange]) -> None:
        """All or nothing. Raises StorageFault; the file is opened anew for the next call then."""
        final = {change.address: change.after for change in changes}
        try:
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("DELETE FROM lease WHERE address = ?", [(str(address),) for address in final])
                connection.executemany(_INSERT, [_row(lease) for lease in final.values() if lease is not None])
        except sqlite3.Error as cause:
            # After a failed sync nothing that this handle believes can be trusted (fsyncgate).
            self.close()
            raise StorageFault(f"leases cannot be written: {cause}") from cause

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA cache_size = -1024")
                connection.execute(_SCHEMA)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _row(lease: Lease) -> tuple[str, str, str, float, str | None, bytes]:
    return str(lease.address), lease.subnet, lease.mac, lease.expires_at, lease.hostname, lease.client_id


def _lease(row: tuple[str, str, str, float, str | None, bytes]) -> Lease | None:
    address, subnet, mac, expires_at, hostname, client_id = row
    try:
        return Lease(
            address=IPv4Address(address),
            subnet=subnet,
            mac=Mac(mac),
            expires_at=float(expires_at),
            hostname=hostname,
            client_id=bytes(client_id),
        )
    except (ValueError, TypeError) as fault:
        log.error("lease row left out address=%r fault=%s", address, fault)  # noqa: TRY400  (data, not a bug)
        return None
