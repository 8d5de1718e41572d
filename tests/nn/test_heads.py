import equations
import pytest
import torch

from spikenas.nn.heads.mean_linear import MeanLinearHead
from spikenas.nn.heads.neuron_linear import NeuronLinearHead
from spikenas.nn.heads.spiking import SpikingHead
from spikenas.nn.neurons.lif import LIF
from spikenas.testing import HeadContract

T = 6


@pytest.mark.parametrize("name", ["mean_linear", "neuron_linear", "spiking"])
class TestEveryHead(HeadContract):
    pass


def test_every_registered_head_is_under_contract():
    assert equations.shipped("head") == ["mean_linear", "neuron_linear", "spiking"]


def lif(threshold=1.0):
    return LIF(v_threshold=threshold)


def built(head, residual):
    return equations.randomised(
        head(embed_dim=8, num_classes=5, residual=residual, neuron=lif), seed=3
    )


def test_the_mean_is_over_tokens_and_steps():
    module = built(MeanLinearHead, "spike")
    x = equations.spikes_like(T, 2, 3, 8)

    logits = module(x)

    for b in range(2):
        mean = sum(x[t, b, n] for t in range(T) for n in range(3)) / (T * 3)
        expected = module.classifier.weight @ mean + module.classifier.bias
        torch.testing.assert_close(logits[b], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("residual", ["spike", "membrane", "none"])
def test_a_neuron_on_the_mean_token_feeds_the_classifier_at_every_step(residual):
    module = built(NeuronLinearHead, residual)
    x = 3.0 * equations.pixels(T, 2, 3, 8)

    def step(tokens, neuron):
        spikes = neuron("neuron", sum(tokens) / len(tokens))
        return module.classifier.weight @ spikes + module.classifier.bias

    logits, spikes = equations.seen(module, x)
    expected, expected_spikes = equations.run(step, x)

    assert spikes["neuron"].equal(expected_spikes["neuron"])
    assert 0 < spikes["neuron"].mean() < 1
    torch.testing.assert_close(logits, expected.sum(0) / T, rtol=0, atol=1e-10)


@pytest.mark.parametrize("residual", ["spike", "membrane", "none"])
def test_spiking_logits_are_counts_of_spikes(residual):
    module = built(SpikingHead, residual)
    with torch.no_grad():
        module.classifier.norm.bias.add_(1.0)  # else no class fires
    is_membrane = residual == "membrane"
    x = equations.pixels(T, 2, 3, 8) if is_membrane else equations.spikes_like(T, 2, 3, 8)

    def step(tokens, neuron):
        spikes = neuron("before", tokens) if is_membrane else tokens
        currents = module.classifier.linear.weight @ (sum(spikes) / len(spikes))
        return neuron("classifier.neuron", equations.batch_norm(currents, module.classifier.norm))

    logits, spikes = equations.seen(module, x)
    expected, expected_spikes = equations.run(step, x)

    assert spikes["classifier.neuron"].equal(expected_spikes["classifier.neuron"])
    assert 0 < spikes["classifier.neuron"].mean() < 1
    torch.testing.assert_close(logits, expected.sum(0), rtol=0, atol=1e-10)
