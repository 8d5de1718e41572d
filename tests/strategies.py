"""Hypothesis strategies: small space files, spaces and architectures, and their brute force."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hypothesis import strategies as st

from spikenas import registry
from spikenas.architecture import Architecture
from spikenas.exceptions import ArchitectureError
from spikenas.search_space import DeadEnd, SearchSpace

Document = dict[str, Any]

_NETWORK: Document = {
    "num_steps": [1, 2, 3],
    "neuron": ["lif", "if", "plif", "stmixer_lif"],
    "tau": [1.0, 1.5, 2.0],
    "v_threshold": [0.5, 1.0],
    "residual": ["spike", "membrane", "none"],
    "stem": ["conv", "conv_side", "deformed_shortcut", "i_sps", "sps", "sps_membrane"],
    "patch_size": [1, 2, 4],
    "head": ["mean_linear", "neuron_linear", "spiking"],
    "halting": ["none", "act"],
    "halting_threshold": [0.5, 1.0, 2.0],
    "ponder_cost": [0.0, 0.01],
    "surrogate": ["atan", "sigmoid"],
}
_STAGE: Document = {
    "embed_dim": [8, 16, 24],
    "depth": [1, 2],
    "mixer": [
        "conv",
        "multi_scale",
        "none",
        "qk_channel",
        "qk_token",
        "spike_driven",
        "ssa",
        "stm",
    ],
    "num_heads": [2, 3, 4],
    "mlp_ratio": [0.0, 2.0],
    "downsampling": ["deformed_shortcut", "max_pool", "strided_conv", "sum_pool"],
    "scale": [0.125, 0.25],
    "attention_threshold": [0.5, 1.0],
    "scales": [(1, 3), (1, 3, 5), (3,)],
    "elementwise": [False, True],
    "event_pooling": [False, True],
    "early_pool": [False, True],
}
_OPTIONS = ("surrogate", *[*_STAGE][6:])
# What a file need not say: it has a default, of each component its own.
_OPTIONAL = ("halting_threshold", "ponder_cost", *_OPTIONS)
_OF_MIXERS = ["num_heads", "mlp_ratio", "attention_threshold", "scales"]
_HALTING_MIXERS = ["none", "qk_channel", "qk_token", "spike_driven", "ssa"]
_STEMS = {
    "spike": ["conv", "deformed_shortcut", "i_sps", "sps"],
    "membrane": ["conv", "conv_side", "i_sps", "sps_membrane"],
    "none": ["conv", "deformed_shortcut", "i_sps", "sps"],
}
_MAX_OPEN = 6  # genes with more than one value


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Space files as tables; some have no member."""
    is_halting = draw(st.booleans())
    num_stages = 1 if is_halting else draw(st.integers(1, 2))
    choices = {gene: [draw(st.sampled_from(values))] for gene, values in _NETWORK.items()}
    stages = [
        {gene: [draw(st.sampled_from(values))] for gene, values in _STAGE.items()}
        for _ in range(num_stages)
    ]
    choices["halting"] = ["act" if is_halting else "none"]
    if is_halting:  # else few members would
        stages[0]["mixer"] = [draw(st.sampled_from(_HALTING_MIXERS))]
    places = [(choices, gene, _NETWORK[gene]) for gene in choices]
    places += [(stage, gene, _STAGE[gene]) for stage in stages for gene in stage]
    opened = draw(st.lists(st.sampled_from(range(len(places))), max_size=_MAX_OPEN, unique=True))
    for table, gene, values in (places[i] for i in opened):
        table[gene] = draw(st.lists(st.sampled_from(values), min_size=2, max_size=3, unique=True))
    if num_stages == 2 and draw(st.booleans()):
        choices["num_stages"] = [1, 2]
    for stage in stages:
        stage["mixer_per_block"] = draw(st.booleans())
    for table in (choices, *stages):
        for gene in draw(st.sets(st.sampled_from(_OPTIONAL))):
            table.pop(gene, None)
    size = draw(st.sampled_from([4, 6, 8]))
    return {
        "input": {"channels": 1, "height": size, "width": size, "num_classes": 2},
        "choices": choices,
        "when": draw(
            _conditions(
                choices,
                ["neuron", "residual", "halting"],
                ["num_steps", "patch_size", "halting_threshold", "surrogate"],
            )
        ),
        "stages": [
            {**stage, "when": draw(_conditions(stage, ["mixer"], _OF_MIXERS))} for stage in stages
        ],
    }


@st.composite
def _conditions(
    draw: st.DrawFn, table: Mapping[str, Any], keys: list[str], genes: list[str]
) -> Document:
    if not draw(st.booleans()):
        return {}
    key, gene = draw(st.sampled_from(keys)), draw(st.sampled_from(genes))
    value = draw(st.sampled_from(table[key]))
    values = st.sampled_from((_NETWORK | _STAGE)[gene])
    return {key: {value: {gene: draw(st.lists(values, min_size=1, max_size=2, unique=True))}}}


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """Small spaces with at least one member."""
    document = draw(documents())
    try:
        return SearchSpace.from_toml(to_toml(document))
    except DeadEnd:
        return SearchSpace.from_toml(to_toml(draw(_eased(document))))


