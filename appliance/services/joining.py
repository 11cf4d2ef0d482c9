"""A further appliance on the PostgreSQL database of a first one: it takes the first one's identity over.

From a copy of the first state directory it needs `master.key` (what was sealed by one must open at the other),
`tls/ca.pem` and `tls/ca.key` (one authority for all agents and operators), and `rackwright.toml` for the database's
address. Users, nodes and work are in the database already. Not here: the rest of `init` (services.setup).
"""

from pathlib import Path
from typing import ClassVar

from sqlalchemy.engine import make_url

from appliance.config import Config, Places
from appliance.domain.errors import Conflict, Invalid, RackwrightError
from appliance.models import schema
from appliance.models.database import Database
from appliance.services.files import write_durably
from appliance.services.vault import Vault, check_canary

_FILES = {"master.key": 0o600, "tls/ca.key": 0o600, "tls/ca.pem": 0o644}


class CannotJoin(Conflict):
    """The database cannot be joined."""

    code: ClassVar[str] = "cannot-join"


def check(source: Path, database_url: str | None) -> str:
    """The address of the database to join. Raises CannotJoin or Invalid before anything is made."""
    if missing := [name for name in _FILES if not (source / name).is_file()]:
        raise Invalid(
            f"{source} does not hold {missing[0]}",
            why="a further appliance needs the first one's master.key, tls/ca.pem and tls/ca.key",
            next_step=f"scp -rp FIRST:STATE/{{master.key,tls,rackwright.toml}} {source}",
        )
    url = database_url or _address(source)
    if not make_url(url).get_backend_name().startswith("postgresql"):
        raise CannotJoin(
            "an SQLite file has one appliance", next_step="move the first appliance to PostgreSQL (--database-url)"
        )
    shown = make_url(url).render_as_string(hide_password=True)
    if schema.current(url) is None:
        raise CannotJoin(f"the database {shown} is empty", next_step="run `rackwright init` without --join")
    database = Database.at(url)
    try:
        with database.read() as session:
            check_canary(session, Vault.load(source))
    except RackwrightError as cause:
        raise CannotJoin(
            f"the database {shown} and the master key in {source} do not belong together", why=cause.message
        ) from cause
    finally:
        database.dispose()
    return url


def _address(source: Path) -> str:
    if not Places(source).config.is_file():
        raise Invalid(f"{source} does not hold rackwright.toml", next_step="copy it too, or give --database-url")
    return Config.load(source).database_url


def copy_identity(source: Path, state: Path) -> None:
    """Master key and authority; what is there already stays."""
    for name, mode in _FILES.items():
        if not (state / name).exists():
            write_durably(state / name, (source / name).read_bytes(), mode=mode)
