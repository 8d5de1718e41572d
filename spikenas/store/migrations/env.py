"""The script that alembic runs: it migrates on the given connection, in its transaction."""

from alembic import context

from spikenas.store.migrations import VERSION_TABLE
from spikenas.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
