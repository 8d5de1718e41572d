"""Contracts must fail for what they forbid; otherwise they promise nothing."""

from dataclasses import replace

import pytest
from torch import nn

from spikenas import registry
from spikenas.nn.neurons.lif import LIF
from spikenas.nn.operations import BatchNorm, Linear
from spikenas.testing import MixerContract, NeuronContract


class Scanning(nn.Module):
    """Lets membranes run on from one sample to the next, as released code has done."""

    def __init__(self):
        super().__init__()
        self.neuron = LIF(v_threshold=0.6)  # above half a spike: none fires on its own

    def forward(self, x):
        return self.neuron(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class LookingAhead(nn.Module):
    """Sees the mean over all steps."""

    def forward(self, x):
        return x - x.mean(0)


class Idle(nn.Module):
    """Has weights that nothing reads."""

    def __init__(self):
        super().__init__()
        self.read, self.bn, self.unread = Linear(16, 16), BatchNorm(16), Linear(16, 16)

    def forward(self, x):
        return self.bn(self.read(x))


class Remembering(nn.Module):
    """Keeps its state between calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


class LookingAtTheHalted(nn.Module):
    """Subtracts the mean over all there is, whether it computes or not."""

    def forward(self, x, active=None):
        return x - x.flatten(0, -2).mean(0)


class WrongBackward(LIF):
    """Tells another derivative than that of its charge."""

    def __init__(self):
        super().__init__()
        self.dh_dv = 0.9


def contract_of(kind, base=MixerContract):
    class Contract(base):
        def build(self, name):
            return kind()

    return Contract()


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Scanning, "test_a_sample_does_not_depend_on_its_batch"),
        (LookingAhead, "test_no_step_looks_ahead"),
        (Idle, "test_every_parameter_gets_a_finite_gradient"),
        (Remembering, "test_membranes_start_anew_at_every_call"),
        (LookingAtTheHalted, "test_halted_tokens_say_nothing_unless_the_rule_refuses_halting"),
    ],
)
def test_a_mixer_that_breaks_a_promise_is_found(kind, promise):
    with pytest.raises(AssertionError, match=r"differ|has no gradient"):
        getattr(contract_of(kind), promise)("qk_channel")  # which may halt


def test_a_mixer_whose_rule_refuses_halting_is_skipped_and_does_not_pass():
    promise = "test_halted_tokens_say_nothing_unless_the_rule_refuses_halting"

    with pytest.raises(pytest.skip.Exception, match="may not halt"):
        getattr(contract_of(Idle), promise)("stm")


def test_a_neuron_with_another_backward_than_its_definition_is_found():
    broken = contract_of(WrongBackward, NeuronContract)

    with pytest.raises(AssertionError, match="gradients of forward and of definition differ"):
        broken.test_forward_and_gradient_are_those_of_the_definition("lif")


def test_a_component_whose_registered_default_is_not_built_is_found(monkeypatch):
    wrong = replace(registry.component("neuron", "lif"), options={"reset": "subtract"})
    monkeypatch.setattr(registry, "component", lambda family, name: wrong)

    with pytest.raises(pytest.fail.Exception, match=r"reset = 'subtract', but .*:LIF has 'zero'"):
        NeuronContract().test_its_options_are_those_of_its_constructor("lif")
