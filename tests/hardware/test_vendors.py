"""The vendors' own packages build what was found, exported and judged here.

akida maps onto a virtual AKD1000 and computes as the chip does, in whole numbers; weights are
quantised here. sinabs computes Speck's neurons in PyTorch. Its modules that place layers import
the closed driver samna and ask nothing of it, so empty modules of those names stand in.
"""

import importlib
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikenas
from spikenas.data import DataSpec, load
from spikenas.hardware import check, chip
from spikenas.measurement import trace
from spikenas.nn.neurons.neuron import Neuron

pytest.importorskip("nir", reason="needs the extra nir")

from exported_layers import Part, parts

_DRIVER = (
    "samna",
    "samna.specksim.nodes",
    "samna.speck2e.configuration",
    "samna.speck2f.configuration",
    "samnagui",
)
_MOST = 7  # of weights of 4 bit, so that 0 is in the middle


def _front_member(folder: Path, **search) -> Path:
    """Search, and return the export of the most accurate candidate."""
    store = f"sqlite:///{folder}/runs.db"
    run = spikenas.search(
        workers="inline", store=store, name="vendor", epochs=1, batch_size=10, **search
    )
    best = run.best("accuracy")
    assert best.id in [candidate.id for candidate in run.pareto_front()]
    export = ["export", "vendor", "--best", "accuracy", "--format", "nir"]
    to = ["--store", store, "--to", str(folder / "best")]
    subprocess.run([sys.executable, "-m", "spikenas", *export, *to], check=True)
    return folder / "best"


def _verdict(export: Path, name: str):
    return check(trace(spikenas.load(export)), chip(name))


# Akida


@pytest.fixture(scope="module")
def akida():
    return pytest.importorskip("akida", reason="akida is not installed; take the extra vendors")


