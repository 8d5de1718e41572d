"""The registry: what every operator must say of itself."""

import inspect
import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import pytest

from spikenas import registry
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.registry import Family, Operator, Site

EVERY = [
    registry.operator(family, name)
    for family in get_args(Family)
    for name in registry.names(family)
]


@pytest.mark.parametrize("operator", EVERY, ids=lambda op: f"{op.family}-{op.name}")
def test_an_operator_says_where_it_comes_from_and_where_it_lives(operator: Operator) -> None:
    module, _, name = operator.target.partition(":")

    assert operator.source
    assert module.startswith("spikenas.nn.")
    assert name.isidentifier()
    assert set(operator.genes) <= {"tau", "num_heads", "threshold", "ponder_cost"}


@pytest.mark.parametrize(
    "operator", [op for op in EVERY if op.structural_rule], ids=lambda op: f"{op.family}-{op.name}"
)
def test_a_rule_lets_an_operator_stand_somewhere(operator: Operator) -> None:
    site = Site(
        embed_dim=64, height=32, width=32, num_steps=4, residual="spike", num_heads=8, patch_size=4
    )
    assert operator.structural_rule

    complaints = [
        operator.structural_rule(replace(site, residual=r)) for r in ("spike", "membrane", "none")
    ]

    assert None in complaints


@pytest.mark.parametrize("operator", EVERY, ids=lambda op: f"{op.family}-{op.name}")
def test_what_an_option_is_by_default_is_what_is_built_by_default(operator: Operator) -> None:
    parameters = inspect.signature(operator.load()).parameters

    built = {name: parameters[name].default for name in operator.options}

    assert built == dict(operator.options)
    assert all(type(built[name]) is type(value) for name, value in operator.options.items())


@pytest.mark.parametrize(
    "change", [{"options": {"scale": 8}}, {"options": {"scale": 0.5}, "checks": {}}]
)
def test_an_option_that_another_operator_reads_otherwise_is_refused(
    change: dict[str, Any],
) -> None:
    ours = registry.operator("mixer", "ssa")

    with pytest.raises(UsageError, match=r"'scale' of mixer 'lab' .* than that of mixer 'ssa'"):
        registry.register(replace(ours, name="lab", **change))

    assert "lab" not in registry.names("mixer")


def test_an_unknown_operator_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no mixer is named 'qk_tokens'; did you mean 'qk_t"):
        registry.operator("mixer", "qk_tokens")


def test_two_operators_of_one_name_are_refused() -> None:
    ours = registry.operator("mixer", "ssa")

    with pytest.raises(UsageError, match="mixer 'ssa' is registered twice"):
        registry.register(replace(ours, target="elsewhere:Attention"))


def test_registering_the_same_operator_again_changes_nothing() -> None:
    ours = registry.operator("mixer", "ssa")

    registry.register(ours)

    assert registry.operator("mixer", "ssa") is ours


def test_knowing_the_operators_needs_no_torch() -> None:
    code = (
        "import sys; from spikenas import registry; registry.names('mixer'); "
        "print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
