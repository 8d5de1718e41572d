"""Write ``architectures.json``: the canonical JSON and key of published architectures.

Keys are in databases and exports, so a change of this file breaks what users have stored; it
needs a migration and a line in the changelog. Run: ``python tests/golden/write_architectures.py``.
"""

import json
from pathlib import Path

from spikenas.systems import published

NAMES = (
    "spikformer-4-384-cifar10",
    "spikformer-8-512-imagenet",
    "stmixer-4-384-cifar100",
    "stmixer-8-768-imagenet",
)

if __name__ == "__main__":
    record = {
        name: {"key": published(name).key, "architecture": published(name).to_dict()}
        for name in NAMES
    }
    file = Path(__file__).with_name("architectures.json")
    file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
