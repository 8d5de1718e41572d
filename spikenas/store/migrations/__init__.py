"""The history of the schema, run by `spikenas.store.versions` and never by hand.

``versions/`` has one file a change, ``r0001_what.py``, frozen once released.
"""

from pathlib import Path

VERSION_TABLE = "spikenas_version"  # not alembic's default: Optuna's tables bring that one
KNOWN = tuple(sorted(path.name[1:5] for path in Path(__file__).parent.glob("versions/r*.py")))
HEAD = KNOWN[-1]
