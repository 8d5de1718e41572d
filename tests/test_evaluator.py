import json
from dataclasses import replace

import pytest
import torch
from event_recordings import write_nmnist
from safetensors.torch import load as load_weights

from spikenas.architecture import Architecture, InputSpec, Stage
from spikenas.data import DataSpec, ImageSet
from spikenas.evaluation import Evaluation, State
from spikenas.evaluator import Job, Outcome, evaluate
from spikenas.nn.network import SpikingTransformer
from spikenas.training import Recipe
from spikenas.workload import Signal

TIMES = {"train_seconds": 0.0, "wall_seconds": 0.0, "history": ()}


def job(*, width=8, **changes):
    stage = Stage(embed_dim=8, depth=1, mixer=("ssa",), num_heads=2, mlp_ratio=1.0)
    architecture = Architecture(
        input=InputSpec(channels=1, height=8, width=width),
        num_classes=10,
        num_steps=2,
        neuron="lif",
        residual="spike",
        stem="conv",
        patch_size=2,
        stages=(stage,),
    )
    asked = Job(
        id="first/1",
        architecture=architecture,
        data=DataSpec(name="digits", train_subset=128),
        recipe=Recipe(name="short", epochs=1, batch_size=32, learning_rate=1e-3),
        epochs=1,
        seed=3,
        energy_model="cmos45",
    )
    return replace(asked, **changes)


def recipe(**changes):
    return replace(job().recipe, **changes)


