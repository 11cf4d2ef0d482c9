"""init: everything once, nothing twice, and an interruption anywhere is repaired by running it again."""

import errno
import fcntl
import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from appliance.config import Config, Places
from appliance.domain.access import Role
from appliance.domain.errors import Invalid, RackwrightError, StorageFull
from appliance.models import schema
from appliance.models.database import Database
from appliance.services import clouds, files, identity, setup, tls, vault
from appliance.services.identity import Policy
from appliance.services.setup import AlreadyInitialised, InitResult, StateUnusable, init

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make(state: Path, **options) -> InitResult:
    return init(state, clock=lambda: NOW, **options)


def snapshot(state: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file()}


def log_in(state: Path, password: str) -> identity.Login:
    database = Database.at(Config.load(state).database_url)
    try:
        tokens = identity.Tokens(database, vault.Vault.load(state), lambda: NOW, Policy())
        return identity.login(tokens, name="admin", password=password)
    finally:
        database.dispose()


@pytest.fixture
def made(tmp_path: Path) -> InitResult:
    return make(tmp_path / "state", listen="127.0.0.1:9443", extra_names=["rack.example"])


def test_everything_is_there(made: InitResult):
    places = Places(made.state)
    schema.check(Config.load(made.state).database_url)
    assert made.url == "https://127.0.0.1:9443"
    assert made.ca_fingerprint == tls.ca_fingerprint(made.state)
    assert json.loads(places.cli.read_text()) == {"url": made.url, "ca": str(places.ca)}
    assert not (made.state / ".init-unfinished").exists()
    cert = x509.load_pem_x509_certificate((places.tls / "server.pem").read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "127.0.0.1", "::1", "rack.example"} <= {str(name.value) for name in names}


def test_nobody_else_may_look(made: InitResult):
    assert stat.S_IMODE(made.state.stat().st_mode) == 0o700
    for path in made.state.rglob("*"):
        is_public = path.suffix == ".pem"  # certificates; the directory above is closed anyway
        assert stat.S_IMODE(path.stat().st_mode) & (0o022 if is_public else 0o077) == 0, path


def test_the_one_time_password_logs_in_and_asks_to_be_changed(made: InitResult):
    assert made.admin_password is not None
    assert made.admin_password not in repr(made)
    actor = log_in(made.state, made.admin_password).actor
    assert (actor.role, actor.must_change) == (Role.ADMIN, True)


def test_clouds_yaml_is_for_openstack_clients(made: InitResult):
    clouds = yaml.safe_load(made.clouds.read_text())["clouds"]
    assert set(clouds) == {"rackwright", "rackwright-system"}
    for cloud in clouds.values():
        assert cloud["auth"]["auth_url"] == "https://127.0.0.1:9443/identity/v3"
        assert cloud["auth"]["password"] == made.admin_password
        assert cloud["cacert"] == str(made.ca)
        assert cloud["verify"] is True
    assert clouds["rackwright-system"]["auth"]["system_scope"] == "all"


def test_the_key_opens_the_database_and_lies_outside_it(made: InitResult):
    database = Database.at(Config.load(made.state).database_url)
    with database.read() as session:
        vault.check_canary(session, vault.Vault.load(made.state))
    database.dispose()
    key = (made.state / "master.key").read_bytes().partition(b":")[2].strip()
    assert key not in b"".join(path.read_bytes() for path in made.state.glob("rackwright.db*"))


def test_a_second_init_is_refused_and_changes_nothing(made: InitResult):
    before = snapshot(made.state)
    with pytest.raises(AlreadyInitialised, match="nothing was changed"):
        make(made.state)
    assert snapshot(made.state) == before


def test_two_installations_share_no_secret(made: InitResult, tmp_path: Path):
    other = make(tmp_path / "other")
    assert other.admin_password != made.admin_password
    for name in ("master.key", "tls/ca.key", "tls/ca.pem", "tls/server.key", "tls/server.pem"):
        assert (made.state / name).read_bytes() != (other.state / name).read_bytes()


class TestPasswordFile:
    def test_it_is_used_and_not_printed(self, tmp_path: Path):
        (tmp_path / "pw").write_text("correct horse\n")
        result = make(tmp_path / "state", admin_password_file=tmp_path / "pw")
        assert result.admin_password is None
        assert not log_in(result.state, "correct horse").actor.must_change

    @pytest.mark.parametrize("text", ["", "short\n", "two\nlines of it\n", "x" * 5000])
    def test_a_bad_one_is_refused_before_anything_is_made(self, tmp_path: Path, text: str):
        (tmp_path / "pw").write_text(text)
        with pytest.raises(Invalid, match="one line of 8 to 4096"):
            make(tmp_path / "state", admin_password_file=tmp_path / "pw")
        assert not (tmp_path / "state").exists()

    def test_a_missing_one(self, tmp_path: Path):
        with pytest.raises(Invalid, match="cannot be read"):
            make(tmp_path / "state", admin_password_file=tmp_path / "pw")


