"""Is the database's schema the one of this program? Asked at every start, so without Alembic, which costs 10 MB.

Whatever is not plainly so (absent, older, newer, unreachable) is a matter for appliance.models.schema.
"""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from appliance.models.database import Database

_SCRIPTS = Path(__file__).parent / "migrations" / "versions"


def head() -> str:
    """The version that this program writes: the number of its newest migration."""
    return max(file.name.partition("_")[0] for file in _SCRIPTS.glob("[0-9]*_*.py"))


def is_current(database: Database) -> bool:
    try:
        with database.read() as session:
            found = session.scalars(text("SELECT version_num FROM alembic_version")).all()
    except DBAPIError:
        return False
    return list(found) == [head()]
