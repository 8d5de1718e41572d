"""What each family of components promises.

Axes: T steps, B batch, C channels, H, W map, N tokens, D width.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from spikenas import registry
from spikenas.architecture import RESIDUALS, Architecture, InputSpec, Stage
from spikenas.exceptions import UsageError
from spikenas.measurement import trace_architecture
from spikenas.nn.active_tokens import MaskedTokens, PackedTokens
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.neuron import Neuron
from spikenas.nn.operations import Leaf
from spikenas.registry import Family, Site

_T, _B, _D = 4, 3, 16
_GRID = (4, 4)


class ComponentContract:
    """What components of every family promise; the family's class says how to build and feed one.

    Attributes:
        genes: for the genes that the component declares, and those of its options to change.
    """

    family: ClassVar[Family]
    genes: ClassVar[Mapping[str, Any]] = {}

    def build(self, name: str) -> nn.Module:
        """Return the component, for inputs like those of `inputs`."""
        raise NotImplementedError

    def inputs(self) -> Tensor:
        """Return an input; T first, B second."""
        raise NotImplementedError

    def output_shape(self) -> tuple[int, ...]:
        """Return the shape that the output must have."""
        raise NotImplementedError

    def architecture(self, name: str) -> Architecture:
        """Return a network with the component in it."""
        raise NotImplementedError

    def test_the_component_names_its_source(self, name: str) -> None:
        """A reader must find the paper and the equation."""
        assert registry.component(self.family, name).source, f"source of {name!r} is empty"

    def test_its_options_are_those_of_its_constructor(self, name: str) -> None:
        """With the same defaults: a default is not recorded, and so must be what is built."""
        try:
            registry.component(self.family, name).load()
        except UsageError as error:
            pytest.fail(str(error))

    def test_the_output_has_the_promised_shape(self, name: str) -> None:
        """Also on meta tensors, where nothing is allocated."""
        with torch.device("meta"):
            on_meta = self.build(name)(torch.empty_like(self.inputs()))

        found, needed = tuple(self.build(name)(self.inputs()).shape), self.output_shape()
        assert found == needed, f"the output is {found}; needed: {needed}"
        assert tuple(on_meta.shape) == needed, f"on meta it is {tuple(on_meta.shape)}, not {needed}"

    def test_every_parameter_gets_a_finite_gradient(self, name: str) -> None:
        """A parameter without one would be counted and never trained."""
        module = self.build(name)
        module(self.inputs().requires_grad_()).square().sum().backward()

        for place, parameter in module.named_parameters():
            grad = parameter.grad
            assert grad is not None, f"parameter {place} has no gradient"
            assert grad.isfinite().all(), f"the gradient of {place} is not finite: {grad}"

    def test_membranes_start_anew_at_every_call(self, name: str) -> None:
        """Two calls with one input give one output."""
        module, x = _firing(self.build(name)), self.inputs().double()

        first, second = module(x), module(x)
        differing = int((first != second).sum())
        assert first.equal(second), f"{differing} of {first.numel()} values differ"

    def test_a_sample_does_not_depend_on_its_batch(self, name: str) -> None:
        """Released code has scanned T B steps where it meant T."""
        module, x = _firing(self.build(name)), self.inputs().double()
        axis = module(x).dim() - len(self.output_shape()) + self.output_shape().index(_B)

        alone = [module(x[:, i : i + 1]) for i in range(_B)]
        _close(module(x), torch.cat(alone, axis), "a batch and its samples one by one")

    def test_a_trace_counts_every_parameter_once(self, name: str) -> None:
        """Costs come from leaves, so parameters may stand nowhere else."""
        workload = trace_architecture(self.architecture(name))
        counted, have = sum(o.weights + o.biases for o in workload.operations), workload.parameters

        assert counted == have, f"its leaves count {counted} parameters, the modules have {have}"


class CausalContract(ComponentContract):
    """A component whose output has steps; none may look ahead."""

    def test_no_step_looks_ahead(self, name: str) -> None:
        """The first steps are the same when the later ones are never shown."""
        module, x = _firing(self.build(name)), self.inputs().double()

        _close(module(x)[:2], module(x[:2]), "two steps of four, and two steps alone")


class NeuronContract(CausalContract):
    """Currents [T, ...] to spikes [T, ...]; the backward is that of the definition."""

    family = "neuron"

    def build(self, name: str) -> Neuron:
        """Return the neuron, threshold 1."""
        neuron: Neuron = registry.component("neuron", name).load()(**self.genes)
        return neuron

    def inputs(self) -> Tensor:
        """Return currents around the threshold."""
        return _noise(_T, _B, 5, _D)

    def output_shape(self) -> tuple[int, ...]:
        """Return the input's."""
        return (_T, _B, 5, _D)

    def architecture(self, name: str) -> Architecture:
        """Return a network of such neurons."""
        return _tiny(neuron=name, **{"tau": 2.0, **self.genes})

    def test_the_output_is_zeros_and_ones(self, name: str) -> None:
        """And both occur."""
        values = self.build(name)(self.inputs()).unique().tolist()
        assert values == [0.0, 1.0], f"the output has the values {values[:9]}; needed: 0 and 1"

    def test_forward_and_gradient_are_those_of_the_definition(self, name: str) -> None:
        """Spikes are equal; gradients to 1e-12 in float64."""
        neuron = self.build(name)
        x, weights = self.inputs().double(), _noise(*self.output_shape()).double()
        fast, slow = x.clone().requires_grad_(), x.clone().requires_grad_()
        spikes, expected = neuron(fast), neuron.definition(slow)
        (spikes * weights).sum().backward()
        (expected * weights).sum().backward()

        differing = int((spikes != expected).sum())
        assert spikes.equal(expected), f"{differing} of {spikes.numel()} spikes differ"
        assert fast.grad is not None, "the currents get no gradient"
        assert slow.grad is not None, "the currents get no gradient from the definition"
        _close(fast.grad, slow.grad, "gradients of forward and of definition", atol=1e-12)

    def test_it_is_a_leaf_that_tells_its_membranes(self, name: str) -> None:
        """One per element of a sample's step."""
        neuron, x = self.build(name), self.inputs()

        assert isinstance(neuron, Leaf), f"{type(neuron).__name__} is no Leaf"
        found, needed = neuron.facts([x], neuron(x)).neurons, x[0, 0].numel()
        assert found == needed, f"facts() tells {found} membranes; needed: {needed}"


