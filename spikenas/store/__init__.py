"""The record of every run: SQLite beside the user, or PostgreSQL by URL.

`Store` gives access to all runs, `Run` reads one, and `RunWriter` writes the one that this process
drives. No code outside this package sees SQL, SQLAlchemy or alembic.
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
