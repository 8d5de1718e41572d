"""One job: architecture + recipe + budget -> Evaluation; what a worker runs.

`evaluate` never raises for what a candidate does: divergence, lack of memory and exceptions are
outcomes, told to the driver. What the data, the code or the machine does is an outcome with a
``fault``: it says nothing of the candidate, which is tried again. A job and its outcome have a
JSON form; weights travel beside it.
"""

import errno
import hashlib
import json
import platform
import time
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from importlib import import_module
from importlib.metadata import version
from math import isfinite
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Literal

import torch
from safetensors.torch import load as load_weights
from safetensors.torch import save as save_weights

from spikenas import registry
from spikenas.architecture import Architecture
from spikenas.code import sources
from spikenas.data import DataSpec, ImageSet, Splits, load
from spikenas.evaluation import Evaluation, State
from spikenas.exceptions import DataError, DivergedError, MachineError, UsageError
from spikenas.figures import OBJECTIVES
from spikenas.hardware import energy_model
from spikenas.measurement import Measurement, measure
from spikenas.nn.network import SpikingTransformer, build_network
from spikenas.training import Recipe, train

Fault = Literal["data", "code", "machine"]
_MACHINE = {  # an operating system says these of itself, never of a network
    *(errno.EACCES, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENODEV),
    *(errno.ENOENT, errno.ENOMEM, errno.ENOSPC, errno.ENOTCONN, errno.EPERM, errno.EPIPE),
    *(errno.EROFS, errno.ESTALE, errno.ETIMEDOUT, errno.EBUSY, errno.EHOSTDOWN, errno.ENXIO),
}
_EVALUATION_BATCH = 256  # images; events have T frames each and take the recipe's batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a worker is asked to do.

    Attributes:
        data: events are binned into as many frames as the architecture has steps. Samples of the
            user's own travel beside the job, as its weights do.
        data_sha256: of the files that the driver found; a worker refuses others.
        code_sha256: of the code that the driver found, see `code_sha256`; likewise.
        energy_toml: the text of an energy model of the user's own.
        kind: ``train`` from scratch and score on validation, or ``test`` the given weights.
        weights: safetensors bytes, only of kind ``test``.
    """

    id: str
    architecture: Architecture
    data: DataSpec
    recipe: Recipe
    epochs: int
    seed: int
    energy_model: str
    energy_toml: str | None = None
    plugins: tuple[str, ...] = ()
    data_sha256: str | None = None
    code_sha256: str | None = None
    kind: Literal["train", "test"] = "train"
    weights: bytes | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without weights."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "weights"}
        return {
            **plain,
            "architecture": self.architecture.to_dict(),
            "data": self.data.to_dict(),
            "recipe": self.recipe.to_dict(),
            "plugins": list(self.plugins),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Job":
        """Build from the JSON form; imports the job's plugins first."""
        for plugin in record.get("plugins", ()):
            import_module(plugin)
        return cls(
            **{
                **record,
                "architecture": Architecture.from_dict(record["architecture"]),
                "data": DataSpec.from_dict(record["data"]),
                "recipe": Recipe.from_dict(record["recipe"]),
                "plugins": tuple(record.get("plugins", ())),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended.

    Attributes:
        weights: safetensors bytes of the trained network.
        fault: what kept the job from running, if it was not the candidate: the data, the code
            (a plugin, another version of spikenas) or the machine (disk, memory, permissions).
            The job is then to be run again, whatever ``state`` says.
    """

    job_id: str
    state: State
    evaluation: Evaluation | None = None
    test_accuracy: float | None = None
    error: str | None = None
    traceback: str | None = None
    fault: Fault | None = None
    weights: bytes | None = None
    worker: str = ""
    wall_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without weights."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "weights"}
        return {
            **plain,
            "state": self.state.value,
            "evaluation": self.evaluation and self.evaluation.to_dict(),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Outcome":
        """Build from the JSON form."""
        evaluation = record.get("evaluation")
        return cls(
            **{
                **record,
                "state": State(record["state"]),
                "evaluation": evaluation and Evaluation.from_dict(evaluation),
            }
        )


def evaluate(job: Job) -> Outcome:
    """Run one job to its end."""
    started = time.perf_counter()
    try:
        outcome = _other_code(job) or (_train(job, started) if job.kind == "train" else _test(job))
    except DivergedError as error:
        outcome = Outcome(job_id=job.id, state=State.DIVERGED, error=str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        outcome = Outcome(job_id=job.id, state=State.OUT_OF_MEMORY, error=str(error))
    except (
        Exception
    ) as error:  # whatever a candidate's code does is recorded, and the search goes on
        outcome = Outcome(
            job_id=job.id,
            state=State.OUT_OF_MEMORY if _is_out_of_memory(error) else State.FAILED,
            error=f"{type(error).__name__}: {error}",
            traceback=traceback.format_exc(),
            fault=_fault(error),
        )
    wall_seconds = time.perf_counter() - started
    return replace(outcome, worker=platform.node(), wall_seconds=wall_seconds)


def _other_code(job: Job) -> Outcome | None:
    """Return the end of a job whose code is not that of its driver."""
    if job.code_sha256 in (None, code_sha256(code_of_candidate(job.architecture, job.plugins))):
        return None
    return Outcome(
        job_id=job.id,
        state=State.FAILED,
        error=f"{platform.node()} has other code than the driver (spikenas "
        f"{version('spikenas')}, plugins {list(job.plugins)}); install the same there",
        fault="code",
    )


def code_of_candidate(architecture: Architecture, plugins: Iterable[str] = ()) -> dict[str, str]:
    """Return the code that the figures of a candidate depend on, see `spikenas.code.sources`."""
    components = [
        registry.component("neuron", architecture.neuron),
        registry.component("stem", architecture.stem),
        registry.component("head", architecture.head),
    ]
    if architecture.halting is not None:
        components.append(registry.component("halting", "act"))
    for stage in architecture.stages:
        components += [registry.component("mixer", name) for name in stage.mixer]
        if stage.downsampling is not None:
            components.append(registry.component("downsampling", stage.downsampling))
    return sources((__name__, *modules(components), *plugins))


def modules(components: Iterable[registry.Component]) -> list[str]:
    """Return the modules that the classes of the components lie in."""
    return sorted({each.target.partition(":")[0] for each in components})


def code_sha256(code: Mapping[str, str]) -> str:
    """Return one hash of all sources, whatever versions of other packages are installed.

    A worker with a GPU has another build of PyTorch than its driver.
    """
    digests = sorted(entry for entry in code.items() if entry[1].startswith("sha256:"))
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def _train(job: Job, started: float) -> Outcome:
    network, train_set, validation = _prepare(job)
    result = train(network, train_set, job.recipe, epochs=job.epochs, seed=job.seed)
    trained = time.perf_counter() - started
    found = measure(network, validation.batches(_evaluation_batch(job)))
    evaluation = _evaluation(job, found, result.history, trained, started)
    if not isfinite(evaluation.energy_uj):
        raise DivergedError(f"energy_uj is {evaluation.energy_uj}")
    return Outcome(
        job_id=job.id,
        state=State.COMPLETE,
        evaluation=evaluation,
        weights=_weights_of(network),
    )


def _test(job: Job) -> Outcome:
    network, _, test = _prepare(job)
    found = measure(network, test.batches(_evaluation_batch(job)))
    return Outcome(job_id=job.id, state=State.COMPLETE, test_accuracy=found.accuracy)


def _prepare(job: Job) -> tuple[SpikingTransformer, ImageSet, ImageSet]:
    """Return the network, the training images, and the images that a job of this kind scores.

    The network and the scored images are on this worker's device; `train` moves the others.
    """
    splits = _load(job)
    scored = splits.test if job.kind == "test" else splits.validation
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)
        network = build_network(job.architecture)
    if job.kind == "test":
        assert job.weights is not None, "a test job brings its weights"
        network.load_state_dict(load_weights(job.weights))
    return network.to(device), splits.train, scored.to(device)


def _load(job: Job) -> Splits:
    """Return the data; whatever goes wrong here is nothing that the candidate did."""
    try:
        return load(job.data.with_steps(job.architecture.num_steps), job.data_sha256)
    except DataError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise MachineError(f"data set {job.data.name} cannot be loaded: {reason}") from error


def _fault(error: Exception) -> Fault | None:
    if isinstance(error, DataError):
        return "data"
    is_of_system = isinstance(error, OSError) and error.errno in _MACHINE
    is_of_machine = isinstance(error, MachineError | torch.AcceleratorError)  # a GPU lost, say
    return "machine" if is_of_system or is_of_machine else None


def _evaluation_batch(job: Job) -> int:
    return _EVALUATION_BATCH if job.data.kind == "frames" else job.recipe.batch_size


def _evaluation(
    job: Job,
    found: Measurement,
    history: tuple[Mapping[str, float], ...],
    trained: float,
    started: float,
) -> Evaluation:
    model = energy_model(job.energy_model, job.energy_toml)
    workload = found.workload
    energy = model.estimate(workload)
    if energy.total_uj is None:
        raise UsageError(f"energy model {model.name!r} gives no joules")
    sources = SimpleNamespace(measurement=found, workload=workload, energy=energy)
    return Evaluation(
        **{name: attrgetter(str(figure.source))(sources) for name, figure in OBJECTIVES.items()},
        energy_model=job.energy_model,
        energy_variants_uj=model.variants(workload),
        fidelity=job.epochs,
        seed=job.seed,
        train_seconds=trained,
        wall_seconds=time.perf_counter() - started,
        history=history,
        versions={
            "spikenas": version("spikenas"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        workload=workload,
    )


def _weights_of(network: SpikingTransformer) -> bytes:
    return save_weights({n: t.detach().cpu().contiguous() for n, t in network.state_dict().items()})


def _is_out_of_memory(error: Exception) -> bool:
    """Whether PyTorch's CPU allocator gave up, which it tells as a plain RuntimeError."""
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