class MixerContract(CausalContract):
    """Spikes [T, B, N, D] to currents [T, B, N, D]."""

    family = "mixer"

    def build(self, name: str) -> nn.Module:
        """Return the mixer."""
        mixer: nn.Module = registry.component("mixer", name).load()(
            embed_dim=_D, grid=_GRID, neuron=_neuron, **self.genes
        )
        initialise: Any = mixer.initialise
        initialise(mixer)
        return mixer

    def inputs(self) -> Tensor:
        """Return spikes."""
        return (_noise(_T, _B, _GRID[0] * _GRID[1], _D) > 0.5).float()

    def output_shape(self) -> tuple[int, ...]:
        """Return the input's."""
        return (_T, _B, _GRID[0] * _GRID[1], _D)

    def architecture(self, name: str) -> Architecture:
        """Return a network of one such block."""
        return _tiny(stages=(_stage(mixer=(name,), **self.genes),))

    def test_halted_tokens_say_nothing_unless_the_rule_refuses_halting(self, name: str) -> None:
        """Rows of the active tokens alone give what masked tokens give."""
        component = registry.component("mixer", name)
        options = {n: value for n, value in self.genes.items() if n in component.options}
        site = Site(
            embed_dim=_D,
            height=_GRID[0],
            width=_GRID[1],
            num_steps=_T,
            residual="spike",
            num_heads=self.genes.get("num_heads"),
            halting=True,
            options=options,
        )
        if component.structural_rule and (refusal := component.structural_rule(site)):
            pytest.skip(f"mixer {name!r} may not halt: {refusal}")
        lifetimes = _noise(_B, _GRID[0] * _GRID[1]).mul(3).round().clamp(0, _T)
        is_active = torch.arange(_T).view(_T, 1, 1) < lifetimes  # [T, B, N]
        masked, packed = MaskedTokens(mask=is_active.double()), PackedTokens.of(is_active)
        module, x = _firing(self.build(name)), masked.masked(self.inputs().double())
        with torch.no_grad():
            expected = packed.from_dense(module(x, active=masked))
            found = module(packed.from_dense(x), active=packed)

        _close(found, expected, "rows of active tokens, and masked tokens")


