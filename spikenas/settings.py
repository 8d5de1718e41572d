"""`SearchSettings`: all that fixes a search, as it is kept with the run; `Limits` and `Seed`.

Names are resolved when it is made: the text of space and chip, the figures of the recipe and of
the worker profile stay with the run, so a file edited later does not change a resumed search.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from spikenas import registry
from spikenas.architecture import Architecture
from spikenas.code import sources
from spikenas.data import DataSpec
from spikenas.evaluator import Job, code_of_candidate, code_sha256, modules
from spikenas.exceptions import UsageError, in_short
from spikenas.figures import objective
from spikenas.hardware import ChipProfile, module_of_model
from spikenas.plugins import plugins_in
from spikenas.search_space import SearchSpace
from spikenas.search_space.restriction import Only, as_only
from spikenas.training import Recipe
from spikenas.worker_profile import WorkerProfile

_NUMBERS = (
    ("trials", int, "a whole number from 1"),
    ("seed", int, "a whole number from 0 to 2^63 - 1"),
    ("time_budget_s", int | float | None, "seconds, as 300 for five minutes"),
)
_NOT_READ = ("plugins", "allow_plugins")  # the latter is of 0.1.0
_EVALUATION = 3  # raise it when an equal job would score otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of every candidate, whatever the chip.

    Attributes:
        max_memory_gib: to train, as `spikenas.strategy.screening` estimates it.
        batch_size: at which it is estimated; a search puts its recipe's here.
        bounds: by objective its largest value, or its smallest where more is better. What a trace
            tells is refused before training; the sampler learns how far others are off.
    """

    max_parameters: int = 200_000_000
    max_memory_gib: float = 16.0
    batch_size: int = 128
    bounds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_parameters", "max_memory_gib", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int | float):
                raise UsageError(f"{name} = {in_short(value)}; needed: a number above 0")
            if not value > 0:
                raise UsageError(f"{name} = {value!r}; it must be above 0")
        if not isinstance(self.bounds, Mapping):
            raise UsageError(f"bounds = {in_short(self.bounds)}; needed: as {{'energy_uj': 1.0}}")
        for name, bound in self.bounds.items():
            is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
            if not is_number or objective(name).complaint(bound):
                most = " to 1" if objective(name).unit == "%" else ""
                raise UsageError(
                    f"bounds[{name!r}] = {in_short(bound)}; needed: a number from 0{most}"
                )

    @property
    def where(self) -> str:
        """The bounds as a filter of candidates, see `spikenas.store.Run.candidates`."""
        signs = {"maximize": ">=", "minimize": "<="}
        return " and ".join(
            f"{name} {signs[objective(name).direction]} {bound:.12g}"
            for name, bound in self.bounds.items()
        )

    def margins(self, scored: object | None) -> dict[str, float]:
        """Return by how much the bounds that no trace tells are broken; 0 without a result."""
        return {
            f"{name} bound": 0.0
            if scored is None
            else objective(name).margin(getattr(scored, name), bound)
            for name, bound in self.bounds.items()
            if not objective(name).is_traced
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """An architecture that a search proposes first.

    Attributes:
        genes: the JSON form of the member of the space that is proposed.
    """

    name: str
    genes: Mapping[str, Any]

    @property
    def architecture(self) -> Architecture:
        """The member that is proposed."""
        return Architecture.from_dict(self.genes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """What is searched, on which data, for which chip, with what budget.

    Attributes:
        trials: candidates trained to an end, good or bad; refused ones come on top.
        seed: of the sampler and of every training.
        time_budget_s: after it no candidate is begun; counted anew by each `resume`.
        sampler: its name, or the class of the user's own, with its module.
        seed_with: members of the space that are proposed before all others.
        only: the values that choices of the space are restricted to.
        workers: None where the caller gave a pool of its own.
        energy_toml: the text of an energy model of the user's own.
        code: what `spikenas.code.sources` found when the run began; empty in runs of 0.1.0.
        data_sha256: the hash of all files of the data set, or of the user's own samples, when the
            run began.
        preprocessing: how images reach a network, for exports.
        classes: their names, by label.
    """

    space_name: str
    space_toml: str
    data: DataSpec
    chip_toml: str | None
    energy_model: str
    objectives: tuple[str, ...]
    trials: int
    recipe: Recipe
    seed: int
    sampler: str
    workers: WorkerProfile | None
    limits: Limits
    time_budget_s: float | None
    energy_toml: str | None = None
    seed_with: tuple[Seed, ...] = ()
    only: Only = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    data_sha256: str | None = None
    preprocessing: Mapping[str, Any] | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for setting, kind, needed in _NUMBERS:
            value = getattr(self, setting)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise UsageError(f"{setting} = {in_short(value)}; needed: {needed}")
        for name in self.objectives:
            objective(name)
        if len(set(self.objectives)) != len(self.objectives) or not self.objectives:
            given = ", ".join(self.objectives) or "none"
            raise UsageError(f"objectives = {given}; name at least one, each once")
        if self.trials < 1:
            raise UsageError(f"trials = {self.trials}; a search trains at least 1 candidate")
        self.recipe.check_kind(self.data.kind)
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed = {self.seed}; needed: a whole number from 0 to 2^63 - 1")
        if self.time_budget_s is not None and not self.time_budget_s > 0:
            raise UsageError(f"time_budget_s = {self.time_budget_s}; it must be above 0")

    @property
    def chip(self) -> ChipProfile | None:
        """The chip that candidates must fit."""
        if self.chip_toml is None:
            return None
        return ChipProfile.from_toml(self.chip_toml, source="the chip kept with the run")

    @property
    def max_attempts(self) -> int:
        """How often a job is submitted whose worker was lost."""
        return (self.workers or WorkerProfile()).max_attempts

    @property
    def plugins(self) -> tuple[str, ...]:
        """The modules that the space names; its networks need them."""
        return plugins_in(self.space_toml)

    @property
    def modules_of_others(self) -> tuple[str, ...]:
        """All modules that the search imports: the plugins, and those of energy model and data.

        They follow from what is searched. No list on record is trusted, as whoever wrote it is not
        the user who consents.
        """
        model = None if self.energy_toml else module_of_model(self.energy_model)
        return tuple(dict.fromkeys(filter(None, (*self.plugins, model, self.data.plugin))))

    def load_space(self, *, allow_plugins: bool) -> SearchSpace:
        """Read the space; its plugins are imported where the user of now allows it."""
        space = SearchSpace.from_toml(
            self.space_toml, source=self.space_name, allow_plugins=allow_plugins
        )
        return space.restricted(self.only) if self.only else space

    def job(self, job_id: str, architecture: Architecture) -> Job:
        """Return the training of one candidate."""
        return Job(
            id=job_id,
            architecture=architecture,
            data=self.data,
            recipe=self.recipe,
            epochs=self.recipe.epochs,
            seed=self.seed,
            energy_model=self.energy_model,
            energy_toml=self.energy_toml,
            plugins=self.modules_of_others,
            data_sha256=self.data_sha256,
            code_sha256=code_sha256(self._code_of(architecture)),
        )

    def reuse_key(self, architecture: Architecture, data_fingerprint: str) -> str:
        """Return what two trainings share when the result of one answers the other."""
        code = self._code_of(architecture)
        conditions = (
            architecture.key,
            data_fingerprint,
            self.recipe.fingerprint,
            self.recipe.epochs,
            self.seed,
            self.energy_toml or self.energy_model,
            _EVALUATION,
            sorted(code.items()),
        )
        return _sha256(json.dumps(conditions))

    def _code_of(self, architecture: Architecture) -> dict[str, str]:
        return code_of_candidate(architecture, self.modules_of_others)

    def claims(self, run: str | None) -> dict[str, Any]:
        """Return what an export tells of its run: no path, no host, no database."""
        data = self.data.to_dict()
        data.pop("root")
        chip = self.chip
        return {
            "run": run,
            "seed": self.seed,
            "epochs": self.recipe.epochs,
            "data": data,
            "data_sha256": self.data_sha256,
            "recipe": self.recipe.to_dict(),
            "space": Path(self.space_name).stem,
            "space_sha256": _sha256(self.space_toml),
            "chip": chip and chip.name,
            "chip_sha256": chip and chip.sha256,
            "energy_model": self.energy_model,
            "energy_model_sha256": self.energy_toml and _sha256(self.energy_toml),
            "objectives": list(self.objectives),
            "sampler": self.sampler,
            "plugins": list(self.plugins) or None,
            "code": dict(self.code) or None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; its ``plugins`` are to be shown, and never imported."""
        bare = replace(self, data=self.data.with_samples(None))  # which `asdict` would copy
        derived = {"data": self.data.to_dict(), "plugins": list(self.modules_of_others)}
        return {**asdict(bare), **derived}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "SearchSettings":
        """Build from the JSON form."""
        record = {name: value for name, value in record.items() if name not in _NOT_READ}
        unknown = sorted(set(record) - {field.name for field in fields(cls)})
        if unknown:
            raise UsageError(
                f"the run's settings hold {', '.join(unknown)}, which this spikenas does not know; "
                "take the version that began it"
            )
        objectives: Sequence[str] = record["objectives"]
        return cls(
            **{
                **record,
                "data": DataSpec.from_dict(record["data"]),
                "objectives": tuple(objectives),
                "recipe": Recipe.from_dict(record["recipe"]),
                "workers": record["workers"] and WorkerProfile.from_dict(record["workers"]),
                "limits": Limits(**record["limits"]),
                "only": as_only(record.get("only", {})),
                "classes": tuple(record.get("classes", ())),
                "seed_with": tuple(Seed(**each) for each in record.get("seed_with", ())),
            }
        )


def code_of(space: SearchSpace, plugins: Iterable[str]) -> dict[str, str]:
    """Return the code of every network that the space can name, and of what trains and scores."""
    domain = [(name.rpartition(".")[2], values) for name, values in space.domain()]
    components = [
        registry.component(family, str(value))
        for family in _FAMILIES
        for gene, values in domain
        if gene == family
        for value in values
    ]
    components += [registry.component("head", name) for name in registry.names("head")]
    return sources(("spikenas.evaluator", *modules(components), *plugins))


_FAMILIES: tuple[registry.Family, ...] = ("neuron", "stem", "mixer", "downsampling", "halting")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