@pytest.fixture(scope="module")
def for_akida(tmp_path_factory) -> Path:
    """An export from a search on real digits, enlarged as the chip's first layer wants them."""
    return _front_member(
        tmp_path_factory.mktemp("akida"),
        space="akida",
        data="digits",
        image_size=16,
        train_subset=400,
        chip="akida1",
        trials=2,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantised:
    """Weights of 4 bit [out, in, height, width]; a neuron fires above its channel's threshold."""

    part: Part
    weight: Tensor
    threshold: Tensor | None  # [out] whole numbers; None: currents leave the chip
    padding_value: int  # what stands beside the map; the chip knows one for all channels


def _quantised(chain: list[Part], mean: Tensor, std: Tensor) -> list[_Quantised]:
    """Return integers for pixels 0 to 255: their normalisation is in the first weights."""
    layers = []
    for at, part in enumerate(chain):
        if part.weight is None:
            continue
        weight, bias, around = part.weight, part.bias, 0
        if part.layer.is_pixels:
            around = round(255 * float(mean.mean()))
            weight = weight / (255 * std).view(-1, 1, 1)
            bias = bias - (weight * 255 * mean.view(-1, 1, 1)).sum((1, 2, 3))
        scale = weight.abs().amax((1, 2, 3)) / _MOST
        threshold = chain[at + 1].threshold if at + 1 < len(chain) else None
        layers.append(
            _Quantised(
                part=part,
                weight=(weight / scale.view(-1, 1, 1, 1)).round(),
                threshold=None if threshold is None else ((threshold - bias) / scale).floor(),
                padding_value=around,
            )
        )
    return layers


def _computed(layers: list[_Quantised], x: Tensor) -> Tensor:
    """Return what the quantised layers give for pixels [B, C, H, W]."""
    for at in layers:
        layer = at.part.layer
        rows, columns = layer.padding
        x = F.pad(x, (columns, columns, rows, rows), value=at.padding_value)
        x = F.conv2d(x, at.weight, stride=layer.stride)
        if at.threshold is not None:
            x = (x > at.threshold.view(-1, 1, 1)).float()
    return x


def _built(akida, layers: list[_Quantised]):
    """Return the same in the vendor's layers.

    Of an even map, strided, the vendor pads the far sides and PyTorch the near ones, so images
    and kernels go in turned by half; layers of the chip but the first turn kernels themselves.
    """
    model = akida.Model()
    for index, at in enumerate(layers):
        layer = at.part.layer
        channels, height, width = layer.input_shape
        fires = at.threshold is not None
        told = {"name": layer.name, "weights_bits": 4, "act_bits": 1, "activation": fires}
        told |= {} if _is_dense(at) else {"filters": layer.output_shape[0]}
        window = {
            "kernel_size": layer.kernel,
            "kernel_stride": layer.stride,
            "padding": akida.Padding.Same,
        }
        weight = at.weight.numpy().astype(np.int8)  # [out, in, height, width]
        if layer.is_pixels:
            assert index == 0
            around = {"padding_value": at.padding_value}
            model.add(
                akida.InputConvolutional((height, width, channels), **around, **window, **told)
            )
            weight = weight[:, :, ::-1, ::-1].transpose(2, 3, 1, 0)
        elif _is_dense(at):
            model.add(akida.FullyConnected(layer.output_shape[0], **told))
            # the vendor's order of inputs is channel, column, row
            weight = weight.transpose(1, 3, 2, 0).reshape(1, 1, -1, layer.output_shape[0])
        else:
            model.add(akida.Convolutional(**window, **told))
            weight = weight.transpose(2, 3, 1, 0)
        added = model.get_layer(layer.name)
        added.set_variable("weights", np.ascontiguousarray(weight))
        if fires:
            added.set_variable("threshold", at.threshold.numpy().astype(np.int32))
    return model


def _is_dense(at: _Quantised) -> bool:
    layer = at.part.layer
    return layer.what == "linear" and layer.output_shape[1:] == (1, 1)


@pytest.fixture(scope="module")
def quantised(for_akida) -> list[_Quantised]:
    info = load(DataSpec(name="digits", image_size=16)).info
    return _quantised(parts(for_akida), torch.tensor(info.mean), torch.tensor(info.std))


@pytest.mark.slow
@pytest.mark.xdist_group("akida")  # one search for both
def test_akida_maps_a_front_member_onto_the_processors_that_the_verdict_says(
    akida, for_akida, quantised
):
    model = _built(akida, quantised)

    model.map(akida.AKD1000(), hw_only=True)  # raises where a layer would run on the host

    verdict = _verdict(for_akida, "akida1")
    assert verdict.fits
    assert [len(model.get_layer(at.part.layer.name).mapping.nps) for at in quantised] == [
        layer["processors"] for layer in verdict.placement.layers
    ]


@pytest.mark.slow
@pytest.mark.xdist_group("akida")  # one search for both
def test_akida_computes_what_the_quantised_front_member_does(akida, quantised):
    images = load(DataSpec(name="digits", image_size=16)).test.images[:50]
    model = _built(akida, quantised)

    turned = images.flip(2, 3).permute(0, 2, 3, 1).contiguous().numpy()  # [B, H, W, C]
    found = torch.tensor(model.forward(turned)).permute(0, 3, 1, 2).float()

    expected = _computed(quantised, images.float())
    assert torch.equal(found, expected)
    assert len(expected.unique(dim=0)) > 1


# Speck


@pytest.fixture(scope="module")
def sinabs():
    pytest.importorskip("nirtorch", reason="nirtorch is not installed; norse brings it")
    return pytest.importorskip("sinabs", reason="sinabs is not installed; scripts/install dev")


@pytest.fixture(scope="module")
def for_speck(nmnist, tmp_path_factory) -> Path:
    """An export from a search on real events."""
    return _front_member(
        tmp_path_factory.mktemp("speck"),
        space="speck",
        data="nmnist",
        data_root=nmnist,
        train_subset=100,
        chip="speck2",
        trials=1,
    )


@pytest.fixture(scope="module")
def events(for_speck, nmnist) -> Tensor:
    """Frames [B, T, C, H, W] of recordings that were not trained on."""
    spec = DataSpec(name="nmnist", root=str(nmnist))
    test = load(spec.with_steps(spikenas.load(for_speck).architecture.num_steps)).test
    return test.images[:20].float()


def _chain(sinabs, export: Path, num_steps: int) -> nn.Sequential:
    """Return the vendor's layers, which take frames [B T, C, H, W]."""
    modules: list[nn.Module] = []
    for part in parts(export):
        layer = part.layer
        if part.weight is not None:
            out, channels, *kernel = part.weight.shape
            conv = nn.Conv2d(channels, out, kernel, stride=layer.stride, padding=layer.padding)
            conv.load_state_dict({"weight": part.weight, "bias": part.bias})
            modules.append(conv)
        elif part.threshold is not None:
            modules.append(
                sinabs.layers.IAFSqueeze(
                    num_timesteps=num_steps,
                    spike_threshold=_next(part.threshold),  # the vendor's fire at it
                    spike_fn=sinabs.activation.SingleSpike,
                    reset_fn=sinabs.activation.MembraneReset(),
                )
            )
        else:
            assert layer.kind == "sum_pool"
            modules.append(sinabs.layers.SumPool2d(layer.kernel, stride=layer.stride))
    return nn.Sequential(*modules).eval()


def _next(threshold: float) -> Tensor:
    return torch.nextafter(torch.tensor(threshold), torch.tensor(torch.inf))


def _spikes(network: nn.Module, kind: type[nn.Module], x: Tensor) -> list[Tensor]:
    """Return what each neuron gave, in order."""
    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda module, given, out: seen.append(out))
        for module in network.modules()
        if isinstance(module, kind)
    ]
    with torch.no_grad():
        network(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.slow
@pytest.mark.xdist_group("sinabs")  # one search for both
def test_sinabs_gives_the_same_spikes_for_real_events(sinabs, for_speck, events):
    network = spikenas.load(for_speck)
    num_steps = network.architecture.num_steps
    chain = _chain(sinabs, for_speck, num_steps)

    found = _spikes(chain, sinabs.layers.IAFSqueeze, events.flatten(0, 1))

    expected = _spikes(network, Neuron, events)  # [T, B, ...], of tokens [T, B, N, D]
    assert len(found) == len(expected)
    for ours, theirs in zip(expected, found, strict=True):
        maps = ours.mT if ours.dim() == 4 else ours
        assert torch.equal(maps.transpose(0, 1).flatten(), theirs.flatten())
    assert all(0 < spikes.mean() < 1 for spikes in expected)


@pytest.mark.slow
@pytest.mark.xdist_group("sinabs")  # one search for both
def test_sinabs_places_a_front_member_on_the_cores_that_the_verdict_says(
    sinabs, for_speck, monkeypatch
):
    for name in _DRIVER:
        monkeypatch.setitem(sys.modules, name, MagicMock())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sinabs warns of what nirtorch deprecates
        dynapcnn = importlib.import_module("sinabs.backend.dynapcnn")
        mapping = importlib.import_module("sinabs.backend.dynapcnn.mapping")
        builder = importlib.import_module(
            "sinabs.backend.dynapcnn.chips.dynapcnn"
        ).DynapcnnConfigBuilder
        size = spikenas.load(for_speck).architecture.input
        network = dynapcnn.DynapcnnNetwork(
            _chain(sinabs, for_speck, 1),
            input_shape=(size.channels, size.height, size.width),
            discretize=True,
        )

        cores = mapping.get_valid_mapping(network.dynapcnn_layers, builder.get_constraints())

    verdict = _verdict(for_speck, "speck2")
    assert verdict.fits
    placed = verdict.placement.layers
    assert cores == {index: layer["core"] for index, layer in enumerate(placed)}
    for index, layer in network.dynapcnn_layers.items():
        memory = layer.memory_summary()
        assert {name: int(memory[name]) for name in ("kernel", "neuron", "bias")} == {
            name: placed[index][name] for name in ("kernel", "neuron", "bias")
        }
