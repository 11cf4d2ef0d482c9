"""`rackwright init`: everything that a new state directory needs, made once.

Each step leaves alone what is there, each file is written whole, and a marker lies in the directory until all is done:
an init that was interrupted (power, full disk) is finished by running it again. A finished one is refused and changes
nothing. Not here: printing (appliance.main.cli) and serving.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from appliance.config import Config, Places
from appliance.domain.access import Role
from appliance.domain.clock import Clock, system_clock
from appliance.domain.errors import Conflict, Invalid, RackwrightError, StorageFull
from appliance.domain.values import BadValue, Endpoint, endpoint, host_names
from appliance.domain.values import database_url as read_database_url
from appliance.models import schema
from appliance.models.database import Database
from appliance.models.identity import DEFAULT_DOMAIN, User
from appliance.models.setting import Setting
from appliance.services import certificate_names, clouds, identity, joining, tls
from appliance.services.files import write_durably
from appliance.services.identity import bootstrap, grants, keys, roles
from appliance.services.vault import Vault, new_key_text, plant_canary

ADMIN = "admin"
_MARKER = ".init-unfinished"
_DIRECTORIES = ("tls", "images", "boot", "netboot", "run", "log", "backup")


class AlreadyInitialised(Conflict):
    """The state directory is in use by an appliance already."""


class StateUnusable(RackwrightError):
    """The state directory cannot be used."""

    code: ClassVar[str] = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResult:
    """admin_password: None when it is known already, so that nobody prints it. ca_fingerprint: SHA-256, hexadecimal.

    clouds: not written for an appliance that joined, which never sees the password.
    """

    state: Path
    url: str
    admin_name: str
    admin_password: str | None = field(repr=False)
    ca: Path
    ca_fingerprint: str
    clouds: Path
    was_resumed: bool


def init(
    state: Path,
    *,
    admin_password_file: Path | None = None,
    database_url: str | None = None,
    listen: str | None = None,
    extra_names: Sequence[str] = (),
    join: Path | None = None,
    clock: Clock = system_clock,
) -> InitResult:
    """Make the state directory. Raises AlreadyInitialised, StateUnusable, Invalid, StorageFull, SchemaError.

    join: a copy of another appliance's state; the new one shares its database and its users (services.joining).
    """
    state = state.absolute()
    given = _read_password(admin_password_file) if admin_password_file else None
    if join is not None:
        if admin_password_file is not None:
            raise Invalid("--join and --admin-password-file exclude each other", why="the database has its users")
        database_url = joining.check(join, database_url)
    text = configuration_text(listen=listen, names=extra_names, database_url=database_url)
    with _construction(state) as was_resumed:
        places = Places(state)
        if not places.config.exists():
            write_durably(places.config, text.encode(), mode=0o600)
        config = Config.load(state)
        password = given or identity.new_password()
        for name in _DIRECTORIES:
            (state / name).mkdir(mode=0o700, exist_ok=True)
        if join is not None:
            joining.copy_identity(join, state)
        if not places.master_key.exists():
            write_durably(places.master_key, new_key_text().encode(), mode=0o600)
        now = clock()
        tls.create_ca(state, secrets.token_hex(4), now)
        tls.ensure_server_certificate(state, certificate_names.of(config), now=now)
        url = f"https://{_reachable(config.api.listen)}"
        if join is None:
            _make_database(config, password, may_ask_change=given is None, now=now)
            clouds.write(state, url, ADMIN, password)
        cli = {"url": url, "ca": str(places.ca)}
        write_durably(places.cli, json.dumps(cli, indent=2).encode() + b"\n", mode=0o600)
    return InitResult(
        state=state,
        url=url,
        admin_name=ADMIN,
        admin_password=None if given or join else password,
        ca=places.ca,
        ca_fingerprint=tls.ca_fingerprint(state),
        clouds=places.clouds,
        was_resumed=was_resumed,
    )


def configuration_text(*, listen: str | None, names: Sequence[str], database_url: str | None) -> str:
    """The first rackwright.toml: what was chosen, and every default as a comment."""
    try:
        chosen = str(endpoint(listen)) if listen is not None else None
        checked = list(host_names(list(names)))
        url = read_database_url(database_url).reveal() if database_url is not None else None
    except BadValue as cause:
        raise Invalid(str(cause)) from cause
    values = {
        "listen": f"listen = {json.dumps(chosen)}" if chosen else '# listen = "127.0.0.1:8443"',
        "names": f"names = {json.dumps(checked)}" if checked else "# names = []   # for the certificate",
        "url": f"url = {json.dumps(url)}" if url else '# url = "postgresql://user:password@host/rackwright"',
    }
    return _TEMPLATE.format(**values)


def _make_database(config: Config, password: str, *, may_ask_change: bool, now: datetime) -> None:
    vault = Vault.load(config.state)
    url = config.database_url
    _refuse_foreign(url, vault)
    schema.upgrade(url, config.state)
    if url.startswith("sqlite"):
        config.places.database.chmod(0o600)
    database = Database.at(url)
    try:
        with database.write() as session:
            plant_canary(session, vault)
            keys.ensure(session, vault, now)
            _make_admin(session, password, may_ask_change=may_ask_change, now=now)
    except DBAPIError as cause:
        if "full" in str(cause.orig).lower():
            raise StorageFull(next_step="free space and run `rackwright init` again") from cause
        raise
    finally:
        database.dispose()


def _refuse_foreign(url: str, vault: Vault) -> None:
    """A database that another appliance uses (a shared PostgreSQL) must not be taken over."""
    if schema.current(url) is None:
        return
    database = Database.at(url)
    try:
        with database.read() as session:
            row = session.get(Setting, "canary")
            if row is not None:
                vault.open(row.value, "setting/canary")
    except RackwrightError as cause:
        raise AlreadyInitialised(
            f"the database {make_url(url).render_as_string(hide_password=True)} belongs to another appliance",
            next_step="name an empty database with --database-url, or share this one with --join",
        ) from cause
    finally:
        database.dispose()


def _make_admin(session: Session, password: str, *, may_ask_change: bool, now: datetime) -> None:
    """The first administrator, of the whole system and of the project `admin`."""
    here = (User.name == ADMIN) & (User.domain_id == DEFAULT_DOMAIN)
    user = session.scalar(select(User).where(here))
    if user is None:
        user = identity.create_user(
            session, name=ADMIN, password=password, role=Role.ADMIN, now=now, must_change=may_ask_change
        )
    else:  # an interrupted init: its password was never shown to anybody
        identity.set_password(session, user=user, password=password, must_change=may_ask_change, now=now)
    project = bootstrap.admin_project(session)
    user.default_project_id = project.id
    place = grants.Place(actor_kind="user", actor_id=user.uuid, target_kind="project", target_id=project.id)
    grants.give(session, place, roles.of_ours(session, Role.ADMIN))


@contextlib.contextmanager
def _construction(state: Path) -> Iterator[bool]:
    """Hold the marker while the directory is made; give True when an earlier init left it. Faults become sentences."""
    try:
        marker, was_resumed = _open_marker(state)
    except OSError as cause:
        raise _unusable(state, cause) from cause
    try:
        with os.fdopen(marker, "w"):
            try:
                fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as cause:
                raise AlreadyInitialised(f"another init is at work in {state}") from cause
            yield was_resumed
            (state / _MARKER).unlink()
    except OSError as cause:
        raise _unusable(state, cause) from cause


def _open_marker(state: Path) -> tuple[int, bool]:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    if state.is_dir():
        was_there = (state / _MARKER).exists()
        if Places(state).config.exists() and not was_there:
            raise AlreadyInitialised(
                f"{state} is initialised already; nothing was changed",
                next_step=f"run `rackwright serve --state {state}`, or choose another directory",
            )
        if not was_there and any(state.iterdir()):
            raise StateUnusable(
                f"{state} is not empty, and what is in it is not an appliance's state",
                next_step="choose an empty or a new directory",
            )
        state.chmod(0o700)
        return os.open(state / _MARKER, flags, 0o600), was_there
    state.parent.mkdir(parents=True, exist_ok=True)
    state.mkdir(mode=0o700)
    return os.open(state / _MARKER, flags, 0o600), False


def _unusable(state: Path, cause: OSError) -> RackwrightError:
    where = cause.filename or state
    if cause.errno in {28, 122}:  # ENOSPC, EDQUOT
        return StorageFull(f"{where}: {cause.strerror}", next_step="free space and run `rackwright init` again")
    return StateUnusable(
        f"{where}: {cause.strerror}", next_step="choose a directory that you own, or run as the user who owns it"
    )


def _read_password(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(identity.MAX_PASSWORD * 4 + 2).decode()
    except (OSError, UnicodeDecodeError) as cause:
        raise Invalid(f"the password file {path} cannot be read: {cause}") from cause
    password = text.removesuffix("\n").removesuffix("\r")
    if not identity.MIN_PASSWORD <= len(password) <= identity.MAX_PASSWORD or "\n" in password:
        raise Invalid(
            f"the password in {path} must be one line of {identity.MIN_PASSWORD} to {identity.MAX_PASSWORD} characters"
        )
    return password


def _reachable(listen: Endpoint) -> Endpoint:
    """Where a client on this machine finds the listener."""
    if not listen.is_any:
        return listen
    return Endpoint("::1" if ":" in listen.host else "127.0.0.1", listen.port)


_TEMPLATE = """\
# Rackwright's configuration. Lines with # show the defaults. An unknown key stops the start and is named.
# Durations: "90s", "15m", "12h", "2d", or whole seconds. Changes count from the next start on.

