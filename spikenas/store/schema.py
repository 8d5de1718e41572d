"""The seven tables.

``store``            one row: the identity of the store and its artefact folder.
``runs``             one search: settings, space, and the lease of its live driver.
``architectures``    every genotype once, by key; a few genes are columns for filters.
``evaluations``      one candidate of one run: its state and its figures.
``attempts``         each time a worker tried a candidate: worker, start, end, outcome.
``layer_workloads``  the operations of a trained candidate, with measured spike rates.
``artifacts``        files beside the database, by path, size and SHA-256.

Changing a table here needs a migration in ``migrations/versions``; a test compares the two.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from spikenas.figures import FIGURES
from spikenas.store.clock import UtcTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)
_Json = JSON(none_as_null=True)
_FIGURE_TYPES = {"double": Double, "integer": Integer, "bigint": BigInteger}

store = Table(
    "store",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False),  # also in the marker of the artefact folder
    Column("artifact_folder", Text),  # relative to the database's, or absolute; null: none yet
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("status", String(16), nullable=False),  # running finished interrupted failed
    Column("seed", BigInteger, nullable=False),
    Column("objectives", _Json, nullable=False),
    Column("settings", _Json, nullable=False),
    Column("space_toml", Text, nullable=False),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("fence", BigInteger, nullable=False),  # larger for each driver; checked by every write
    Column("lease_expires_at", UtcTime),  # null: no driver
    Column("holder_host", Text),
    Column("holder_pid", BigInteger),
    Column("holder_started", Text),  # a reused process id has another start
)

architectures = Table(
    "architectures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False, unique=True),
    Column("genes", _Json, nullable=False),  # Architecture.to_dict()
    Column("num_steps", Integer, nullable=False),
    Column("neuron", Text, nullable=False),
    Column("residual", Text, nullable=False),
    Column("stem", Text, nullable=False),
    Column("patch_size", Integer, nullable=False),
    Column("num_stages", Integer, nullable=False),
    Column("head", Text, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("number", Integer, nullable=False),  # of the proposal within its run
    Column("generation", Integer, nullable=False, server_default="1"),  # of its run at the time
    Column("architecture_id", ForeignKey("architectures.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("reuse_key", String(128), nullable=False, index=True),
    Column("duplicate_of", ForeignKey("evaluations.id")),  # never counted, never on a front
    Column("choices", _Json, nullable=False),  # as the sampler made them
    Column("margins", _Json, nullable=False),
    Column("reason", Text),  # why it was refused
    Column("error", Text),
    *(Column(name, _FIGURE_TYPES[figure.column]) for name, figure in FIGURES.items()),
    Column("energy_model", Text),
    Column("energy_variants_uj", _Json),
    Column("fidelity", Integer),
    Column("seed", BigInteger),
    Column("train_seconds", Double),
    Column("wall_seconds", Double),
    Column("history", _Json),
    Column("versions", _Json),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    UniqueConstraint("run_id", "number"),
    # Covers the query for the front of accuracy and energy, in the order of its sweep.
    Index(
        "ix_evaluations_front",
        "run_id",
        "state",
        "duplicate_of",
        "generation",
        "energy_uj",
        "accuracy",
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("evaluation_id", ForeignKey("evaluations.id"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 1, 2, ...
    Column("fence", BigInteger, nullable=False),  # of the driver that started it
    Column("worker", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(16)),  # a State, or requeued or interrupted
    Column("error", Text),
    Column("traceback", Text),
)

layer_workloads = Table(
    "layer_workloads",
    metadata,
    Column("evaluation_id", ForeignKey("evaluations.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("macs", BigInteger, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("synops", Double),
    Column("spike_rate", Double),
    Column("operation", _Json, nullable=False),  # as in Workload.to_dict()
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("evaluation_id", ForeignKey("evaluations.id"), primary_key=True),
    Column("kind", String(32), primary_key=True),  # weights
    Column("path", Text, nullable=False),  # below the artefact folder, or absolute
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
