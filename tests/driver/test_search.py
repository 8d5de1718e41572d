import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest
from safetensors.torch import load_file

from spikenas.distributed import InlinePool
from spikenas.driver import Progress, arguments
from spikenas.evaluation import State
from spikenas.exceptions import (
    ArtefactError,
    BudgetError,
    InfeasibleError,
    StoreError,
    UsageError,
)
from spikenas.hardware import chip
from spikenas.nn.network import build_network
from spikenas.search_space import SearchSpace
from spikenas.store import Store, read_weights

from .conftest import EvaluateBy, Search

_FEW = """
[space]
description = "Two members that any clockless chip runs, and one that none does."
[choices]
num_steps = 1
neuron = "if"
residual = "spike"
stem = "conv"
patch_size = 2
[[stages]]
embed_dim = 16
depth = 1
mixer = ["conv", "ssa", "none"]
mlp_ratio = 2
[stages.when.mixer.ssa]
num_heads = 2
"""

_STMIXER = """
[space]
description = "STMixers, which surrogate module learning can train."
[choices]
num_steps = 1
neuron = "stmixer_lif"
residual = "membrane"
stem = "conv_side"
patch_size = 2
[[stages]]
embed_dim = 16
depth = [2, 4]
mixer = "stm"
num_heads = 2
mlp_ratio = 2
"""
_HALTING = """
[space]
description = "Spikformers whose tokens halt."
[choices]
num_steps = 2
neuron = "lif"
residual = "spike"
stem = "i_sps"
patch_size = 2
halting = "act"
halting_threshold = [0.5, 1.0]
ponder_cost = 0.05
[[stages]]
embed_dim = 16
depth = 2
mixer = "ssa"
num_heads = 2
mlp_ratio = 2
"""


def test_a_search_trains_as_many_candidates_as_it_has_trials(search: Search) -> None:
    run = search(trials=3)

    assert run.status == "finished"
    assert run.counts()[State.COMPLETE] == 3
    assert run.pareto_front()


def test_weights_are_kept_of_front_members_only_and_are_what_the_record_says(
    search: Search,
) -> None:
    run = search(trials=6)

    front = run.pareto_front()
    files = sorted((run.artifact_folder / run.name).iterdir())
    assert files == sorted(member.weights_path for member in front if member.weights_path)
    assert len(files) == len(front)
    assert len({hashlib.sha256(file.read_bytes()).hexdigest() for file in files}) == len(files)


