"""The registry: what every component must say of itself."""

import inspect
import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import pytest

from spikenas import registry
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.registry import Component, Family, Site

EVERY = [
    registry.component(family, name)
    for family in get_args(Family)
    for name in registry.names(family)
]


@pytest.mark.parametrize("component", EVERY, ids=lambda each: f"{each.family}-{each.name}")
def test_a_component_says_where_it_comes_from_and_where_it_lives(component: Component) -> None:
    module, _, name = component.target.partition(":")

    assert component.source
    assert module.startswith("spikenas.nn.")
    assert name.isidentifier()
    assert set(component.genes) <= {"tau", "num_heads", "halting_threshold", "ponder_cost"}


@pytest.mark.parametrize(
    "component",
    [each for each in EVERY if each.structural_rule],
    ids=lambda each: f"{each.family}-{each.name}",
)
def test_a_rule_lets_a_component_stand_somewhere(component: Component) -> None:
    site = Site(
        embed_dim=64, height=32, width=32, num_steps=4, residual="spike", num_heads=8, patch_size=4
    )
    assert component.structural_rule

    complaints = [
        component.structural_rule(replace(site, residual=r)) for r in ("spike", "membrane", "none")
    ]

    assert None in complaints


@pytest.mark.parametrize("component", EVERY, ids=lambda each: f"{each.family}-{each.name}")
def test_what_an_option_is_by_default_is_what_is_built_by_default(component: Component) -> None:
    parameters = inspect.signature(component.load()).parameters

    built = {name: parameters[name].default for name in component.options}

    assert built == dict(component.options)
    assert all(type(built[name]) is type(value) for name, value in component.options.items())


@pytest.mark.parametrize(
    ("family", "name", "options", "complaint"),
    [
        ("mixer", "ssa", {"scale": 0.5}, "option scale = 0.5, but the constructor of .* has 0.125"),
        ("neuron", "lif", {"v_c": 0.8}, "option v_c = 0.8, but .*:LIF has no such argument"),
        ("mixer", "ssa", {"embed_dim": 8}, "option embed_dim = 8, but .* has no default for it"),
    ],
)
def test_an_option_that_is_built_otherwise_than_registered_is_refused(
    family: Family, name: str, options: dict[str, Any], complaint: str
) -> None:
    wrong = replace(registry.component(family, name), name="lab", options=options)

    with pytest.raises(UsageError, match=f"{family} 'lab' is registered with {complaint}"):
        wrong.load()


def _raising(value: object) -> str:
    raise ZeroDivisionError(f"by {type(value).__name__}")


def _not_in_words(value: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (_raising, "_raising of module '.*', fails with ZeroDivisionError: by"),
        (_not_in_words, "_not_in_words of module '.*', gives False, needed: text or None"),
    ],
)
def test_a_rule_or_check_of_a_plugin_that_fails_is_named(rule: Any, fault: str) -> None:
    ours = registry.component("mixer", "ssa")
    broken = replace(ours, name="lab", structural_rule=rule, checks={"scale": rule})
    site = Site(embed_dim=64, height=32, width=32, num_steps=4, residual="spike")

    with pytest.raises(UsageError, match=f"the structural rule of mixer 'lab', {fault}"):
        broken.complaint(site, "stages[0].mixer")
    with pytest.raises(UsageError, match=f"the check of option scale of mixer 'lab', {fault}"):
        registry.option_value(broken, "scale", 0.5)


@pytest.mark.parametrize(
    "change", [{"options": {"scale": 8}}, {"options": {"scale": 0.5}, "checks": {}}]
)
def test_an_option_that_another_component_reads_otherwise_is_refused(
    change: dict[str, Any],
) -> None:
    ours = registry.component("mixer", "ssa")

    with pytest.raises(UsageError, match=r"'scale' of mixer 'lab' .* than that of mixer 'ssa'"):
        registry.register(replace(ours, name="lab", **change))

    assert "lab" not in registry.names("mixer")


def test_an_unknown_component_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no mixer is named 'qk_tokens'; did you mean 'qk_t"):
        registry.component("mixer", "qk_tokens")


def test_two_components_of_one_name_are_refused() -> None:
    ours = registry.component("mixer", "ssa")

    with pytest.raises(UsageError, match="mixer 'ssa' is registered twice"):
        registry.register(replace(ours, target="elsewhere:Attention"))


def test_registering_the_same_component_again_changes_nothing() -> None:
    ours = registry.component("mixer", "ssa")

    registry.register(ours)

    assert registry.component("mixer", "ssa") is ours


def test_knowing_the_components_needs_no_torch() -> None:
    code = (
        "import sys; from spikenas import registry; registry.names('mixer'); "
        "print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_plugin_of_0_1_registers_by_the_old_names_with_a_notice(caplog):
    component = registry.Operator(
        family="mixer", name="old", target="lab:Old", source="mine", rule=lambda site: "no"
    )

    assert component.structural_rule is not None
    assert "mixer 'old': registry.Operator(rule=...) is now called Component" in caplog.text
