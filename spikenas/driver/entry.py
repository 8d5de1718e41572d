"""`search` and `resume`: the two ways into a search, for the command line and for notebooks."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from spikenas import data as data_sets
from spikenas.data import Binning, DataSpec
from spikenas.distributed import WorkerPool, WorkerProfile, load_profile, open_pool
from spikenas.driver.arguments import check_types
from spikenas.driver.conditions import changes, identified, read_all
from spikenas.driver.loop import SearchLoop
from spikenas.driver.progress import OnProgress
from spikenas.driver.proposals import Proposals, Screened
from spikenas.driver.seeds import SeedWith, seeds
from spikenas.driver.settings import SearchSettings
from spikenas.evaluation import State
from spikenas.exceptions import StoreError, UsageError
from spikenas.export import check_claims
from spikenas.figures import DEFAULT_OBJECTIVES, objective
from spikenas.hardware import ChipProfile, EnergyModel
from spikenas.hardware import chip as load_chip
from spikenas.hardware import energy_model as load_energy_model
from spikenas.plugins import import_plugins, plugins_in
from spikenas.search_space import SearchSpace
from spikenas.store import Candidate, Run, RunWriter, Store
from spikenas.strategy.sampler import Observation, OptunaSampler
from spikenas.strategy.screening import Limits
from spikenas.training import Recipe, default_recipe
from spikenas.training import recipe as load_recipe
from spikenas.training.surrogate_modules import check_mixers

OnChecked = Callable[[SearchSettings], None]
_log = logging.getLogger(__name__)
_LEAST_BATCH = 2
_DATA_OF_SPACE = {"toy": "digits"}


def search(
    space: str | Path | SearchSpace,
    *,
    data: str | None = None,
    data_root: str | Path | None = None,
    chip: str | Path | ChipProfile | None = None,
    trials: int = 12,
    workers: str | Path | WorkerProfile = "local",
    num_workers: int | None = None,
    store: str | None = None,
    artifacts: str | Path | None = None,
    name: str | None = None,
    seed: int = 0,
    epochs: int | None = None,
    recipe: str | Path | Recipe | None = None,
    batch_size: int | None = None,
    image_size: int | None = None,
    train_subset: int | None = None,
    binning: Binning = "time",
    sampler: str = "tpe",
    objectives: Sequence[str] | None = None,
    energy_model: str | Path | EnergyModel = "cmos45",
    time_budget_s: float | None = None,
    max_parameters: int | None = None,
    max_memory_gib: float | None = None,
    allow_plugins: bool = False,
    seed_with: SeedWith = (),
    on_checked: OnChecked | None = None,
    on_progress: OnProgress | None = None,
) -> Run:
    """Search a space for the architectures that score best for the least energy.

    The space is a shipped name, a path ending in ``.toml``, or a `SearchSpace`. Without ``data``
    it is the data set that the space is named for, without ``recipe`` the data set's own; both
    can be changed by ``image_size``, ``train_subset``, ``epochs`` and ``batch_size``. Events are
    binned into as many frames as a candidate has steps, as ``binning`` says. ``chip``, ``recipe``,
    ``energy_model`` and ``workers`` are shipped names, paths ending in ``.toml``, or what was read
    from them; their text is kept with the run. The workers ``inline`` need no Ray. What ``chip``,
    ``max_parameters`` or ``max_memory_gib`` rule out is refused before training. ``trials``
    candidates are trained; refused ones and repeats come on top, and none is begun after
    ``time_budget_s``. ``store`` is the database's URL, by default $SPIKENAS_STORE, else
    ``sqlite:///spikenas.db``; ``artifacts`` is the folder of its weights, by default its own.
    ``seed_with`` are published names or architectures to propose first, each as the nearest member
    of the space; what had to be changed is logged.
    ``on_checked`` gets the settings once none of them was refused, before workers start;
    ``on_progress`` gets a `Progress` whenever something changes.

    Returns:
        The finished run, to be read: ``search(...).pareto_front()``.

    Raises:
        UsageError: before anything is recorded, for whatever contradicts itself or is missing.
        InfeasibleError: before anything is recorded, when no member of the space may be trained.
        BudgetError: when the budget ended without one successful candidate.
        KeyboardInterrupt: on Ctrl-C, once the state is saved; `resume` goes on.
    """
    began = time.monotonic()
    check_types(
        data_root=data_root,
        store=store,
        artifacts=artifacts,
        name=name,
        objectives=objectives,
    )
    if not isinstance(space, SearchSpace):
        space = SearchSpace.load(space, allow_plugins=allow_plugins)
    data_spec = DataSpec(
        name=_data_of(space) if data is None else data,
        root=None if data_root is None else str(Path(data_root).expanduser().absolute()),
        image_size=image_size,
        train_subset=train_subset,
        binning=binning,
    )
    overrides = {"epochs": epochs, "batch_size": batch_size}
    chosen = load_recipe(
        recipe or default_recipe(data_spec.name),
        **{setting: value for setting, value in overrides.items() if value is not None},
    )
    model = load_energy_model(energy_model)
    profile = load_profile(workers)
    if num_workers is not None:
        profile = replace(profile, num_workers=num_workers)
    limits = {"max_parameters": max_parameters, "max_memory_gib": max_memory_gib}
    settings = SearchSettings(
        space_name=space.name,
        space_toml=space.toml,
        data=data_spec,
        chip_toml=None if chip is None else load_chip(chip).toml,
        energy_model=model.name,
        energy_toml=model.toml,
        objectives=tuple(DEFAULT_OBJECTIVES if objectives is None else objectives),
        trials=trials,
        recipe=chosen,
        seed=seed,
        sampler=sampler,
        workers=profile,
        limits=Limits(
            batch_size=chosen.batch_size,
            **{limit: value for limit, value in limits.items() if value is not None},  # type: ignore[arg-type]
        ),
        time_budget_s=time_budget_s,
        allow_plugins=allow_plugins,
    )
    written = space.input
    space, settings = identified(space, settings)
    if written not in (None, space.input):
        _log.warning(
            "space %r is written for %s, but %s has %s here, so its members are built for these",
            space.name,
            written,
            data_spec.name,
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
    with Store.open(store, artifacts=artifacts) as record:
        if name is not None:
            record.require_free_name(name)
        _refuse_unexportable(settings, name)
        proposals = _proposals(space, settings)
        screened = proposals.until_feasible(space.name)
        if on_checked is not None:
            on_checked(settings)
        first = settings.data.with_steps(screened[-1].proposal.architecture.num_steps)
        with open_pool(settings.workers) as pool:
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
    store: str | None = None,
    artifacts: str | Path | None = None,
    allow_plugins: bool = False,
    accept_changes: bool = False,
    on_checked: OnChecked | None = None,
    on_progress: OnProgress | None = None,
) -> Run:
    """Go on with a run that was interrupted or killed; only what was in flight is repeated.

    Without a name it is the newest run. Everything but the time budget is as it was begun with;
    consent to its plugins is asked for anew, by ``allow_plugins``. Where data or code have changed,
    ``accept_changes`` begins a new generation of the run: with its whole budget, and compared with
    none of its candidates so far.

    Raises:
        UsageError: when data or code are not those which the run was begun with.
        NotFoundError: when there is no such run.
        LeaseError: while another process drives it.
        Others as in `search`.
    """
    began = time.monotonic()
    with Store.open(store, create=False, artifacts=artifacts) as record:
        begun = record.run(name)
        settings = SearchSettings.from_dict(begun.settings)
        import_plugins(
            plugins_in(settings.space_toml), of=f"run {begun.name!r}", is_allowed=allow_plugins
        )
        space, now = identified(settings.load_space(), settings)
        changed = changes(settings, now)
        if changed and not accept_changes:
            raise UsageError(
                f"run {begun.name!r} began with other data or code: {'; '.join(changed)}. "
                "Put it back, or begin a new generation of the run, which is compared with none "
                "of its candidates so far, by --accept-changes (in Python: accept_changes=True)"
            )
        settings = now
        first = settings.data.with_steps(space.sample(0).num_steps)
        read_all(space, first, settings)
        writer = record.resume_run(name, new_generation=bool(changed))
        try:
            if changed:
                writer.update_settings(settings.to_dict())
            if on_checked is not None:
                on_checked(settings)
            known = writer.run.candidates(include_duplicates=True)
            proposals = _proposals(space, settings, writer.run, known)
            # Workers start only now, as another process may have driven the run.
            with open_pool(settings.workers) as pool:
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
    run: Run | None = None,
    known: Sequence[Candidate] = (),
) -> Proposals:
    """Return the proposals of a run, behind those that it has: ``known`` of its generation."""
    sampler = OptunaSampler(
        space,
        method=settings.sampler,
        seed=settings.seed,
        objectives=[objective(name) for name in settings.objectives],
        first=[seed.architecture for seed in settings.seed_with],
    )
    sampler.restore([_observation(each, settings) for each in known])
    every = () if run is None else run.candidates(include_duplicates=True, all_generations=True)
    return Proposals(
        space,
        sampler,
        chip=settings.chip,
        limits=settings.limits,
        known={each.number: each.key for each in known},
        first_number=1 + max((each.number for each in every), default=-1),
    )


def _data_of(space: SearchSpace) -> str:
    name = _DATA_OF_SPACE.get(space.name, space.name)
    if name not in data_sets.names():
        raise UsageError(
            f"space {space.name!r} is not named for a data set, so data must be given; "
            f"one of {', '.join(data_sets.names())}"
        )
    return name


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
        margins=candidate.margins,
        is_final=candidate.state.is_final,
    )
