"""Give the store a UUID and the place of its weights, and runs and results a generation."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table and the columns."""
    table = op.create_table(
        "store",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("artifact_folder", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_store"),
    )
    op.bulk_insert(table, [{"id": 1, "uuid": str(uuid4())}])
    for name in ("runs", "evaluations"):
        op.add_column(name, sa.Column("generation", sa.Integer, nullable=False, server_default="1"))
    op.drop_index("ix_evaluations_front", "evaluations")
    op.create_index(
        "ix_evaluations_front",
        "evaluations",
        ["run_id", "state", "duplicate_of", "generation", "energy_uj", "accuracy"],
    )
