"""Heads: from tokens [T, B, N, D] to logits [B, classes]."""

from functools import partial

from spikenas.registry import Component, register

_HERE = "spikenas.nn.heads"
_component = partial(Component, family="head")

register(
    _component(
        name="mean_linear",
        target=f"{_HERE}.mean_linear:MeanLinearHead",
        source="Zhou 2023: mean over tokens and steps, then linear",
    ),
    _component(
        name="neuron_linear",
        target=f"{_HERE}.neuron_linear:NeuronLinearHead",
        source="Yao 2023 (Spike-Driven Transformer): neuron, linear, mean over steps",
    ),
    _component(
        name="spiking",
        target=f"{_HERE}.spiking:SpikingHead",
        source="spike counts of an output neuron per class, as chips read out",
    ),
)
