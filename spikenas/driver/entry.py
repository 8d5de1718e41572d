"""`search` and `resume`: the two ways into a search, for the command line and for notebooks."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from spikenas.data import Data, DataSpec
from spikenas.distributed import WorkerPool
from spikenas.driver.arguments import (
    Changes,
    check_types,
    data_spec,
    energy_model_of,
    opened,
    pool_of,
    profile_of,
    taken,
)
from spikenas.driver.conditions import changes as changes_since
from spikenas.driver.conditions import given_again, identified, read_all
from spikenas.driver.loop import SearchLoop
from spikenas.driver.progress import OnProgress
from spikenas.driver.proposals import Proposals, Screened
from spikenas.driver.seeds import SeedWith, seeds
from spikenas.evaluation import State
from spikenas.exceptions import StoreError, UsageError
from spikenas.export import check_claims
from spikenas.figures import DEFAULT_OBJECTIVES, objective
from spikenas.hardware import ChipProfile, EnergyModel
from spikenas.hardware import chip as load_chip
from spikenas.hardware import energy_model as load_energy_model
from spikenas.plugins import import_plugins
from spikenas.search_space import SearchSpace
from spikenas.settings import Limits, SearchSettings
from spikenas.store import Candidate, Run, RunWriter, Store
from spikenas.strategy.methods import DEFAULT_METHOD, build_sampler, name_of, sampler_again
from spikenas.strategy.sampler import Observation, Sampler
from spikenas.training import Recipe, default_recipe
from spikenas.training import recipe as load_recipe
from spikenas.training.surrogate_modules import check_mixers
from spikenas.worker_profile import WorkerProfile

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

OnChecked = Callable[[SearchSettings], None]
_log = logging.getLogger(__name__)
_LEAST_BATCH = 2


def search(
    space: str | Path | SearchSpace,
    *,
    data: Data | None = None,
    chip: str | Path | ChipProfile | None = None,
    recipe: str | Path | Recipe | None = None,
    energy_model: str | Path | EnergyModel = "cmos45",
    objectives: Sequence[str] = DEFAULT_OBJECTIVES,
    limits: Limits | None = None,
    only: Mapping[str, Any] | None = None,
    sampler: "str | Sampler | BaseSampler" = DEFAULT_METHOD,
    trials: int = 12,
    time_budget_s: float | None = None,
    seed: int = 0,
    seed_with: SeedWith = (),
    workers: str | Path | WorkerProfile | WorkerPool = "local",
    store: str | Store | None = None,
    name: str | None = None,
    allow_plugins: bool = False,
    on_checked: OnChecked | None = None,
    on_progress: OnProgress | None = None,
    **changes: Unpack[Changes],
) -> Run:
    """Search a space for the architectures that score best for the least energy.

    Whatever has a name here can be given by it, by the path of a file ending in ``.toml``, or as
    the object that was made of it; the text of files is kept with the run.

    Args:
        space: the architectures to choose from.
        data: the name of a data set, by default what the space is named for, a `DataSpec`, or data
            of your own: an `OwnData`, or Datasets or pairs of tensors as (train, validation) or
            (train, validation, test), where validation may be the share of train to hold out.
        chip: refuse before training what it cannot run.
        recipe: how candidates are trained, by default the data set's own.
        energy_model: how the energy of an inference is estimated.
        objectives: names of `spikenas.figures.OBJECTIVES`.
        only: restricts choices of the space to values, ``{"num_steps": 4, "mixer": ["stm"]}``,
            see `SearchSpace.restricted`.
        limits: on parameters, on memory to train, and bounds on objectives.
        sampler: a name of `spikenas.strategy.methods.METHODS`, a sampler of Optuna's, or an object
            of your own that implements `spikenas.strategy.sampler.Sampler` for this space.
        trials: candidates to train; refused ones and repeats come on top.
        time_budget_s: seconds after which no candidate is begun.
        seed: of the sampler and of every training.
        seed_with: published names or architectures to propose first, each as the nearest member
            of the space; what had to be changed is logged.
        workers: where candidates are trained; ``inline`` needs no Ray. A pool of your own is left
            open.
        store: the database or its URL, by default $SPIKENAS_STORE, else ``sqlite:///spikenas.db``.
        name: of the run, by default made of the data set and the time.
        allow_plugins: import the plugins that the space names.
        on_checked: gets the settings once none of them was refused, before workers start.
        on_progress: gets a `Progress` whenever something changes.
        **changes: fields of the objects above, for whoever gives these by name: see `Changes`.

    Returns:
        The finished run, to be read: ``search(...).pareto_front()``.

    Raises:
        UsageError: before anything is recorded, for whatever contradicts itself or is missing.
        InfeasibleError: before anything is recorded, when no member of the space may be trained.
        BudgetError: when the budget ended without one successful candidate.
        KeyboardInterrupt: on Ctrl-C, once the state is saved; `resume` goes on.
    """
    began = time.monotonic()
    check_types(changes, store=store, name=name, objectives=objectives, limits=limits)
    if not isinstance(space, SearchSpace):
        space = SearchSpace.load(space, allow_plugins=allow_plugins)
    space = space.restricted({} if only is None else only)
    chosen_data = data_spec(data, space, taken(changes, DataSpec))
    chosen = load_recipe(recipe or default_recipe(chosen_data), **taken(changes, Recipe))
    model, of_model = energy_model_of(energy_model, allow_plugins=allow_plugins)
    profile = profile_of(workers, taken(changes, WorkerProfile))
    settings = SearchSettings(
        space_name=space.name,
        space_toml=space.toml,
        data=chosen_data,
        chip_toml=None if chip is None else load_chip(chip).toml,
        energy_model=of_model,
        energy_toml=model.toml,
        objectives=tuple(objectives),
        trials=trials,
        recipe=chosen,
        seed=seed,
        sampler=name_of(sampler),
        workers=profile,
        limits=replace(
            limits or Limits(), **{**taken(changes, Limits), "batch_size": chosen.batch_size}
        ),
        time_budget_s=time_budget_s,
        only=space.only,
    )
    written = space.input
    space, settings = identified(space, settings)
    if written not in (None, space.input):
        _log.warning(
            "space %r is written for %s, but %s has %s here, so its members are built for these",
            space.name,
            written,
            chosen_data.name,
            space.input,
        )
    _refuse_untrainable(space, chosen)
    settings = replace(settings, seed_with=seeds(space, seed_with))
    if len(settings.seed_with) > trials:
        _log.warning(
            "%d seeds, but trials = %d: the others may not be trained",
            len(settings.seed_with),
            trials,
        )
    proposals = _proposals(space, settings, sampler)
    with opened(store, artifacts=changes.get("artifacts")) as record:
        if name is not None:
            record.require_free_name(name)
        _refuse_unexportable(settings, name)
        screened = proposals.until_feasible(space.name)
        if on_checked is not None:
            on_checked(settings)
        first = settings.data.with_steps(screened[-1].proposal.architecture.num_steps)
        with pool_of(workers, profile) as pool:
            read_all(space, first, settings)  # while workers start
            pool.warm_up(first)
            writer = record.begin_run(
                name,
                settings=settings.to_dict(),
                space_toml=space.toml,
                seed=seed,
                objectives=settings.objectives,
            )
            return _conduct(
                settings,
                record,
                writer,
                pool,
                proposals=proposals,
                screened=screened,
                began=began,
                on_progress=on_progress,
            )


def resume(
    name: str | None = None,
    *,
    data: Data | None = None,
    store: str | Store | None = None,
    workers: WorkerPool | None = None,
    artifacts: str | Path | None = None,
    sampler: "Sampler | BaseSampler | None" = None,
    allow_plugins: bool = False,
    accept_changes: bool = False,
    on_checked: OnChecked | None = None,
    on_progress: OnProgress | None = None,
) -> Run:
    """Go on with a run that was interrupted or killed; only what was in flight is repeated.

    Without a name it is the newest run. Everything but the time budget is as it was begun with;
    ``data`` of your own, which no store keeps, and a pool or a sampler of your own are given again,
    and consent to plugins is asked for anew, by ``allow_plugins``. Where data or code have changed,
    ``accept_changes`` begins a new generation of the run: with its whole budget, and compared with
    none of its candidates so far.

    Raises:
        UsageError: when data or code are not those which the run was begun with.
        NotFoundError: when there is no such run.
        LeaseError: while another process drives it.
        Others as in `search`.
    """
    began = time.monotonic()
    check_types({}, store=store, name=name, artifacts=artifacts, workers=workers)
    with opened(store, create=False, artifacts=artifacts) as record:
        begun = record.run(name)
        settings = begun.settings
        import_plugins(
            settings.modules_of_others, of=f"run {begun.name!r}", is_allowed=allow_plugins
        )
        load_energy_model(settings.energy_model, settings.energy_toml)  # refused here if it is gone
        chosen = sampler_again(begun.name, settings.sampler, sampler)
        found = replace(settings, data=given_again(begun.name, settings.data, data))
        space, now = identified(settings.load_space(allow_plugins=allow_plugins), found)
        changed = changes_since(settings, now)
        if changed and not accept_changes:
            raise UsageError(
                f"run {begun.name!r} began with other data or code: {'; '.join(changed)}. "
                "Put it back, or begin a new generation of the run, which is compared with none "
                "of its candidates so far, by --accept-changes (in Python: accept_changes=True)"
            )
        settings = now
        if workers is None and settings.workers is None:
            raise UsageError(
                f"run {begun.name!r} was trained by a worker pool that was given in Python; give "
                "one again: spikenas.resume(..., workers=pool)"
            )
        first = settings.data.with_steps(space.sample(0).num_steps)
        read_all(space, first, settings)
        writer = record.resume_run(name, new_generation=bool(changed))
        try:
            if changed:
                writer.update_settings(settings.to_dict())
            if on_checked is not None:
                on_checked(settings)
            known = writer.run.candidates(include_duplicates=True)
            proposals = _proposals(space, settings, chosen, writer.run, known)
            # Workers start only now, as another process may have driven the run.
            with pool_of(workers, settings.workers) as pool:
                pool.warm_up(first)
                return _conduct(
                    settings,
                    record,
                    writer,
                    pool,
                    proposals=proposals,
                    known=known,
                    began=began,
                    on_progress=on_progress,
                )
        except BaseException:
            with suppress(StoreError):  # the loop has released the run if it came so far
                writer.finish("interrupted")
            raise


def _conduct(
    settings: SearchSettings,
    record: Store,
    writer: RunWriter,
    pool: WorkerPool,
    *,
    proposals: Proposals,
    screened: Sequence[Screened] = (),
    known: Sequence[Candidate] = (),
    began: float,
    on_progress: OnProgress | None,
) -> Run:
    """Drive a run from where it stands to its end, and return it."""
    SearchLoop(
        settings=settings,
        store=record,
        writer=writer,
        pool=pool,
        proposals=proposals,
        screened=screened,
        known=[each for each in known if each.duplicate_of is None],
        began=began,
        on_progress=on_progress,
    ).run()
    return writer.run


def _proposals(
    space: SearchSpace,
    settings: SearchSettings,
    sampler: "str | Sampler | BaseSampler",
    run: Run | None = None,
    known: Sequence[Candidate] = (),
) -> Proposals:
    """Return the proposals of a run, behind those that it has: ``known`` of its generation."""
    built = build_sampler(
        sampler,
        space,
        seed=settings.seed,
        objectives=[objective(name) for name in settings.objectives],
        first=[seed.architecture for seed in settings.seed_with],
    )
    built.restore([_observation(each, settings) for each in known])
    every = () if run is None else run.candidates(include_duplicates=True, all_generations=True)
    return Proposals(
        space,
        built,
        chip=settings.chip,
        limits=settings.limits,
        known={each.number: each.key for each in known},
        first_number=1 + max((each.number for each in every), default=-1),
    )


def _refuse_untrainable(space: SearchSpace, recipe: Recipe) -> None:
    """Refuse a recipe by which some member of the space cannot be trained."""
    if recipe.batch_size < _LEAST_BATCH:
        raise UsageError(
            f"batch_size = {recipe.batch_size} is too few for batch norm; give at least "
            f"{_LEAST_BATCH}"
        )
    if recipe.surrogate_module_learning:
        mixers = [values for name, values in space.domain() if name.endswith(".mixer")]
        check_mixers({str(name) for values in mixers for name in values})


def _refuse_unexportable(settings: SearchSettings, name: str | None) -> None:
    """Refuse a run of which no export could tell where it comes from."""
    try:
        check_claims(settings.claims(name))
    except UsageError as error:
        raise UsageError(f"nothing that this run finds could be exported: {error}") from None


def _observation(candidate: Candidate, settings: SearchSettings) -> Observation:
    is_complete = candidate.state is State.COMPLETE and candidate.duplicate_of is None
    return Observation(
        number=candidate.number,
        choices=candidate.choices,
        values={name: getattr(candidate, name) for name in settings.objectives}
        if is_complete
        else None,
        margins={
            **candidate.margins,
            **settings.limits.margins(candidate if is_complete else None),
        }
        if candidate.margins
        else {},
        is_final=candidate.state.is_final,
    )
