"""``python -m spikenas`` is ``spikenas``."""

from spikenas.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