class StemContract(CausalContract):
    """Images [T, B, C, H, W] to maps [T, B, D, H / P, W / P], here with P = 2."""

    family = "stem"

    def build(self, name: str) -> nn.Module:
        """Return the stem, in the first residual that it allows."""
        stem: nn.Module = registry.component("stem", name).load()(
            in_channels=2,
            embed_dim=_D,
            patch_size=2,
            residual=self.residual(name),
            neuron=_neuron,
            **self.genes,
        )
        return stem

    def residual(self, name: str) -> str:
        """Return the first residual that the component's rule allows."""
        rule = registry.component("stem", name).structural_rule
        sites = [
            Site(embed_dim=_D, height=8, width=8, num_steps=_T, residual=residual, patch_size=2)
            for residual in RESIDUALS
        ]
        return next(site.residual for site in sites if not (rule and rule(site)))

    def inputs(self) -> Tensor:
        """Return images."""
        return _noise(_T, _B, 2, 8, 8)

    def output_shape(self) -> tuple[int, ...]:
        """Return half the height and width."""
        return (_T, _B, _D, 4, 4)

    def architecture(self, name: str) -> Architecture:
        """Return a network that begins with it."""
        return _tiny(stem=name, residual=self.residual(name), patch_size=2)


class DownsamplingContract(CausalContract):
    """Maps [T, B, C, H, W] to [T, B, D, ceil(H / 2), ceil(W / 2)]."""

    family = "downsampling"

    def build(self, name: str) -> nn.Module:
        """Return it, between spikes of two widths."""
        downsampling: nn.Module = registry.component("downsampling", name).load()(
            in_channels=8, embed_dim=_D, residual="spike", neuron=_neuron, **self.genes
        )
        return downsampling

    def inputs(self) -> Tensor:
        """Return spikes."""
        return (_noise(_T, _B, 8, 4, 6) > 0.5).float()

    def output_shape(self) -> tuple[int, ...]:
        """Return half the height and width."""
        return (_T, _B, _D, 2, 3)

    def architecture(self, name: str) -> Architecture:
        """Return a network of two stages."""
        return _tiny(stages=(_stage(), _stage(downsampling=name)))


class HeadContract(ComponentContract):
    """The stream [T, B, N, D] to logits [B, classes]."""

    family = "head"

    def build(self, name: str) -> nn.Module:
        """Return the head, after spikes."""
        head: nn.Module = registry.component("head", name).load()(
            embed_dim=_D, num_classes=5, residual="spike", neuron=_neuron, **self.genes
        )
        return head

    def inputs(self) -> Tensor:
        """Return spikes."""
        return (_noise(_T, _B, 6, _D) > 0.5).float()

    def output_shape(self) -> tuple[int, ...]:
        """Return one number a class."""
        return (_B, 5)

    def architecture(self, name: str) -> Architecture:
        """Return a network that ends with it."""
        return _tiny(head=name)


def _close(found: Tensor, expected: Tensor, what: str, *, atol: float = 1e-10) -> None:
    torch.testing.assert_close(
        found, expected, rtol=0, atol=atol, msg=lambda text: f"{what} differ: {text}"
    )


def _firing(module: nn.Module) -> nn.Module:
    """Return the module in evaluation mode, its values such that neurons neither rest nor saturate.

    Fresh weights of some systems are so small that nothing fires, and then nothing is tested.
    """
    random = torch.Generator().manual_seed(1)
    module.double().eval()
    for name, tensor in module.state_dict().items():
        noise = torch.randn(tensor.shape, generator=random, dtype=torch.float64)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith("running_mean"):
            tensor.copy_(0.5 * noise)
        elif tensor.dim() < 2:  # scales and shifts
            tensor.copy_(1.0 + 0.5 * noise)
        else:
            fan_in = tensor.shape[-1] if tensor.dim() == 3 else tensor[0].numel()
            tensor.copy_(3.0 * noise / fan_in**0.5)
    return module


def _neuron(threshold: float = 1.0) -> Neuron:
    return LIF(v_threshold=threshold)


def _noise(*shape: int) -> Tensor:
    return 0.5 + torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _stage(**genes: Any) -> Stage:
    basis = {"embed_dim": _D, "depth": 1, "mixer": ("conv",), "mlp_ratio": 2.0}
    return Stage(**_with_options(Stage, {**basis, **genes}))


def _with_options(kind: type[Any], genes: Mapping[str, Any]) -> dict[str, Any]:
    """Gather what is no gene of ``kind`` under ``options``: a component's own settings."""
    known = {field.name for field in fields(kind)}
    options = tuple((name, value) for name, value in genes.items() if name not in known)
    return {**{n: v for n, v in genes.items() if n in known}, "options": options}


def _tiny(**genes: Any) -> Architecture:
    basis = {
        "input": InputSpec(channels=2, height=8, width=8),
        "num_classes": 5,
        "num_steps": 2,
        "neuron": "lif",
        "residual": "spike",
        "stem": "conv",
        "patch_size": 1,
        "stages": (_stage(),),
    }
    return Architecture(**_with_options(Architecture, {**basis, **genes}))