def test_only_front_members_are_scored_on_the_test_set(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("counted")

    run = search(trials=6)

    front = {member.key for member in run.pareto_front()}
    tested = {each.key for each in run.candidates() if each.test_accuracy is not None}
    assert tested == front == set(_calls("test"))


def test_refused_candidates_are_recorded_with_their_reason_and_not_trained(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("counted")

    run = search(chip="async_generic", trials=4)

    refused = run.candidates(states=[State.REFUSED])
    assert refused
    assert all("chip 'async_generic'" in (each.reason or "") for each in refused)
    assert not {each.key for each in refused} & set(_calls())
    assert len(_calls()) == 4


def test_equal_seeds_give_equal_searches(search: Search) -> None:
    once, again = (search(name=name, seed=3, train_subset=60) for name in ("once", "again"))

    assert [each.to_dict() for each in once.candidates()] == [
        each.to_dict() for each in again.candidates()
    ]


def test_an_equal_training_whose_weights_are_kept_is_not_repeated(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("counted")
    first = search(name="first")

    second = search(name="second")

    trained = Counter(_calls())
    front = {member.key for member in first.pareto_front()}
    assert {member.key for member in second.pareto_front()} == front
    assert all(trained[key] == 1 for key in front)
    assert all(member.weights_path for member in second.pareto_front())


def test_damaged_weights_are_trained_again_once_and_get_no_new_digest(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("counted")
    first = search(name="first")
    paths = [member.weights_path for member in first.pareto_front()]
    for path in paths:
        assert path is not None
        path.write_bytes(path.read_bytes()[:-4] + bytes(4))

    second = search(name="second")

    damaged = first.pareto_front()
    assert damaged
    for member in damaged:
        with pytest.raises(ArtefactError, match="damaged"):
            read_weights(member)
    assert all(read_weights(member) for member in second.pareto_front())
    trained = Counter(_calls())

    search(name="third")

    again = Counter(_calls()) - trained
    assert not again.keys() & {member.key for member in second.pareto_front()}


def test_another_seed_trains_again(search: Search, evaluate_by: EvaluateBy) -> None:
    evaluate_by("counted")
    search(name="first", seed=0)

    search(name="second", seed=1)

    assert len(_calls()) == 8


def test_a_search_ends_when_every_member_of_the_space_is_known(search: Search) -> None:
    lines: list[str] = []

    run = search(
        trials=50,
        on_progress=lambda progress: lines.append(progress.message),
        **_space(_FEW),
    )

    assert run.counts()[State.COMPLETE] == 3
    assert any("every member of the space is known" in line for line in lines)


def test_repeats_are_answered_from_the_record_also_while_the_original_is_under_way(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TwoSeats(InlinePool):
        num_workers = 2

    monkeypatch.setattr(arguments, "open_pool", lambda _: TwoSeats())

    few = _space(_FEW.replace("num_steps = 1", "num_steps = [1, 2]"))
    run = search(trials=50, sampler="tpe", **few)  # ours repeats nothing

    everything = run.candidates(include_duplicates=True)
    repeats = [each for each in everything if each.duplicate_of is not None]
    states = {each.row: each.state for each in everything}
    assert run.counts()[State.COMPLETE] == 6
    assert repeats
    assert all(each.state is states[each.duplicate_of or 0] for each in repeats)
    assert all(each.state.is_final for each in everything)


def test_a_space_without_a_feasible_member_is_found_before_anything_is_recorded(
    search: Search, url: str
) -> None:
    only_ssa = _FEW.replace('["conv", "ssa", "none"]', '"ssa"')

    with pytest.raises(InfeasibleError, match="no feasible member among all of its members"):
        search(chip="async_generic", **_space(only_ssa))

    assert Store.open(url).runs() == []


def test_each_rule_that_leaves_no_feasible_member_is_told_with_its_own_reason(
    search: Search,
) -> None:
    leaking_ssa = _FEW.replace('["conv", "ssa", "none"]', '"ssa"').replace('"if"', '"lif"')

    with pytest.raises(InfeasibleError) as raised:
        search(chip="speck2", **_space(leaking_ssa))

    speck = chip("speck2")
    parts = re.split(r"(\w+) of chip \(in 1\): ", str(raised.value))
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    facts = {**speck.rules, **speck.limits, **speck.structure}
    assert len(told) == 3
    assert all(facts[name].reason in reason for name, reason in told.items())


def test_a_taken_name_is_refused_before_the_search(search: Search) -> None:
    search(name="mine", trials=1)

    with pytest.raises(UsageError, match="already; it is finished; give another --name"):
        search(name="mine", trials=1)


def test_a_space_of_ones_own_needs_a_data_set(search: Search) -> None:
    with pytest.raises(UsageError, match="is not named for a data set"):
        search(data=None, **_space(_FEW))


def test_a_candidate_that_fails_is_recorded_and_the_search_goes_on(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("failing_for_if")

    run = search(trials=8)

    failed = run.candidates(states=[State.FAILED])
    assert failed
    assert all(each.error == "RuntimeError: no such kernel" for each in failed)
    assert run.counts()[State.COMPLETE] + len(failed) == 8
    assert "failing_for_if" in (run.attempts(failed[0])[0].traceback or "")


def test_a_search_without_one_success_says_why(
    search: Search, evaluate_by: EvaluateBy, url: str
) -> None:
    evaluate_by("diverging")

    with pytest.raises(BudgetError, match=r"4 diverged\. Commonest reason: loss is nan in epoch 1"):
        search(name="hopeless")

    assert Store.open(url).run("hopeless").status == "failed"


def test_a_lost_worker_has_its_job_run_again(search: Search, evaluate_by: EvaluateBy) -> None:
    evaluate_by("lost_at_first")

    run = search(trials=2)

    assert run.counts()[State.COMPLETE] == 2
    assert [len(run.attempts(each)) for each in run.candidates(states=[State.COMPLETE])] == [2, 2]


def test_a_lost_worker_and_a_fault_have_a_test_run_again(
    search: Search, evaluate_by: EvaluateBy
) -> None:
    evaluate_by("lost_in_tests")

    run = search(trials=1)

    assert run.pareto_front()[0].test_accuracy is not None
    assert len(_calls("test")) == 3


def test_a_job_that_loses_every_worker_is_given_up(search: Search, evaluate_by: EvaluateBy) -> None:
    evaluate_by("lost_always")

    with pytest.raises(BudgetError, match="1 lost"):
        search(trials=1)

    assert len(_calls()) == 3


def test_no_candidate_is_begun_after_the_time_budget(search: Search) -> None:
    ended: list[int] = []

    def slow_to_listen(progress: Progress) -> None:
        ended.append(progress.counts[State.COMPLETE])

    run = search(trials=10_000, time_budget_s=3, on_progress=slow_to_listen)

    assert 0 < run.counts()[State.COMPLETE] < 108
    assert run.status == "finished"


def test_progress_tells_what_there_is_and_what_is_left(search: Search) -> None:
    told: list[Progress] = []

    search(name="mine", trials=3, on_progress=told.append)

    assert told[0].counts[State.COMPLETE] == 0
    assert told[0].remaining_s is None
    assert told[-1].run == "mine"
    assert told[-1].counts[State.COMPLETE] == 3
    assert told[-1].remaining_s == 0
    assert told[-1].best_accuracy is not None
    assert told[-1].lowest_energy_uj is not None


def _space(toml: str) -> dict[str, object]:
    return {"space": SearchSpace.from_toml(toml, source="few")}


def _calls(kind: str = "train") -> list[str]:
    file = Path("calls.txt")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [key for called, key in (line.split() for line in lines) if called == kind]


@pytest.mark.parametrize(
    ("toml", "recipe"), [(_STMIXER, "stmixer-cifar10"), (_HALTING, "digits")], ids=["sml", "ponder"]
)
def test_a_search_minimises_more_than_cross_entropy(
    search: Search, tmp_path: Path, toml: str, recipe: str
) -> None:
    space = tmp_path / "mine.toml"
    space.write_text(toml)

    run = search(space=space, recipe=recipe, trials=2)

    assert run.counts()[State.COMPLETE] == 2
    member = run.pareto_front()[0]
    assert member.weights_path
    kept = load_file(member.weights_path)
    assert {*kept} == {*build_network(member.architecture).state_dict()}  # and of no side head


def test_a_recipe_with_side_heads_is_refused_before_the_search_of_another_mixer(
    search: Search, url: str
) -> None:
    with pytest.raises(UsageError, match="use only mixer 'stm', or a recipe with"):
        search(recipe="stmixer-cifar10")

    with pytest.raises(StoreError):
        Store.open(url, create=False)
