"""Hypothesis strategies: small space files, spaces and architectures, and their brute force."""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hypothesis import strategies as st

from spikenas.architecture import Architecture
from spikenas.exceptions import ArchitectureError
from spikenas.search_space import DeadEnd, SearchSpace

Document = dict[str, Any]

_NETWORK = {
    "num_steps": [1, 2, 3],
    "neuron": ["lif", "if", "stmixer_lif"],
    "tau": [1.5, 2.0],
    "v_threshold": [0.5, 1.0],
    "residual": ["spike", "membrane", "none"],
    "stem": ["sps", "conv", "conv_side"],
    "patch_size": [1, 2, 4],
    "head": ["mean_linear", "spiking"],
}
_STAGE = {
    "embed_dim": [8, 16, 24],
    "depth": [1, 2],
    "mixer": ["ssa", "conv", "none", "stm", "qk_token"],
    "num_heads": [2, 3, 4],
    "mlp_ratio": [0.0, 2.0],
    "downsampling": ["max_pool", "sum_pool", "strided_conv"],
    "scale": [0.125, 0.25],
}
_MAX_OPEN = 6  # genes with more than one value


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Space files as tables; some have no member."""
    num_stages = draw(st.integers(1, 2))
    choices = {gene: [draw(st.sampled_from(values))] for gene, values in _NETWORK.items()}
    stages = [
        {gene: [draw(st.sampled_from(values))] for gene, values in _STAGE.items()}
        for _ in range(num_stages)
    ]
    places = [(choices, gene, _NETWORK[gene]) for gene in choices]
    places += [(stage, gene, _STAGE[gene]) for stage in stages for gene in stage]
    opened = draw(st.lists(st.sampled_from(range(len(places))), max_size=_MAX_OPEN, unique=True))
    for table, gene, values in (places[i] for i in opened):
        table[gene] = draw(st.lists(st.sampled_from(values), min_size=2, max_size=3, unique=True))
    if num_stages == 2 and draw(st.booleans()):
        choices["num_stages"] = [1, 2]
    for stage in stages:
        stage["mixer_per_block"] = draw(st.booleans())
    size = draw(st.sampled_from([4, 6, 8]))
    return {
        "input": {"channels": 1, "height": size, "width": size, "num_classes": 2},
        "choices": choices,
        "when": draw(_conditions(choices, ["neuron", "residual"], ["num_steps", "patch_size"])),
        "stages": [
            {**stage, "when": draw(_conditions(stage, ["mixer"], ["num_heads", "mlp_ratio"]))}
            for stage in stages
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
        return SearchSpace.from_toml(to_toml(_eased(document)))


def _eased(document: Document) -> Document:
    """Give the genes whose rules can clash values that never do."""
    stages = [
        {**stage, "num_heads": [2], "mlp_ratio": [2.0], "when": {}} for stage in document["stages"]
    ]
    choices = {**document["choices"], "stem": ["conv"], "patch_size": [1]}
    return {**document, "choices": choices, "when": {}, "stages": stages}


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    """Valid architectures of every operator."""
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
    genes = []
    for stage in stages:
        scale = stage["scale"] if "ssa" in stage["mixer"] else None
        own = {name: value for name, value in stage.items() if name != "scale"}
        genes.append({**own, "options": {} if scale is None else {"scale": scale}})
    return Architecture.from_dict(
        {"input": image, "num_classes": images["num_classes"], **network, "stages": genes}
    )


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
