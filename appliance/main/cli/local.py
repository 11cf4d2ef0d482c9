"""`init`, `serve`, `doctor`: commands for the machine that the appliance runs on. They alone do not need the API."""

import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import click

from appliance.main.cli.columns import CHECK, PLAIN
from appliance.main.cli.exits import Exit, Failure, from_client, usage
from appliance.main.cli.frame import file_option, verb
from appliance.main.cli.invocation import Invocation
from appliance.main.cli.place import config_path, read_profiles
from appliance.main.client_errors import ApiError, ClientError

Json = dict[str, Any]

PARTS = ("api", "worker", "netboot")
CLOCK_SKEW_S = 30


def _state(inv: Invocation) -> Path:
    named = inv.asked.state or inv.environment.get("RACKWRIGHT_STATE")
    if not named:
        raise usage("the state directory is not named", next_step="--state DIR, such as /var/lib/rackwright")
    return Path(named)


@verb("rackwright init --state /var/lib/rackwright", data=True, reach="state")
@file_option("--admin-password-file", help_text="The admin's password; a random one-time password unless said.")
@click.option("--database-url", metavar="URL", help="PostgreSQL instead of SQLite: postgresql://USER@HOST/DATABASE.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where the API listens; 127.0.0.1:8443 unless said.")
@click.option("--join", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="Share the PostgreSQL database of another appliance; DIR is a copy of its master.key, tls and "
              "rackwright.toml.")  # fmt: skip
def init(
    inv: Invocation, *, admin_password_file: Path | None, database_url: str | None, listen: str | None,
    join: Path | None,
) -> None:  # fmt: skip
    """Create configuration, database, certificates, master key and the admin."""
    state = _state(inv)
    from appliance.services import setup

    made = setup.init(
        state, admin_password_file=admin_password_file, database_url=database_url, listen=listen, join=join
    )
    facts: Json = {
        "state": str(made.state),
        "url": made.url,
        "ca": str(made.ca),
        "ca_sha256": made.ca_fingerprint,
        "username": made.admin_name,
    }
    if join is None:
        facts["clouds"] = str(made.clouds)
    if made.admin_password is not None:
        facts["one_time_password"] = made.admin_password
    inv.show_one(PLAIN, facts)
    inv.note(f"next: rackwright serve --state {made.state}   then: rackwright login --state {made.state}")


@verb("rackwright serve --state /var/lib/rackwright", reach="state")
@click.option("--listen", metavar="ADDRESS:PORT", help="Where the API listens, instead of what the configuration says.")
@click.option("--only", metavar="PART,...", help=f"Run only these of {', '.join(PARTS)}.")
def serve(inv: Invocation, *, listen: str | None, only: str | None) -> int:
    """Run the appliance until it is told to end (Ctrl-C or SIGTERM)."""
    chosen = frozenset(word.strip() for word in (only or "").split(",") if word.strip())
    if strange := sorted(chosen - set(PARTS)):
        raise usage(f"--only does not know {strange[0]!r}", next_step=f"one or more of {','.join(PARTS)}")
    state = _state(inv)
    from appliance.main import supervisor

    return supervisor.serve(state, listen=listen, only=chosen)


@verb("rackwright boot-files build --state /var/lib/rackwright", data=True, reach="state")
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Where builds are kept.")
def build(inv: Invocation, *, cache: Path | None) -> None:
    """Build the agent's ramdisk from Debian packages and put it and iPXE where machines load them. Needs root."""
    state = _state(inv)
    needs_root("building the ramdisk", f"rackwright boot-files build --state {state}")
    from appliance.services import bootfiles
    from images import tools

    kept = cache or cache_directory(inv) / "ramdisk"
    try:
        made = bootfiles.install(state, kept, report=inv.note)
    except (tools.ToolFailed, tools.ToolMissing, OSError) as cause:
        raise Failure(
            "the boot files could not be made", why=str(cause), kind="build-failed",
            next_step="is Debian's mirror reachable from here? then run it again: what was fetched is kept",
        ) from cause  # fmt: skip
    sizes: Json = {"kernel_bytes": made.kernel_bytes, "initrd_bytes": made.initrd_bytes}
    inv.show_one(PLAIN, {"directory": str(state / "boot"), **sizes})


