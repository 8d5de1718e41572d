"""The record of every run: SQLite beside the user, or PostgreSQL by URL.

The user has three tools here: `Store` (all runs), `Run` (one, to be read) and `RunWriter` (one,
to be driven). Nothing outside this package sees SQL, SQLAlchemy or alembic.
"""

from spikenas.store.candidate import Attempt, Candidate, read_weights
from spikenas.store.run import Run, RunSummary
from spikenas.store.store import Store
from spikenas.store.writer import KeptFile, RunWriter

__all__ = [
    "Attempt",
    "Candidate",
    "KeptFile",
    "Run",
    "RunSummary",
    "RunWriter",
    "Store",
    "read_weights",
]