@st.composite
def _eased(draw: st.DrawFn, document: Document) -> Document:
    """Give the genes whose rules can clash values that never do."""
    residual = document["choices"]["residual"][0]
    is_halting = "act" in document["choices"]["halting"] and len(document["stages"]) == 1
    stages = [
        {
            **stage,
            "num_heads": [2],
            "mlp_ratio": [2.0],
            "downsampling": ["strided_conv"],
            "when": {},
            **({"depth": [2], "mixer": ["ssa", "spike_driven"]} if is_halting else {}),
            **({"event_pooling": [False]} if is_halting else {}),
        }
        for stage in document["stages"]
    ]
    choices = {
        **document["choices"],
        "residual": [residual],
        "stem": [draw(st.sampled_from(_STEMS[residual]))],
        "patch_size": [2],
        "tau": [2.0],
        "halting": document["choices"]["halting"] if is_halting else ["none"],
    }
    return {**document, "choices": choices, "when": {}, "stages": stages}


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Valid architectures of every component."""
    return draw(spaces()).sample(draw(st.integers(0, 2**32)))


def to_toml(document: Document) -> str:
    """Write a space file."""
    lines = ["[input]", *_pairs(document["input"]), "[choices]", *_pairs(document["choices"])]
    lines += _headed("when", document["when"])
    for stage in document["stages"]:
        own = {name: value for name, value in stage.items() if name != "when"}
        lines += ["[[stages]]", *_pairs(own), *_headed("stages.when", stage["when"])]
    return "\n".join(lines)


def members(document: Document) -> dict[str, Architecture]:
    """Build every combination of genes and keep those that hold, by key: the brute force."""
    found: dict[str, Architecture] = {}
    for chosen in _combinations(document["choices"], document["when"]):
        number = chosen.pop("num_stages", len(document["stages"]))
        stages = [[*_blocks(stage)] for stage in document["stages"][:number]]
        for combination in product(*stages):
            try:
                architecture = _architecture(document["input"], chosen, combination)
            except ArchitectureError:
                continue
            found[architecture.key] = architecture
    return found


def _architecture(
    images: Document, network: Document, stages: tuple[Document, ...]
) -> Architecture:
    image = {name: value for name, value in images.items() if name != "num_classes"}
    network = _with_options(network, [(f, network[f]) for f in ("neuron", "stem", "head")])
    genes_of_halting = {"halting_threshold": "threshold", "ponder_cost": "ponder_cost"}
    halting = {f: network.pop(gene) for gene, f in genes_of_halting.items() if gene in network}
    network["halting"] = None if network["halting"] == "none" else halting
    genes = []
    for i, stage in enumerate(stages):
        components = [("mixer", name) for name in stage["mixer"]]
        components += [("downsampling", stage["downsampling"])] if i else []
        genes.append(_with_options(stage, components))
    return Architecture.from_dict(
        {"input": image, "num_classes": images["num_classes"], **network, "stages": genes}
    )


def _with_options(chosen: Document, components: list[tuple[Any, str]]) -> Document:
    """Move the options that are read to ``options``; leave out what no table said."""
    known = {option for f, name in components for option in registry.component(f, name).options}
    said = {name: value for name, value in chosen.items() if value is not None}
    genes = {name: value for name, value in said.items() if name not in _OPTIONS}
    return {**genes, "options": {name: said[name] for name in known if name in said}}


def _blocks(stage: Document) -> Iterator[Document]:
    """Yield the combinations of one stage, with one mixer a block."""
    table = {name: v for name, v in stage.items() if name not in ("when", "mixer_per_block")}
    for depth in table["depth"]:
        mixers = (
            [*product(table["mixer"], repeat=depth)]
            if stage["mixer_per_block"]
            else [(mixer,) * depth for mixer in table["mixer"]]
        )
        yield from _combinations({**table, "depth": [depth], "mixer": mixers}, stage["when"])


def _combinations(table: Document, when: Document) -> Iterator[Document]:
    told = [
        (k, v, g, values) for k, t in when.items() for v, c in t.items() for g, values in c.items()
    ]
    table = {**{gene: [None] for _, _, gene, _ in told}, **table}
    wider = {
        gene: [*dict.fromkeys([*values, *(v for *_, g, more in told if g == gene for v in more)])]
        for gene, values in table.items()
    }
    for values in product(*wider.values()):
        chosen = dict(zip(wider, values, strict=True))
        allowed = dict(table)
        for key, value, gene, listed in told:
            is_so = value in chosen[key] if isinstance(chosen[key], tuple) else value == chosen[key]
            if is_so:
                allowed[gene] = listed
        if all(chosen[gene] in allowed[gene] for gene in chosen):
            yield chosen


def _pairs(table: Document) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in table.items()]


def _headed(header: str, when: Document) -> list[str]:
    lines = []
    for key, by_value in when.items():
        for value, choices in by_value.items():
            text = value if isinstance(value, str) else json.dumps(value)
            lines += [f"[{header}.{key}.{json.dumps(text)}]", *_pairs(choices)]
    return lines
