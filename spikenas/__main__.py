"""``python -m spikenas`` is ``spikenas``."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:  # the working folder last: its torch.py is not torch
        sys.path.append(sys.path.pop(0))

    from spikenas.cli import main

    raise SystemExit(main())
