"""A PostgreSQL server of our own for the length of a test session: a unix socket in a scratch directory, no TCP."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg


def find_programs() -> Path | None:
    """The newest installed PostgreSQL's programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


@contextlib.contextmanager
def running(programs: Path) -> Iterator[str]:
    """Give the URL of an empty database. PostgreSQL refuses to be root, so root lends it the user `postgres`."""
    owner = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="rw-pg-") as name:
        home = Path(name)
        home.chmod(0o755)
        data = home / "data"
        data.mkdir(mode=0o700)
        if owner:
            shutil.chown(data, owner)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, *arguments], check=True, capture_output=True, timeout=60, user=owner, cwd=data
            )

        run("initdb", "-D", str(data), "-U", "rackwright", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = f"-c listen_addresses='' -c unix_socket_directories='{data}' -c fsync=off"
        run("pg_ctl", "-D", str(data), "-w", "-l", str(data / "log"), "-o", settings, "start")
        try:
            with psycopg.connect(host=str(data), user="rackwright", dbname="postgres", autocommit=True) as connection:
                connection.execute("CREATE DATABASE rackwright")
            yield f"postgresql+psycopg://rackwright@/rackwright?host={data}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def fresh_database(url: str, name: str) -> str:
    """An empty database on the same server; its URL."""
    server = url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("@/rackwright?", f"@/{name}?")
