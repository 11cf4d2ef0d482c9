"""A PostgreSQL server of our own: Debian's binaries, a temporary directory, a unix socket, no network."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

VERSION = 15
BINARIES = Path(f"/usr/lib/postgresql/{VERSION}/bin")


def is_installed() -> bool:
    return (BINARIES / "postgres").exists()


def _account() -> str | None:
    """PostgreSQL refuses to run as root; then Debian's own user runs it."""
    return "postgres" if os.geteuid() == 0 else None


@contextlib.contextmanager
def server(*, is_durable: bool) -> Iterator[Path]:
    """Yields the directory of its socket. is_durable: fsync at each commit, as in production."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and not is_durable else Path("/tmp")
    home = Path(tempfile.mkdtemp(prefix="rackwright-pg-", dir=place))
    account = _account()
    if account is not None:
        owner = pwd.getpwnam(account)
        os.chown(home, owner.pw_uid, owner.pw_gid)
    data = home / "data"
    try:
        subprocess.run(
            [BINARIES / "initdb", "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            user=account,
            cwd=home,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        fast = [] if is_durable else ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        process = subprocess.Popen(
            [
                BINARIES / "postgres",
                "-D",
                data,
                "-k",
                home,
                "-c",
                "listen_addresses=",
                "-c",
                "max_connections=200",
                *fast,
            ],
            user=account,
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_ready(home)
            yield home
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing in it is worth a checkpoint
            process.wait(20)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _await_ready(home: Path) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(home), user="test", dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def url(home: Path, name: str) -> str:
    return f"postgresql+psycopg://test@/{name}?host={home}"


@contextlib.contextmanager
def administrator(home: Path) -> Iterator[Callable[[str], None]]:
    """Yields what runs one administrative statement outside any transaction; for many of them."""
    with psycopg.connect(host=str(home), user="test", dbname="postgres", autocommit=True) as connection:

        def command(statement: str) -> None:
            connection.execute(statement)

        yield command


def execute(home: Path, statement: str) -> None:
    """Run one administrative statement outside any transaction."""
    with administrator(home) as command:
        command(statement)