def needs_root(what: str, command: str) -> None:
    """Refuse early, and say what it is needed for."""
    if os.geteuid() != 0:
        raise usage(
            f"{what} needs root",
            why="it makes file systems with their owners and device nodes",
            next_step=f"sudo {command}",
        )


def cache_directory(inv: Invocation) -> Path:
    """Where this machine keeps what is built once; for root where `make demo` has it, so nothing is built twice."""
    if os.geteuid() == 0 and not inv.environment.get("XDG_CACHE_HOME"):
        return Path("/var/cache/rackwright")
    home = inv.environment.get("XDG_CACHE_HOME") or str(Path(inv.environment.get("HOME") or "/root") / ".cache")
    return Path(home) / "rackwright"


@verb("rackwright doctor", data=True)
def doctor(inv: Invocation) -> int:
    """Check the way to the appliance, then the appliance itself. Exit code 1 when something is wrong."""
    rows = list(_checks(inv))
    inv.show(CHECK, rows)
    return int(Exit.OK if all(row["ok"] for row in rows) else Exit.FAILED)


def _checks(inv: Invocation) -> Iterator[Json]:
    """Each check builds on those before; the first that fails ends the list of those that need it."""
    try:
        read_profiles(config_path(inv.environment))
        place = inv.place()
    except Failure as failure:
        yield _check("address", ok=False, detail=f"{failure.message}; {failure.why}", then=failure.next_step)
        return
    yield _check("address", ok=True, detail=f"{place.url}, from {place.source}")
    if place.ca is not None and not os.access(place.ca, os.R_OK):
        yield _check("certificate", ok=False, detail=f"the CA file {place.ca} cannot be read", then="give it with --ca")
        return
    client = inv.client(anonymous=True)
    asked_at = time.time()
    try:
        reply = client.call("GET", "/v1/whoami", timeout_s=10)
    except ApiError as error:
        # It answered over TLS that we trust, so the way is clear; only the token is not.
        yield _check("reachable", ok=True, detail="it answers, and its certificate is trusted")
        yield _check("login", ok=False, detail=str(error), then=_after(error, inv))
        return
    except ClientError as error:
        told = from_client(error)
        yield _check("reachable", ok=False, detail=told.why, then=told.next_step)
        return
    yield _check("reachable", ok=True, detail=f"it answered in {1000 * (time.time() - asked_at):.0f} ms")
    user = reply.body.get("username") or reply.body.get("name") if isinstance(reply.body, dict) else None
    yield _check("login", ok=True, detail=f"logged in as {user or 'somebody'}")
    yield from _clock(reply.headers.get("date"), asked_at)
    try:
        answer = client.get("/v1/doctor")
    except ClientError as error:
        yield _check("appliance", ok=False, detail=str(error), then=from_client(error).next_step)
        return
    yield from (
        _check(str(row.get("name")), ok=bool(row.get("ok")), detail=row.get("detail"), then=row.get("next"))
        for row in answer.get("checks") or []
    )


def _after(error: ApiError, inv: Invocation) -> str:
    return inv.login_command() if error.status == 401 else from_client(error).next_step


def _clock(date: str | None, asked_at: float) -> Iterator[Json]:
    if not date:
        return
    try:
        skew = parsedate_to_datetime(date).timestamp() - asked_at
    except ValueError:
        return
    yield _check(
        "clock",
        ok=abs(skew) <= CLOCK_SKEW_S,
        detail=f"the appliance's clock and ours differ by {abs(skew):.0f} s",
        then="set both by NTP",
    )


def _check(name: str, *, ok: bool, detail: object, then: object = None) -> Json:
    return {"name": name, "ok": ok, "detail": detail or None, "next": None if ok else then or None}