[api]                        # the operators' door (HTTPS)
{listen}
{names}
# threads = 64               # requests at once

[agent]                      # the agents' door (HTTPS), on the provisioning networks
# listen = "0.0.0.0:8444"
# threads = 512              # each waiting agent holds one

[database]                   # default: the file rackwright.db in this directory
{url}

[netboot]
# http_port = 8080
# tftp_port = 69
# dns_port = 53
# dhcp_port = 67
# discovery = "record"       # an unknown machine that boots: off | record | enroll
# domain = "rack.internal"

[bmc]
# deadline = "20s"           # of one reading of a power state
# sweep_interval = "60s"     # each power state is read this often
# concurrency = 64           # BMCs spoken to at once
# in_band_setup = true       # an agent may make our user on the BMC of a machine that it enrols

[lifecycle]                  # how long each wait may last
# power_change = "60s"
# agent_boot = "15m"
# agent_lost = "3m"
# inspect = "10m"
# clean = "2h"
# fetch_image = "1h"         # of an image that a deploy names by its URL, over all tries
# write_image = "1h"
# kexec_home = "5m"          # then the machine is reset once
# call_home = "20m"
# hoped_home = "5m"          # for the call of a system that need not make it; then it counts as started
# image_writes_at_once = 50
# automated_clean = "metadata"   # between users: metadata | shred | none

[fake]                       # how many seconds things take on hardware that is not there: 2, or a range as "1,5"
# power_delay = 0
# deploy_delay = 0
# inspect_delay = 0
# raid_delay = 0
# bios_delay = 0
# rescue_delay = 0
# firmware_delay = 0
# clean_delay = 0
# service_delay = 0

[inspection]
# add_ports = "pxe"          # found interfaces that become ports: disabled | pxe | active | all
# keep_ports = "all"         # ports that stay: all | present | added

[identity]
# token_lifetime = "1h"      # of tokens for OpenStack clients
# session_lifetime = "12h"   # of the CLI's, the console's and the native API's
# key_rotation = "30d"       # the key that seals tokens is replaced when it is so old
# lockout_failures = 5
# lockout = "30m"
# password_regex = "^.{{8,}}$"
# password_regex_description = "at least 8 characters"
# password_expires = "90d"   # 0 for never
# password_history = 5       # so many, with the present one, are not taken again

[images]
# trusted_networks = []      # image URLs may point into these, e.g. ["10.20.0.0/16"]; else to public addresses only

[log]
# level = "info"             # debug | info | warning | error
# format = "text"            # text | json
# max_mib = 16               # a file is set aside at this size
# keep = 4                   # and so many are kept, for each process
"""
