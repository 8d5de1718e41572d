"""The history of the schema, run by `spikenas.store.versions` and never by hand.

``versions/`` has one file a change, frozen once released; ``HEAD`` names the newest.
"""

HEAD = "0003"
VERSION_TABLE = "spikenas_version"  # not alembic's default: Optuna's tables bring that one
KNOWN = ("0001", "0002", HEAD)
