"""Operations that wait for the next one are, to anything else, the tensors that they stand for."""

from copy import deepcopy

import pytest
import torch

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.nn.deferred import Biased, Deferred, Held, Normalised, Similarity, valued
from spikenas.nn.layout import deferring
from spikenas.nn.network import build_network
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import BatchNorm, Linear, TokenAggregation, TokenSimilarity

T, B, N, D = 3, 2, 8, 6


@pytest.fixture
def norm():
    made = BatchNorm(D)
    with deferring(made):
        yield made


def tokens(seed=0):
    return 1.0 + torch.randn(T, B, N, D, generator=torch.Generator().manual_seed(seed))


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
        if hook is not None and isinstance(module, BatchNorm | Linear | TokenSimilarity):
            module.register_forward_hook(hook)
        if backward_hook is not None and isinstance(module, BatchNorm | LIF):
            module.register_full_backward_hook(backward_hook)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    net(images).square().sum().backward()
    return [p.grad for p in net.parameters()]


def test_outside_of_a_network_nothing_waits():
    assert not isinstance(BatchNorm(D)(tokens()), Deferred)
    assert not isinstance(Linear(D, D)(tokens()), Deferred)


def test_each_form_has_the_values_of_what_it_stands_for(norm):
    linear, x = Linear(D, D), tokens()
    q, k = (tokens(seed).sign() for seed in (1, 2))

    biased, normalised = linear(x), norm(x)
    similar = TokenSimilarity(2, 0.125)(q, k)
    aggregated = TokenAggregation()(similar, x)

    assert [type(each) for each in (biased, normalised, similar)] == [
        *(Biased, Normalised, Similarity)
    ]
    torch.testing.assert_close(
        biased + 0.0, torch.nn.functional.linear(x, linear.weight, linear.bias)
    )
    plain = (x - x.mean((0, 1, 2))) / (x.var((0, 1, 2), correction=0) + norm.eps).sqrt()
    torch.testing.assert_close(normalised + 0.0, plain, rtol=1e-4, atol=1e-5)
    heads = [each.unflatten(3, (2, -1)).transpose(2, 3) for each in (q, k, x)]
    attn = 0.125 * heads[0] @ heads[1].mT
    assert valued(similar).equal(attn)
    torch.testing.assert_close(aggregated, (attn @ heads[2]).transpose(2, 3).flatten(3))
    assert Held.over(x[:1], T).equal(x[:1].expand(T, B, N, D))


def test_values_asked_for_without_gradients_keep_theirs(norm):
    x = tokens().requires_grad_()
    y = norm(x)
    with torch.no_grad():
        y.mean()
    (y * y).sum().backward()

    assert x.grad is not None
    with torch.no_grad():
        without = norm(x)
    assert not (without * 2.0).requires_grad


def test_what_was_changed_or_hooked_is_not_taken_apart(norm):
    seen = []
    changed, hooked = norm(tokens().requires_grad_()), norm(tokens().requires_grad_())
    changed.mul_(0.0)
    hooked.register_hook(seen.append)
    LIF()(hooked).sum().backward()

    assert not LIF()(changed).any()
    assert len(seen) == 1


def test_a_source_that_changes_in_between_is_noticed(norm):
    x = tokens()
    y, z = norm(x), norm(x)
    x.zero_()

    with pytest.raises(RuntimeError, match="changed in place between two operations"):
        y.mean()
    with pytest.raises(RuntimeError, match="changed in place between two operations"):
        LIF()(z)


def test_it_works_in_inference_mode(norm):
    norm.eval()
    with torch.inference_mode():
        y = norm(tokens())
        fused = LIF()(norm(tokens()))

    assert fused.equal(LIF()(y + 0.0))


@pytest.mark.parametrize(("residual", "mixer"), [("spike", "ssa"), ("membrane", "spike_driven")])
def test_hooks_change_nothing(residual, mixer):
    net, seen = network(residual, mixer), []

    def look(module, inputs, output):
        with torch.no_grad():
            seen.append(float(output.abs().mean()))

    def look_back(module, of_inputs, of_outputs):
        seen.append(float(of_outputs[0].abs().mean()))

    expected = gradients(net)
    for hooks in ({"hook": look}, {"backward_hook": look_back}):
        seen.clear()
        found = gradients(net, **hooks)

        assert seen
        scale = max(float(each.abs().max()) for each in expected)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * scale)
