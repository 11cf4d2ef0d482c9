import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.models import schema
from appliance.models.database import Database
from appliance.models.setting import Setting
from appliance.services.vault import (
    MASK,
    MasterKeyUnusable,
    NotSealedHere,
    Vault,
    check_canary,
    mask,
    new_key_text,
    plant_canary,
)

VAULT = Vault(b"k" * 32)


@given(st.binary(max_size=2000), st.text(max_size=60))
def test_round_trip(plain: bytes, context: str):
    sealed = VAULT.seal(plain, context)
    assert VAULT.open(sealed, context) == plain
    assert len(sealed) == len(plain) + 3 + 4 + 12 + 16


def test_nothing_shows_through_and_nothing_repeats():
    one, two = VAULT.seal(b"calvin-calvin", "a"), VAULT.seal(b"calvin-calvin", "a")
    assert b"calvin" not in one
    assert one != two
    assert "k" * 8 not in repr(VAULT)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(junk: bytes):
    with pytest.raises(NotSealedHere):
        VAULT.open(junk, "a")


def test_a_value_opens_only_for_its_own_row():
    sealed = VAULT.seal(b"x", "node/1/bmc")
    with pytest.raises(NotSealedHere):
        VAULT.open(sealed, "node/2/bmc")


@pytest.mark.parametrize("at", [0, 3, 8, 20, -1])
def test_a_changed_bit_is_noticed(at: int):
    sealed = bytearray(VAULT.seal(b"x" * 20, "a"))
    sealed[at] ^= 1
    with pytest.raises(NotSealedHere):
        VAULT.open(bytes(sealed), "a")


def test_another_key_does_not_open():
    with pytest.raises(NotSealedHere):
        Vault(b"q" * 32).open(VAULT.seal(b"x", "a"), "a")


def test_mask():
    assert mask(b"secret") == MASK
    assert mask("") == MASK
    assert mask(None) is None


class TestKeyFile:
    def write(self, state: Path, text: str, mode: int = 0o600) -> None:
        (state / "master.key").write_text(text)
        (state / "master.key").chmod(mode)

    def test_loads_what_init_writes(self, tmp_path: Path):
        self.write(tmp_path, new_key_text())
        vault = Vault.load(tmp_path)
        assert vault.open(Vault.load(tmp_path).seal(b"x", "a"), "a") == b"x"

    def test_two_keys_differ(self):
        assert new_key_text() != new_key_text()

    def test_missing_is_told_and_not_made(self, tmp_path: Path):
        with pytest.raises(MasterKeyUnusable, match="is missing") as caught:
            Vault.load(tmp_path)
        assert "restore" in caught.value.next_step
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("text", ["", "x", "rackwright-master-key-1:", "rackwright-master-key-1:AAAA", "A" * 300])
    def test_damaged(self, tmp_path: Path, text: str):
        self.write(tmp_path, text)
        with pytest.raises(MasterKeyUnusable, match="does not hold a master key") as caught:
            Vault.load(tmp_path)
        assert "AAAA" not in caught.value.message

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
    def test_others_can_read_it(self, tmp_path: Path, mode: int):
        self.write(tmp_path, new_key_text(), mode)
        with pytest.raises(MasterKeyUnusable, match="can be read by others"):
            Vault.load(tmp_path)

    def test_a_link_or_a_directory(self, tmp_path: Path):
        (tmp_path / "real").write_text(new_key_text())
        (tmp_path / "master.key").symlink_to(tmp_path / "real")
        with pytest.raises(MasterKeyUnusable, match="cannot be read"):
            Vault.load(tmp_path)
        (tmp_path / "master.key").unlink()
        (tmp_path / "master.key").mkdir()
        with pytest.raises(MasterKeyUnusable, match="is not a file"):
            Vault.load(tmp_path)


class TestCanary:
    @pytest.fixture
    def database(self, tmp_path: Path):
        url = f"sqlite:///{tmp_path}/a.db"
        schema.upgrade(url, tmp_path)
        database = Database.at(url)
        yield database
        database.dispose()

    def test_binds_key_and_database(self, database: Database):
        with database.write() as session:
            plant_canary(session, VAULT)
        with database.write() as session:
            plant_canary(session, VAULT)
            check_canary(session, VAULT)
        with database.read() as session, pytest.raises(MasterKeyUnusable, match="does not belong to this database"):
            check_canary(session, Vault(os.urandom(32)))

    def test_a_bound_database_is_not_bound_again(self, database: Database):
        with database.write() as session:
            plant_canary(session, VAULT)
        with pytest.raises(MasterKeyUnusable), database.write() as session:
            plant_canary(session, Vault(b"q" * 32))
        with database.read() as session:
            check_canary(session, VAULT)

    def test_an_unbound_database_is_refused(self, database: Database):
        with database.read() as session, pytest.raises(MasterKeyUnusable, match="never bound"):
            check_canary(session, VAULT)
        with database.read() as session:
            assert session.get(Setting, "canary") is None
