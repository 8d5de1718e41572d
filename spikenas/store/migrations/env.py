"""What alembic runs: the migrations, on the connection and in the transaction it is given."""

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
