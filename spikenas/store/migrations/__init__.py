"""The migrations of the schema, run by `spikenas.store.versions` and never by hand.

``versions/`` has one file per change, ``r0001_what.py``, which is not edited once released.
"""

from pathlib import Path

VERSION_TABLE = "spikenas_version"  # not alembic's default, which Optuna uses
KNOWN = tuple(sorted(path.name[1:5] for path in Path(__file__).parent.glob("versions/r*.py")))
HEAD = KNOWN[-1]
