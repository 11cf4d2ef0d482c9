import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from ipaddress import IPv4Address

import pytest

from appliance.netboot.lease_store import LeaseStore
from pxe.errors import StorageFault
from tests.contracts import lease_book
from tests.contracts.lease_book import change, lease
from tests.fakes.pxe_needs import MemoryLeases

WRITER = """
import sys
from pathlib import Path
from appliance.netboot.lease_store import LeaseStore
from tests.contracts.lease_book import change, lease
store = LeaseStore(Path(sys.argv[1]))
for round_ in range(10**6):
    store.apply([change(None, lease(1 + round_ % 200, round_ % 200, expires_at=float(round_)))])
    sys.stdout.write(f"{round_}\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def store(tmp_path):
    store = LeaseStore(tmp_path / "leases.db")
    yield store
    store.close()


def test_contract(store):
    lease_book.check(store)


def test_contract_of_the_fake():
    lease_book.check(MemoryLeases())


def test_durable_settings(store):
    store.load()
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("seed", range(3))
def test_every_confirmed_lease_survives_a_kill(tmp_path, seed):
    path = tmp_path / "leases.db"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as writer:
        confirmed = -1
        until = time.monotonic() + 0.05 + random.Random(seed).random() / 4
        for line in writer.stdout:
            if line.endswith(b"\n"):
                confirmed = int(line)
            if time.monotonic() > until and confirmed > 5:
                os.kill(writer.pid, signal.SIGKILL)
                break
        for line in writer.stdout.read().splitlines(keepends=True):
            confirmed = int(line) if line.endswith(b"\n") else confirmed
    store = LeaseStore(path)
    rounds = {int(entry.expires_at) for entry in store.load()}
    store.close()
    assert set(range(max(0, confirmed - 198), confirmed + 1)) <= rounds


def test_locked_by_somebody_else_is_a_fault_and_passes(store, tmp_path):
    store.load()
    other = sqlite3.connect(tmp_path / "leases.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageFault, match="locked"):
        store.apply([change(None, lease(1, 1))])
    other.execute("ROLLBACK")
    other.close()
    store.apply([change(None, lease(1, 1))])
    assert len(store.load()) == 1


def test_folder_that_is_not_there(tmp_path):
    store = LeaseStore(tmp_path / "no" / "leases.db")
    with pytest.raises(StorageFault):
        store.load()
    with pytest.raises(StorageFault):
        store.apply([change(None, lease(1, 1))])


def test_file_that_is_no_database(tmp_path):
    (tmp_path / "leases.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(StorageFault):
        LeaseStore(tmp_path / "leases.db").load()


def test_bad_row_is_left_out_and_named(store, caplog):
    store.apply([change(None, lease(1, 1))])
    store._connection.execute("INSERT INTO lease VALUES ('10.0.0.999', 'lab', 'x', 1, NULL, x'')")
    assert [entry.address for entry in store.load()] == [IPv4Address("10.0.0.1")]
    assert "10.0.0.999" in caplog.text
