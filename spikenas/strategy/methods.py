"""How a search proposes: the samplers by name, and those of the user's own."""

from collections.abc import Sequence

from optuna.samplers import BaseSampler

from spikenas.architecture import Architecture
from spikenas.exceptions import UnknownNameError, UsageError
from spikenas.figures import Figure
from spikenas.search_space import SearchSpace
from spikenas.strategy.model_sampler import ModelSampler
from spikenas.strategy.optuna_sampler import OPTUNA_METHODS, OptunaSampler
from spikenas.strategy.sampler import Sampler

DEFAULT_METHOD = "spikenas"
METHODS = (DEFAULT_METHOD, *OPTUNA_METHODS)


def name_of(sampler: str | BaseSampler | Sampler) -> str:
    """Return what a run's settings keep of a sampler: its name, or the class of the user's own.

    Raises UnknownNameError for what is neither a name nor a sampler.
    """
    if isinstance(sampler, str):
        if sampler not in METHODS:
            raise UnknownNameError("sampler", sampler, METHODS)
        return sampler
    if isinstance(sampler, type) or not isinstance(sampler, BaseSampler | Sampler):
        raise UnknownNameError("sampler", sampler, METHODS)  # type: ignore[arg-type]
    return f"{type(sampler).__module__}.{type(sampler).__qualname__}"


def sampler_again(
    run: str, kept: str, given: BaseSampler | Sampler | None
) -> str | BaseSampler | Sampler:
    """Return the sampler that a run goes on with. Raises UsageError where it is another one."""
    if given is None and kept in METHODS:
        return kept
    if given is not None and name_of(given) == kept:
        return given
    if kept in METHODS:
        raise UsageError(f"run {run!r} began with the sampler {kept!r}; leave sampler out")
    found = "none is given" if given is None else f"{name_of(given)} is given"
    raise UsageError(
        f"run {run!r} began with a sampler that was given in Python, {kept}, but {found}; "
        "give one again: spikenas.resume(..., sampler=sampler)"
    )


def build_sampler(
    sampler: str | BaseSampler | Sampler,
    space: SearchSpace,
    *,
    seed: int,
    objectives: Sequence[Figure],
    first: Sequence[Architecture] = (),
) -> Sampler:
    """Return the sampler of a run; one that keeps our protocol is taken as it is.

    Raises UsageError where such a one should propose given architectures first.
    """
    if isinstance(sampler, Sampler):
        if first:
            raise UsageError(
                "seed_with needs a sampler of spikenas or of Optuna; let your own propose the "
                "architectures that should be first"
            )
        return sampler
    if sampler == DEFAULT_METHOD:
        return ModelSampler(space, seed=seed, objectives=objectives, first=first)
    return OptunaSampler(space, method=sampler, seed=seed, objectives=objectives, first=first)
