"""Alembic's entry: runs inside the connection and transaction that appliance.models.schema hands over."""

from alembic import context

from appliance.models.schema import RENDERING, metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata(), **RENDERING)
context.run_migrations()
