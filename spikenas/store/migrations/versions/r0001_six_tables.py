"""Create the six tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables, parents first."""
    moment = sa.DateTime(timezone=True).with_variant(sa.String(23), "sqlite")
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("objectives", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("space_toml", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("lease_expires_at", moment),
        sa.Column("holder_host", sa.Text),
        sa.Column("holder_pid", sa.BigInteger),
        sa.Column("holder_started", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sa.UniqueConstraint("name", name="uq_runs_name"),
    )
    op.create_table(
        "architectures",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("genes", sa.JSON, nullable=False),
        sa.Column("num_steps", sa.Integer, nullable=False),
        sa.Column("neuron", sa.Text, nullable=False),
        sa.Column("residual", sa.Text, nullable=False),
        sa.Column("stem", sa.Text, nullable=False),
        sa.Column("patch_size", sa.Integer, nullable=False),
        sa.Column("num_stages", sa.Integer, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_architectures"),
        sa.UniqueConstraint("key", name="uq_architectures_key"),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("architecture_id", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reuse_key", sa.String(128), nullable=False),
        sa.Column("duplicate_of", sa.Integer),
        sa.Column("choices", sa.JSON, nullable=False),
        sa.Column("margins", sa.JSON, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("accuracy", sa.Double),
        sa.Column("energy_uj", sa.Double),
        sa.Column("energy_model", sa.Text),
        sa.Column("energy_variants_uj", sa.JSON),
        sa.Column("spike_rate", sa.Double),
        sa.Column("synops", sa.Double),
        sa.Column("macs", sa.BigInteger),
        sa.Column("parameters", sa.BigInteger),
        sa.Column("latency_steps", sa.Integer),
        sa.Column("test_accuracy", sa.Double),
        sa.Column("fidelity", sa.Integer),
        sa.Column("seed", sa.BigInteger),
        sa.Column("train_seconds", sa.Double),
        sa.Column("wall_seconds", sa.Double),
        sa.Column("history", sa.JSON),
        sa.Column("versions", sa.JSON),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
        sa.UniqueConstraint("run_id", "number", name="uq_evaluations_run_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_evaluations_run_id"),
        sa.ForeignKeyConstraint(
            ["architecture_id"], ["architectures.id"], name="fk_evaluations_architecture_id"
        ),
        sa.ForeignKeyConstraint(
            ["duplicate_of"], ["evaluations.id"], name="fk_evaluations_duplicate_of"
        ),
    )
    op.create_index("ix_evaluations_architecture_id", "evaluations", ["architecture_id"])
    op.create_index("ix_evaluations_reuse_key", "evaluations", ["reuse_key"])
    op.create_table(
        "attempts",
        sa.Column("evaluation_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("outcome", sa.String(16)),
        sa.Column("error", sa.Text),
        sa.Column("traceback", sa.Text),
        sa.PrimaryKeyConstraint("evaluation_id", "number", name="pk_attempts"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_attempts_evaluation_id"
        ),
    )
    op.create_table(
        "layer_workloads",
        sa.Column("evaluation_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("macs", sa.BigInteger, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("synops", sa.Double),
        sa.Column("spike_rate", sa.Double),
        sa.Column("operation", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("evaluation_id", "position", name="pk_layer_workloads"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_layer_workloads_evaluation_id"
        ),
    )
    op.create_table(
        "artifacts",
        sa.Column("evaluation_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("evaluation_id", "kind", name="pk_artifacts"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_artifacts_evaluation_id"
        ),
    )
