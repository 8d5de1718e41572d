"""Neurons: how a membrane integrates its input over time, fires and resets."""

from spikenas.registry import Operator, register

_HERE = "spikenas.nn.neurons"

register(
    Operator(
        family="neuron",
        name="if",
        target=f"{_HERE}.integrate_and_fire:IntegrateAndFire",
        source="Gerstner & Kistler 2002, section 4.1 without leak; hard reset",
    )
)
register(
    Operator(
        family="neuron",
        name="lif",
        target=f"{_HERE}.lif:LIF",
        source="Fang 2021 (eq. 1-3), as in Zhou 2023",
        genes=("tau",),
    )
)
register(
    Operator(
        family="neuron",
        name="stmixer_lif",
        target=f"{_HERE}.stmixer_lif:STMixerLIF",
        source="Deng 2024 (STMixer), surrogate of Li 2021 (Dspike)",
    )
)
