"""Neurons: how a membrane integrates its input over time, fires and resets."""

from functools import partial

from spikenas.registry import Component, Site, one_of, register

_HERE = "spikenas.nn.neurons"
_component = partial(Component, family="neuron")
_CHECKS = {
    "surrogate": one_of("atan", "dspike", "sigmoid"),
    "reset": one_of("subtract", "zero"),
}


def _tau_above_one(site: Site) -> str | None:
    if site.tau is None or site.tau > 1.0:
        return None
    return f"it learns 1 / tau from 1 / {site.tau:g}; needs tau > 1, 2 as published"


register(
    _component(
        name="if",
        target=f"{_HERE}.integrate_and_fire:IntegrateAndFire",
        source="Gerstner & Kistler 2002, section 4.1 without leak; hard reset",
        options={"surrogate": "sigmoid", "reset": "zero"},
        checks=_CHECKS,
    ),
    _component(
        name="lif",
        target=f"{_HERE}.lif:LIF",
        source="Fang 2021 (eq. 1-3), as in Zhou 2023",
        genes=("tau",),
        options={"surrogate": "sigmoid", "reset": "zero"},
        checks=_CHECKS,
    ),
    _component(
        name="plif",
        target=f"{_HERE}.plif:ParametricLIF",
        source="Fang 2021 (PLIF), eq. 6-8",
        genes=("tau",),
        options={"surrogate": "atan", "reset": "zero"},
        checks=_CHECKS,
        structural_rule=_tau_above_one,
    ),
    _component(
        name="stmixer_lif",
        target=f"{_HERE}.stmixer_lif:STMixerLIF",
        source="Deng 2024 (STMixer), surrogate of Li 2021 (Dspike)",
    ),
)
