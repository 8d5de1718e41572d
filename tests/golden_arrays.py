"""What the authors' own code computed, as arrays, and how ours is compared with it.

Official names are those of `spikenas.systems`: a module that stands at ``ours`` in a network stands
at ``theirs`` in the released one, and the arrays of a single block leave that place out.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikenas.systems.checkpoint import alternatives, official

Arrays = Mapping[str, Any]
Layout = Callable[[Tensor], Tensor]  # from the authors' axes to ours
IN_REPOSITORY = Path(__file__).parent / "golden"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a module stands in our network, and where in the released one."""

    system: ModuleType
    ours: str = ""
    theirs: str = ""


def arrays_of(shared: Path, name: str) -> dict[str, Any]:
    path = shared / "golden" / f"{name}.npz"
    if path.parent == IN_REPOSITORY and not path.is_file():
        pytest.skip(f"{path.name} is in the shared folder only: set SPIKENAS_SHARED")
    with np.load(path) as file:
        return dict(file)


def tensor(arrays: Arrays, name: str) -> Tensor:
    return torch.from_numpy(arrays[name]).double()


def parts(
    named: Mapping[str, Tensor], place: Place, arrays: Arrays
) -> Iterator[tuple[str, str, Tensor]]:
    """Yield our name, the official name and the tensor, for each of ours; a head at a time."""
    known = {key.removeprefix("w/") for key in arrays if key.startswith("w/")}
    for ours, value in named.items():
        pattern = official(place.system.NAMES, place.ours + ours)
        pieces = list(value) if "*" in pattern else [value]
        for i, piece in enumerate(pieces):
            spelt = alternatives(pattern.replace("*", str(i)))
            here = {n.removeprefix(place.theirs) for n in spelt if n.startswith(place.theirs)}
            [theirs] = here & known
            yield ours, theirs, piece


def load(module: nn.Module, arrays: Arrays, place: Place) -> None:
    """Fill every parameter and buffer in float64; none of the authors' is left over."""
    module.double()
    taken = {*json.loads(str(arrays["meta"]))["unused_params"]}
    with torch.no_grad():
        for _, theirs, ours in parts(module.state_dict(), place, arrays):
            ours.copy_(tensor(arrays, f"w/{theirs}").reshape(ours.shape))
            taken.add(theirs)
    given = {key.removeprefix("w/") for key in arrays if key.startswith("w/")}
    assert {name for name in given if not name.endswith("num_batches_tracked")} == taken


def compare(
    module: nn.Module,
    arrays: Arrays,
    place: Place,
    layout: tuple[Layout, Layout] = (lambda x: x, lambda y: y),
) -> None:
    """Compare output and gradients in evaluation mode; spikes are equal, reals to 1e-10."""
    module.double().eval()
    module.zero_grad()
    x = tensor(arrays, "x").requires_grad_()
    y = module(layout[0](x))
    assert_output(y, arrays, layout[1])

    y.backward(layout[1](tensor(arrays, "cot")))
    stored_as_float32 = arrays["gx"].dtype == np.float32
    tolerance = 1e-6 if stored_as_float32 else 1e-10
    assert x.grad is not None
    torch.testing.assert_close(x.grad, tensor(arrays, "gx"), atol=tolerance, rtol=tolerance)
    compare_norms(module, arrays, place, "gnorm")


def assert_output(y: Tensor, arrays: Arrays, layout: Layout, tolerance: float = 1e-10) -> None:
    expected = layout(tensor(arrays, "y"))
    if arrays["y"].dtype == np.int8:
        assert y.double().equal(expected)
    torch.testing.assert_close(y.detach().double(), expected, atol=tolerance, rtol=tolerance)


def compare_norms(
    module: nn.Module, arrays: Arrays, place: Place, kind: str, *, tolerance: float = 1e-9
) -> None:
    """Compare the norm of every parameter's gradient, to a part of it."""
    gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    found = {theirs: g.norm().item() for _, theirs, g in parts(gradients, place, arrays)}
    expected = {
        key.removeprefix(f"{kind}/"): float(value)
        for key, value in arrays.items()
        if key.startswith(f"{kind}/")
    }
    assert found.keys() == expected.keys()
    for name, norm in expected.items():
        # A bias before a batch norm in training has no gradient but rounding.
        assert abs(found[name] - norm) <= tolerance * (norm + 1e-3), name


def compare_in_float32(
    module: nn.Module, arrays: Arrays, layout: tuple[Layout, Layout] = (lambda x: x, lambda y: y)
) -> None:
    """Compare the output alone: spikes are equal here too, reals to 1e-5."""
    module.float().eval()
    with torch.no_grad():
        y = module(layout[0](tensor(arrays, "x")).float())
    assert_output(y, arrays, layout[1], tolerance=1e-5)