@pytest.mark.parametrize("options", [{"listen": "x"}, {"extra_names": ["a b"]}, {"database_url": "mysql://h/d"}])
def test_bad_options_are_refused_before_anything_is_made(tmp_path: Path, options: dict):
    with pytest.raises(Invalid):
        make(tmp_path / "state", **options)
    assert not (tmp_path / "state").exists()


class TestPlaces:
    def test_parents_are_made(self, tmp_path: Path):
        assert make(tmp_path / "a" / "b" / "state").state.is_dir()

    def test_an_empty_directory_will_do(self, tmp_path: Path):
        (tmp_path / "state").mkdir(mode=0o755)
        make(tmp_path / "state")
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700

    def test_somebodys_directory_is_left_alone(self, tmp_path: Path):
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "thesis.tex").write_text("years")
        before = snapshot(tmp_path)
        with pytest.raises(StateUnusable, match="is not empty"):
            make(tmp_path / "state")
        assert snapshot(tmp_path) == before

    def test_a_file(self, tmp_path: Path):
        (tmp_path / "state").write_text("x")
        with pytest.raises(StateUnusable, match="File exists"):
            make(tmp_path / "state")

    def test_not_permitted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def denied(path: Path, *_args: object, **_kwargs: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(Path, "mkdir", denied)  # root may do everything, so modes prove nothing here
        with pytest.raises(StateUnusable, match="Permission denied") as caught:
            make(tmp_path / "state")
        assert "run as the user who owns it" in caught.value.next_step

    def test_another_init_at_work(self, tmp_path: Path):
        (tmp_path / "state").mkdir()
        with (tmp_path / "state" / ".init-unfinished").open("w") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            with pytest.raises(AlreadyInitialised, match="at work"):
                make(tmp_path / "state")


class Interrupted(BaseException):
    """Stands for the power going."""


def interruptions() -> list[tuple[str, int]]:
    """Every durable write, and the database's two transactions."""
    return [("write", n) for n in range(1, 9)] + [("schema", 1), ("canary", 1)]


@pytest.mark.parametrize(("where", "number"), interruptions())
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interruption_anywhere_is_finished_by_the_next_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: int, when: str
):
    calls = 0

    def breaking(real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == number and when == "before":
                raise Interrupted
            result = real(*args, **kwargs)
            if calls == number:
                raise Interrupted
            return result

        return call

    with monkeypatch.context() as patch:
        if where == "write":
            patch.setattr(setup, "write_durably", breaking(files.write_durably))
            patch.setattr(tls, "write_durably", setup.write_durably)
            patch.setattr(clouds, "write_durably", setup.write_durably)
        elif where == "schema":
            patch.setattr(schema, "upgrade", breaking(schema.upgrade))
        else:
            patch.setattr(setup, "plant_canary", breaking(vault.plant_canary))
        with pytest.raises(Interrupted):
            make(tmp_path / "state")
    result = make(tmp_path / "state")
    assert result.was_resumed
    assert result.admin_password is not None
    assert log_in(result.state, result.admin_password).actor.role is Role.ADMIN
    with pytest.raises(AlreadyInitialised):
        make(tmp_path / "state")


def test_a_full_disk_is_said_and_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.fsync
    left = 5

    def fsync(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(StorageFull) as caught:
            make(tmp_path / "state")
    assert "free space" in caught.value.next_step
    assert make(tmp_path / "state").was_resumed


def test_the_database_of_another_appliance_is_not_taken(made: InitResult, tmp_path: Path):
    url = f"sqlite:///{made.state / 'rackwright.db'}"
    before = (made.state / "rackwright.db").read_bytes()
    with pytest.raises(AlreadyInitialised, match="belongs to another appliance"):
        make(tmp_path / "thief", database_url=url)
    assert (made.state / "rackwright.db").read_bytes() == before


def test_a_database_that_does_not_answer(tmp_path: Path):
    with pytest.raises(RackwrightError, match="does not answer") as caught:
        make(tmp_path / "state", database_url="postgresql://rack:s3cret@127.0.0.1:1/rack")
    assert "s3cret" not in str(caught.value)
    assert (tmp_path / "state" / ".init-unfinished").exists()
