"""Folders that version 0.1 wrote, whose tensors had other names, load as they were."""

import json
from pathlib import Path

import pytest
import torch

import spikenas

WRITTEN = Path(__file__).with_name("written_by_0_1")
LOGITS = json.loads((WRITTEN / "logits.json").read_text())


@pytest.mark.parametrize("name", LOGITS)
def test_an_export_of_0_1_loads_with_its_logits(name):
    ramp = torch.linspace(-2.0, 2.0, 64).view(1, 1, 8, 8)
    images = ramp * torch.tensor([1.0, -1.0, 0.5]).view(3, 1, 1, 1)

    network = spikenas.load(WRITTEN / name)

    with torch.no_grad():
        logits = network(images)
    expected = torch.tensor(LOGITS[name])
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-6)