@pytest.fixture(scope="module")
def trained():
    return evaluate(job())


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A data root with an N-MNIST of 60 small recordings to train."""
    return write_nmnist(tmp_path_factory.mktemp("events"))


def event_job(root, *, num_steps=3, **changes):
    frames = job().architecture
    events = InputSpec(channels=2, height=16, width=16, kind="events")
    asked = job(
        architecture=replace(frames, input=events, num_steps=num_steps),
        data=DataSpec(name="nmnist", root=str(root), image_size=16),
        recipe=recipe(batch_size=16, event_drop=True, snn_augment_wide=True, mixup=0.5),
    )
    return replace(asked, **changes)


def losses(evaluation):
    return [epoch["loss"] for epoch in evaluation.history]


def test_a_trained_candidate_has_every_figure(trained):
    found = trained.evaluation

    assert (trained.state, trained.error, trained.traceback) == (State.COMPLETE, None, None)
    assert 0 <= found.accuracy <= 1
    assert 0 < found.spike_rate < 1
    assert min(found.energy_uj, found.synops, found.macs, found.parameters) > 0
    assert min(found.energy_variants_uj.values()) <= found.energy_uj
    assert (found.fidelity, found.seed, found.latency_steps) == (1, 3, 2)
    assert found.workload.is_measured
    assert trained.wall_seconds >= found.wall_seconds >= found.train_seconds > 0


def test_equal_seeds_give_equal_evaluations_but_for_times(trained):
    again = evaluate(job())

    assert replace(again.evaluation, **TIMES) == replace(trained.evaluation, **TIMES)
    assert losses(again.evaluation) == losses(trained.evaluation)
    assert again.weights == trained.weights


def test_another_seed_draws_other_first_weights():
    frozen = recipe(learning_rate=0.0, min_learning_rate=0.0, weight_decay=0.0)

    first, second = (load_weights(evaluate(job(recipe=frozen, seed=s)).weights) for s in (3, 4))

    assert not first["stem.layers.0.conv.weight"].equal(second["stem.layers.0.conv.weight"])


@pytest.mark.parametrize("kind", ["train", "test"])
def test_a_job_leaves_the_processs_generator_alone(trained, kind):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)

    evaluate(job(kind=kind, weights=trained.weights if kind == "test" else None))

    assert torch.rand(3).equal(expected)


@pytest.mark.parametrize("num_steps", [1, 3])
def test_events_are_binned_into_the_architecture_s_steps(recordings, num_steps):
    outcome = evaluate(event_job(recordings, num_steps=num_steps))

    assert outcome.error is None
    found = outcome.evaluation
    assert found.latency_steps == num_steps
    first = found.workload.operations[0].inputs[0]
    assert (first.source, first.signal, first.shape) == ("input", Signal.COUNTS, (2, 16, 16))
    assert 0 < first.spike_rate < 0.5  # most pixels see no event


def test_equal_seeds_give_equal_evaluations_of_events(recordings):
    first, second = (evaluate(event_job(recordings)) for _ in range(2))

    assert first.weights == second.weights
    assert first.evaluation.accuracy == second.evaluation.accuracy


def test_a_test_job_of_events_scores_the_weights(recordings):
    trained = evaluate(event_job(recordings))

    outcome = evaluate(event_job(recordings, kind="test", weights=trained.weights))

    assert outcome.error is None
    assert 0 <= outcome.test_accuracy <= 1


def test_events_binned_for_another_number_of_steps_fail_the_job(recordings):
    asked = event_job(recordings)

    outcome = evaluate(replace(asked, data=replace(asked.data, num_steps=5)))

    assert outcome.state is State.FAILED
    assert "num_steps = 5" in outcome.error
    assert "num_steps = 3" in outcome.error


def test_an_image_recipe_fails_a_job_of_events(recordings):
    outcome = evaluate(event_job(recordings, recipe=recipe(rand_augment_ops=1)))

    assert outcome.state is State.FAILED
    assert "snn_augment_wide" in outcome.error


def test_a_huge_learning_rate_ends_as_diverged():
    wild = recipe(learning_rate=10.0, warmup_learning_rate=10.0, weight_decay=10.0, epochs=30)

    outcome = evaluate(job(recipe=wild, epochs=30))

    assert outcome.state is State.DIVERGED
    assert "epoch" in outcome.error
    assert outcome.evaluation is None
    assert outcome.weights is None


def test_an_exception_ends_as_failed_with_its_traceback():
    outcome = evaluate(job(width=16))  # the digits are 8x8

    assert outcome.state is State.FAILED
    assert outcome.error.startswith("ValueError: frames must have shape")
    assert "Traceback" in outcome.traceback
    assert "network.py" in outcome.traceback


def test_a_network_beyond_all_memory_ends_as_out_of_memory():
    vast = Stage(embed_dim=2**20, depth=1, mixer=("none",), mlp_ratio=64)  # 256 TiB of weights

    outcome = evaluate(job(architecture=replace(job().architecture, stages=(vast,))))

    assert outcome.state is State.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("model", "variant"),
    [
        ("memory_aware", "execution=time_step,sram=by_size,word_bits=32"),
        ("spinnaker2", "end=high"),
        ("truenorth", "reading=all_in"),
    ],
)
def test_the_record_names_the_model_and_holds_its_variants(model, variant):
    found = evaluate(job(energy_model=model)).evaluation

    assert found.energy_model == model
    assert found.energy_uj == pytest.approx(found.energy_variants_uj[variant])
    assert len(found.energy_variants_uj) > 1


def test_a_model_without_joules_fails_the_job_not_the_search():
    outcome = evaluate(job(energy_model="loihi2"))

    assert outcome.state is State.FAILED
    assert "no joules" in outcome.error


def test_an_unknown_energy_model_fails_the_job_not_the_search():
    outcome = evaluate(job(energy_model="perpetual"))

    assert outcome.state is State.FAILED
    assert "perpetual" in outcome.error


def test_a_test_job_scores_the_weights_on_the_test_split(trained):
    asked = job(kind="test", weights=trained.weights)

    outcome, again = evaluate(asked), evaluate(asked)

    assert outcome.state is State.COMPLETE
    assert 0 <= outcome.test_accuracy <= 1
    assert outcome.test_accuracy == again.test_accuracy
    assert outcome.evaluation is None


@pytest.mark.skipif(
    torch.version.cuda is not None and not torch.cuda.is_available(),
    reason="PyTorch for CUDA without a GPU asks the driver whatever is_available says",
)
@pytest.mark.parametrize("kind", ["train", "test"])
def test_every_kind_of_job_computes_on_the_gpu_that_there_is(trained, monkeypatch, kind):
    devices = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for moved in (ImageSet, SpikingTransformer):
        monkeypatch.setattr(moved, "to", lambda it, device: devices.append(str(device)) or it)

    outcome = evaluate(job(kind=kind, weights=trained.weights))

    assert outcome.error is None
    assert {"cuda"} == set(devices[:2])  # of the network and of the images that it is scored on


def test_weights_are_those_of_the_built_network(trained):
    weights = load_weights(trained.weights)

    assert weights["head.classifier.weight"].shape == (10, 8)
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_weights_of_another_network_fail_a_test_job(trained):
    wide = Stage(embed_dim=16, depth=1, mixer=("conv",))
    other = replace(job().architecture, stages=(wide,))

    outcome = evaluate(job(kind="test", weights=trained.weights, architecture=other))

    assert outcome.state is State.FAILED


@pytest.mark.parametrize("changes", [{}, {"kind": "test"}, {"plugins": ("json",)}])
def test_a_job_survives_json(changes):
    asked = job(**changes)

    assert Job.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_weights_do_not_travel_in_the_json(trained):
    assert "weights" not in job(kind="test", weights=b"1").to_dict()
    assert "weights" not in trained.to_dict()


def test_an_outcome_survives_json(trained):
    failed = Outcome(job_id="1", state=State.FAILED, error="E: e", traceback="T", worker="w")

    for outcome in (trained, failed):
        read = Outcome.from_dict(json.loads(json.dumps(outcome.to_dict())))
        assert read == replace(outcome, weights=None)
    assert isinstance(read.state, State)


def test_an_evaluation_survives_json(trained):
    record = json.loads(json.dumps(trained.evaluation.to_dict()))

    assert Evaluation.from_dict(record) == trained.evaluation
