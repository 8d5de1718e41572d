"""The spaces that ship: they load, count and sample, and hold what they promise."""

import re
import subprocess
import sys

import pytest

from spikenas import shipped
from spikenas.search_space import SearchSpace
from spikenas.systems import published, published_names


@pytest.mark.parametrize("name", shipped.names("search_spaces"))
def test_a_shipped_space_works_without_further_words(name: str) -> None:
    space = SearchSpace.load(name)

    architecture = space.sample(0)

    assert space.contains(architecture)
    assert space.size().is_exact or space.size() > 10**6
    assert space.description
    assert "members" in repr(space)


def test_the_toy_space_is_tiny() -> None:
    assert 24 <= SearchSpace.load("toy").size() <= 200


@pytest.mark.parametrize("name", ["spikformer-4-384-cifar10", "stmixer-4-384-cifar10"])
def test_the_cifar10_space_holds_the_published_systems(name: str) -> None:
    assert SearchSpace.load("cifar10").contains(published(name))


@pytest.mark.parametrize(
    "name", [name for name in published_names() if re.search(r"-[24]-.*-cifar10$", name)]
)
def test_the_unified_space_holds_every_published_cifar10_system(name: str) -> None:
    assert SearchSpace.load("unified_cifar10").contains(published(name))


@pytest.mark.parametrize(
    "name", [name for name in published_names() if name.endswith("-cifar10dvs")]
)
def test_the_dvs_space_holds_the_published_systems(name: str) -> None:
    architecture = published(name)
    space = SearchSpace.load("dvs").with_input(architecture.input, architecture.num_classes)

    assert space.contains(architecture)


def test_the_stas_space_has_both_hosts_with_and_without_halting() -> None:
    space = SearchSpace.load("stas_cifar10")

    drawn = {
        (a.residual, a.stages[0].mixer[0], a.head, a.halting is not None)
        for a in map(space.sample, range(100))
    }

    assert drawn == {
        (residual, mixer, head, halts)
        for residual, mixer, head in (
            ("spike", "ssa", "mean_linear"),
            ("membrane", "spike_driven", "neuron_linear"),
        )
        for halts in (True, False)
    }


@pytest.mark.parametrize("name", ["toy", "digits", "fashion_mnist"])
def test_a_clockless_chip_can_run_some_members_and_not_others(name: str) -> None:
    space = SearchSpace.load(name)
    drawn = [space.sample(seed) for seed in range(200)]

    multiply_or_pool = [
        architecture.stem == "sps"
        or any({"ssa", "qk_token"} & {*stage.mixer} for stage in architecture.stages)
        or any(stage.downsampling == "max_pool" for stage in architecture.stages)
        for architecture in drawn
    ]

    assert 0.2 < sum(multiply_or_pool) / len(drawn) < 0.85


def test_loading_a_space_imports_no_torch() -> None:
    code = (
        "import sys; from spikenas.search_space import SearchSpace; "
        "SearchSpace.load('cifar10').size(); "
        "print({'torch', 'ray', 'optuna'} & {*sys.modules})"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


def test_equal_seeds_draw_equal_members_in_another_process() -> None:
    code = (
        "from spikenas.search_space import SearchSpace; "
        "space = SearchSpace.load('cifar10'); a = space.sample(7); "
        "print(space.cross(a, space.mutate(a, 7), 7).key)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]

    assert runs[0] == runs[1]
