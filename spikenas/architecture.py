"""`Architecture`: one spiking transformer as plain data.

An instance is valid and canonical: names are known, the components' rules hold, and genes that no
component reads are removed, so equal networks are equal values with equal keys.
Order of the data: image [C, H, W] -> stem (divides H and W by ``patch_size``) -> stages -> head.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, TypeVar, get_args

from spikenas import registry
from spikenas.exceptions import ArchitectureError, UnknownNameError, did_you_mean
from spikenas.registry import Component, Option, Site

Residual = Literal["spike", "membrane", "none"]
RESIDUALS: tuple[str, ...] = get_args(Residual)
PATCH_SIZES = (1, 2, 4, 8, 16)
MAX_STEPS, MAX_STAGES, MAX_DEPTH = 64, 4, 128
Options = tuple[tuple[str, Option], ...]
Gene = TypeVar("Gene")


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """The input of the network: frames [B, C, H, W], or events [B, T, C, H, W]."""

    channels: int
    height: int
    width: int
    kind: Literal["frames", "events"] = "frames"

    def __post_init__(self) -> None:
        for name in ("channels", "height", "width"):
            _integer(getattr(self, name), f"input.{name}", 1, 4096)
        _one_of(self.kind, "input.kind", ("frames", "events"))

    def __str__(self) -> str:
        return f"{self.kind} of {self.channels}x{self.height}x{self.width}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Halting:
    """Adaptive computation time: a token halts once the sum of its scores reaches ``threshold``.

    ``ponder_cost`` is the weight of the ponder loss, the share of blocks that tokens pass.
    """

    threshold: float = 1.0
    ponder_cost: float = 0.01

    def __post_init__(self) -> None:
        _set(self, "threshold", _number(self.threshold, "threshold", 1e-6, 1e12))
        _set(self, "ponder_cost", _number(self.ponder_cost, "ponder_cost", 0, 1e3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One resolution of the network: ``depth`` blocks of width ``embed_dim``.

    ``mixer`` is one name for all blocks or one name per block. ``mlp_ratio`` 0 leaves the MLP out.
    ``downsampling`` halves the map before the blocks; the stem does it for the first.
    """

    embed_dim: int
    depth: int
    mixer: tuple[str, ...]
    num_heads: int | None = None
    mlp_ratio: float = 4.0
    downsampling: str | None = None
    options: Options = ()

    def __post_init__(self) -> None:
        _integer(self.embed_dim, "embed_dim", 1, 2**31)
        _integer(self.depth, "depth", 1, MAX_DEPTH)
        mixer = (self.mixer,) if isinstance(self.mixer, str) else tuple(self.mixer)
        if len(mixer) == 1:
            mixer *= self.depth
        if len(mixer) != self.depth:
            raise ArchitectureError(
                f"mixer names {len(mixer)} blocks, but depth is {self.depth}; "
                "give one name, or one per block"
            )
        components = [registry.component("mixer", name) for name in mixer]
        if self.downsampling is not None:
            components.append(registry.component("downsampling", self.downsampling))
        _set(self, "mixer", mixer)
        _set(self, "mlp_ratio", _number(self.mlp_ratio, "mlp_ratio", 0, 64))
        _set(self, "options", _live_options(self.options, components))
        if not _read_by(components, "num_heads"):
            _set(self, "num_heads", None)
        elif self.num_heads is None:
            raise ArchitectureError(f"num_heads is missing; mixer {mixer[0]!r} needs it")
        else:
            _integer(self.num_heads, "num_heads", 1, 4096)
        if self.mlp_ratio == 0 and "none" in mixer:
            raise ArchitectureError(
                "mixer 'none' with mlp_ratio 0 is an empty block; "
                "take another mixer or mlp_ratio > 0"
            )


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One genotype. Equal networks are equal values; see the module's docstring.

    Raises ArchitectureError (or UnknownNameError) naming the gene, if the genes do not make a
    valid network.
    """

    input: InputSpec
    num_classes: int
    num_steps: int  # T
    neuron: str
    tau: float | None = 2.0  # membrane time constant in steps, where the neuron leaks
    v_threshold: float = 1.0
    residual: Residual
    stem: str
    patch_size: int  # the factor by which the stem reduces height and width
    stages: tuple[Stage, ...]
    head: str = "mean_linear"
    halting: Halting | None = None
    options: Options = field(default=())  # of stem, neuron and head

    def __post_init__(self) -> None:
        _integer(self.num_classes, "num_classes", 2, 10**6)
        _integer(self.num_steps, "num_steps", 1, MAX_STEPS)
        _one_of(self.residual, "residual", RESIDUALS)
        _integer(self.patch_size, "patch_size", 1, PATCH_SIZES[-1])
        _one_of(self.patch_size, "patch_size", PATCH_SIZES)
        components = [
            registry.component("neuron", self.neuron),
            registry.component("stem", self.stem),
            registry.component("head", self.head),
        ]
        _set(self, "v_threshold", _number(self.v_threshold, "v_threshold", 1e-6, 1e6))
        if not _read_by(components, "tau"):
            _set(self, "tau", None)
        elif self.tau is None:
            raise ArchitectureError(f"tau is missing; neuron {self.neuron!r} needs it")
        else:
            _set(self, "tau", _number(self.tau, "tau", 1.0, 1e6))
        _set(self, "options", _live_options(self.options, components))
        if not 1 <= len(self.stages) <= MAX_STAGES:
            raise ArchitectureError(
                f"stages has {len(self.stages)} entries; between 1 and {MAX_STAGES} are allowed"
            )
        stages = [replace(self.stages[0], downsampling=None)]
        for i, stage in enumerate(self.stages[1:], start=1):
            if stage.downsampling is None:
                raise ArchitectureError(
                    f"stages[{i}].downsampling is missing; "
                    f"one of {', '.join(registry.names('downsampling'))}"
                )
            stages.append(stage)
        _set(self, "stages", tuple(stages))
        self._obey_rules()

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the canonical JSON, 64 hex digits."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def id(self) -> str:
        """The first 12 digits of the key, as shown in tables and ``RUN/ID``."""
        return self.key[:12]

    def grids(self) -> tuple[tuple[int, int], ...]:
        """Return the token grid (height, width) of each stage; N is their product."""
        stages = range(len(self.stages))
        return tuple(grid(self.input, self.patch_size, stage) for stage in stages)

    def to_dict(self) -> dict[str, Any]:
        """Return the canonical JSON form; genes that are not used are absent."""
        genes: dict[str, Any] = {
            "input": {f.name: getattr(self.input, f.name) for f in fields(InputSpec)},
            "num_classes": self.num_classes,
            "num_steps": self.num_steps,
            "neuron": self.neuron,
            "tau": self.tau,
            "v_threshold": self.v_threshold,
            "residual": self.residual,
            "stem": self.stem,
            "patch_size": self.patch_size,
            "stages": [_stage_to_dict(stage) for stage in self.stages],
            "head": self.head,
            "halting": self.halting
            and {"threshold": self.halting.threshold, "ponder_cost": self.halting.ponder_cost},
            "options": _options_to_dict(self.options),
        }
        return {name: value for name, value in genes.items() if value not in (None, {})}

    @classmethod
    def from_dict(cls, genes: Mapping[str, Any]) -> "Architecture":
        """Build from the JSON form; errors name unknown, missing or impossible genes."""
        genes = dict(_mapping(genes, "architecture"))
        _known_keys(genes, cls, "")
        genes["input"] = _build(InputSpec, genes.get("input", {}), "input")
        halting = genes.get("halting")
        if halting is not None:
            if not isinstance(halting, Mapping):
                raise ArchitectureError(
                    f'halting = {halting!r}; needed: {{"threshold": 1.0, "ponder_cost": 0.01}} '
                    "for ACT, or no such key for none"
                )
            genes["halting"] = _build(Halting, halting, "halting")
        stages = genes.get("stages", ())
        if not isinstance(stages, Sequence) or isinstance(stages, str):
            raise ArchitectureError(f"stages must be a list of tables, but is {stages!r}")
        genes["stages"] = tuple(_build(Stage, s, f"stages[{i}]") for i, s in enumerate(stages))
        return _build(cls, genes, "")

    def _obey_rules(self) -> None:
        """Check the structural rule of each component."""
        first = self.stages[0]
        shared: dict[str, Any] = {
            "num_steps": self.num_steps,
            "residual": self.residual,
            "num_stages": len(self.stages),
            "input_kind": self.input.kind,
            "halting": self.halting is not None,
        }
        image = Site(
            embed_dim=first.embed_dim,
            height=self.input.height,
            width=self.input.width,
            patch_size=self.patch_size,
            tau=self.tau,
            options=dict(self.options),
            **shared,
        )
        _refuse(registry.component("stem", self.stem).complaint(image, "stem"))
        _refuse(registry.component("neuron", self.neuron).complaint(image, "neuron"))
        halting = registry.component("halting", "act" if self.halting else "none")
        _refuse(halting.complaint(replace(image, depth=first.depth), "halting"))
        grids = self.grids()
        for i, (stage, (height, width)) in enumerate(zip(self.stages, grids, strict=True)):
            at = Site(
                embed_dim=stage.embed_dim,
                height=height,
                width=width,
                num_heads=stage.num_heads,
                options=dict(stage.options),
                **shared,
            )
            if i:
                before = replace(at, height=grids[i - 1][0], width=grids[i - 1][1])
                _refuse(halving_complaint(i, *grids[i - 1]))
                assert stage.downsampling is not None
                downsampling = registry.component("downsampling", stage.downsampling)
                _refuse(downsampling.complaint(before, f"stages[{i}].downsampling"))
            for name in dict.fromkeys(stage.mixer):
                _refuse(registry.component("mixer", name).complaint(at, f"stages[{i}].mixer"))


def grid(images: InputSpec, patch_size: int, stage: int) -> tuple[int, int]:
    """Return height and width of the token grid of a stage; every halving rounds up."""
    step = patch_size * 2**stage
    return -(-images.height // step), -(-images.width // step)


def halving_complaint(stage: int, height: int, width: int) -> str | None:
    """Return why a map cannot be halved before a stage, or None if it can."""
    if 1 not in (height, width):
        return None
    return (
        f"stages[{stage}] would halve a map of {height}x{width}; "
        "use fewer stages, a smaller patch_size or larger images"
    )


def _refuse(complaint: str | None) -> None:
    if complaint:
        raise ArchitectureError(complaint)


def _stage_to_dict(stage: Stage) -> dict[str, Any]:
    genes: dict[str, Any] = {f.name: getattr(stage, f.name) for f in fields(Stage)}
    genes["mixer"] = stage.mixer[0] if len(set(stage.mixer)) == 1 else list(stage.mixer)
    genes["options"] = _options_to_dict(stage.options)
    return {name: value for name, value in genes.items() if value not in (None, {})}


def _options_to_dict(options: Options) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in options}


def _read_by(components: Sequence[Component], gene: str) -> bool:
    return any(gene in component.genes for component in components)


def _live_options(
    given: Mapping[str, Option] | Options, components: Sequence[Component]
) -> Options:
    """Return the options that some component reads and that are not the default, sorted."""
    live = []
    for name, value in dict(given).items():
        readers = [component for component in components if name in component.options]
        if not readers:
            known = {option for component in components for option in component.options}
            raise ArchitectureError(
                f"options.{name} is read by none of {', '.join(each.name for each in components)}"
                f"{did_you_mean(name, known)}; their options: {', '.join(sorted(known)) or 'none'}"
            )
        values = [registry.option_value(each, name, value, where="options.") for each in readers]
        if any(v != each.options[name] for v, each in zip(values, readers, strict=True)):
            live.append((name, values[0]))
    return tuple(sorted(live))


def _build(kind: type[Gene], genes: object, where: str) -> Gene:
    """Call the constructor with the genes; prefix its errors with the place."""
    given = _mapping(genes, where or "architecture")
    _known_keys(given, kind, where)
    try:
        return kind(**given)
    except TypeError as error:  # a missing gene
        missing = str(error).rpartition(": ")[2]
        raise ArchitectureError(f"{where or 'architecture'} lacks {missing}") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{where}.{error}" if where else str(error)) from None
    except UnknownNameError as error:
        raise ArchitectureError(f"{where}: {error}" if where else str(error)) from None


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ArchitectureError(f"{where} must be a table, but is {value!r}")
    return value


def _known_keys(genes: Mapping[str, Any], kind: type[Any], where: str) -> None:
    known = [f.name for f in fields(kind)]
    for name in genes:
        if name not in known:
            place = f"{where}.{name}" if where else name
            raise ArchitectureError(
                f"{place} is no gene{did_you_mean(name, known)}; known: {', '.join(known)}"
            )


def _integer(value: object, name: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ArchitectureError(f"{name} = {value!r}; needed: an integer from {low} to {high}")


def _number(value: object, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ArchitectureError(f"{name} = {value!r}; needed: a number from {low:g} to {high:g}")
    return float(value)


def _one_of(value: object, name: str, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ArchitectureError(
            f"{name} = {value!r}{did_you_mean(str(value), [str(a) for a in allowed])}; "
            f"allowed: {', '.join(map(str, allowed))}"
        )


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)  # frozen; only for use in __post_init__
