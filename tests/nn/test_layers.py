"""Layers that run at once are their definitions, and who looks at them changes nothing."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

import spikenas.nn as nn_package
from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.active_tokens import MaskedTokens
from spikenas.nn.layers import ConvNorm, ConvOverTokensNorm, LinearNorm, SpikeAttention
from spikenas.nn.layout import hold
from spikenas.nn.network import build_network
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.neurons.plif import ParametricLIF
from spikenas.nn.operations import BatchNorm, Conv, Linear, TokenSimilarity

T, B, N, D = 3, 2, 8, 6
LAYERS = {
    "conv": lambda neuron: ConvNorm(D, 5, stride=2, neuron=neuron),
    "linear": lambda neuron: LinearNorm(D, 5, bias=False, neuron=neuron),
    "linear with bias": lambda neuron: LinearNorm(D, 5, bias=True, neuron=neuron),
    "conv over tokens": lambda neuron: ConvOverTokensNorm(D, 5, 3, neuron=neuron),
}
NEURONS = {"none": lambda: None, "lif": LIF, "plif": ParametricLIF, "gelu": nn.GELU}


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def outcome(layer, run, x, active):
    """Return output, gradients of input and weights, and the running statistics."""
    x = x.clone().requires_grad_()
    layer.zero_grad()
    y = run(x if len(x) > 1 else hold(x, T), **({} if active is None else {"active": active}))
    (y * drawn(*y.shape, seed=1).to(y.dtype)).sum().backward()
    learnt = {name: p.grad for name, p in layer.named_parameters()}
    return {"y": y, "x": x.grad, **learnt, **dict(layer.named_buffers())}


@pytest.mark.parametrize("case", ["whole", "held", "some tokens"])
@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_its_definition(name, neuron, is_training, case):
    if case == "some tokens" and (name == "conv" or neuron == "gelu"):
        pytest.skip("only spiking layers of tokens know which are active")
    torch.manual_seed(0)
    fast = LAYERS[name](NEURONS[neuron]()).double().train(is_training)
    slow = deepcopy(fast)
    steps = 1 if case == "held" else T
    x = drawn(steps, B, D, 4, 6) if name == "conv" else drawn(steps, B, N, D)
    mask = (drawn(T, B, N, seed=2) > 0).double()
    active = MaskedTokens(mask=mask) if case == "some tokens" else None

    found, expected = outcome(fast, fast, x, active), outcome(slow, slow.definition, x, active)

    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9, msg=key)


@pytest.mark.parametrize("scale", [0.125, 0.3])
@pytest.mark.parametrize("num_tokens", [3, 20])
def test_attention_is_its_definition(num_tokens, scale):
    attention = SpikeAttention(2, scale)
    q, k, v = ((drawn(T, B, num_tokens, 8, seed=i) > 0).double() for i in range(3))

    found, expected = attention(q, k, v), attention.definition(q, k, v)

    assert found.equal(expected) if scale == 0.125 else torch.allclose(found, expected)
    heads = [x.unflatten(3, (2, -1)).transpose(2, 3) for x in (q, k, v)]
    by_hand = scale * heads[0] @ heads[1].mT @ heads[2]
    torch.testing.assert_close(found, by_hand.transpose(2, 3).flatten(3))


def test_what_is_the_same_at_every_step_is_computed_once():
    layer, seen = ConvNorm(3, 5, neuron=LIF()).train(), []
    layer.conv.product = lambda x: seen.append(x.shape) or Conv.product(layer.conv, x)

    spikes = layer(hold(drawn(1, B, 3, 4, 4).float(), T))

    assert (seen, spikes.shape) == ([(1, B, 3, 4, 4)], (T, B, 5, 4, 4))
    assert layer.norm.running_var.isfinite().all()


def network(residual, mixer):
    stage = Stage(embed_dim=16, depth=2, mixer=(mixer,) * 2, num_heads=2, mlp_ratio=2.0)
    torch.manual_seed(0)
    return build_network(
        Architecture(
            num_steps=2,
            residual=residual,
            neuron="lif",
            stem="sps_membrane" if residual == "membrane" else "sps",
            patch_size=2,
            stages=(stage,),
            input=InputSpec(channels=3, height=8, width=8),
            num_classes=5,
        )
    )


def gradients(net, *, hook=None, backward_hook=None):
    net = deepcopy(net)
    for module in net.modules():
        if hook is not None:
            module.register_forward_hook(hook)
        if backward_hook is not None:
            module.register_full_backward_hook(backward_hook)
    images = drawn(4, 3, 8, 8, seed=1).float().requires_grad_()  # else backward hooks warn
    net(images).square().sum().backward()
    return [p.grad for p in net.parameters()]


@pytest.mark.parametrize(("residual", "mixer"), [("spike", "ssa"), ("membrane", "spike_driven")])
def test_hooks_on_any_module_see_plain_tensors_and_change_nothing(residual, mixer):
    net, seen = network(residual, mixer), set()

    def look(module, inputs, output):
        assert type(output[0] if isinstance(output, tuple) else output) is torch.Tensor
        assert all(type(x) is torch.Tensor for x in inputs if isinstance(x, torch.Tensor))
        seen.add(type(module))

    def look_back(module, of_inputs, of_outputs):
        seen.add(type(module))

    expected = gradients(net)
    for hooks in ({"hook": look}, {"backward_hook": look_back}):
        seen.clear()
        found = gradients(net, **hooks)

        assert seen >= {BatchNorm, Conv, LIF, Linear, LinearNorm}
        assert mixer != "ssa" or TokenSimilarity in seen
        scale = max(float(each.abs().max()) for each in expected)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("register", ["forward_hook", "forward_pre_hook"])
def test_global_hooks_see_every_operation(register):
    net, seen = network("spike", "ssa"), []
    add = getattr(nn.modules.module, f"register_module_{register}")
    handle = add(lambda m, *_: seen.append(type(m)))
    try:
        net(drawn(2, 3, 8, 8).float())
    finally:
        handle.remove()

    assert {Conv, BatchNorm, LIF, TokenSimilarity} <= set(seen)


def test_a_users_own_function_and_changes_in_place_may_stand_between_layers():
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    first, second = ConvNorm(3, 5).train(), ConvNorm(5, 5, neuron=LIF()).train()
    y = first(drawn(T, B, 3, 4, 4).float())
    y = Twice.apply(y)
    y.add_(0.5)

    second(y).sum().backward()

    assert first.conv.weight.grad.isfinite().all()


def test_autocast_is_allowed():
    net, images = network("spike", "ssa").train(), drawn(4, 3, 8, 8).float()

    with torch.autocast("cpu", torch.bfloat16):
        logits = net(images)
    logits.float().sum().backward()

    assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("residual", ["spike", "membrane"])
def test_a_network_compiles_whole(residual):
    net = network(residual, "ssa" if residual == "spike" else "spike_driven").eval()
    images = drawn(2, 3, 8, 8).float()
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)

    with torch.no_grad():
        torch.testing.assert_close(compiled(images), net(images), rtol=1e-4, atol=1e-5)


def test_nothing_is_inferred_and_nothing_passed_sideways():
    text = "".join(path.read_text() for path in Path(nn_package.__file__).parent.rglob("*.py"))

    assert "__torch_function__" not in text
    assert "ContextVar" not in text


def test_a_layer_without_statistics_takes_the_definition():
    layer = LinearNorm(4, 3, bias=True, neuron=LIF()).half()
    x = torch.ones(T, B, N, 4).half()

    assert layer.eval()(x).equal(layer.definition(x))
