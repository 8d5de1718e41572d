"""Write ``docs/reference/`` from the code, or with ``--check`` say whether it is up to date.

CLI from the typer application, TOML keys from the pydantic models that read the files, JSON
schemas from the dataclasses of `spikenas.cli.documents`.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter
from typer.main import get_command

from spikenas import registry
from spikenas.architecture import Architecture, Halting, InputSpec, Stage
from spikenas.cli import app, documents
from spikenas.hardware import ChipProfile
from spikenas.hardware.energy.chip_events import ChipFigures
from spikenas.search_space import genes
from spikenas.training import Recipe
from spikenas.worker_profile import WorkerProfile

REFERENCE = Path(__file__).parent / "reference"
DOCUMENTS = {
    "search": documents.SearchEnd,
    "resume": documents.SearchEnd,
    "runs": documents.Runs,
    "status": documents.Status,
    "verify": documents.Verify,
    "pareto": documents.Pareto,
    "show": documents.Show,
    "check": documents.Check,
    "energy": documents.Energy,
    "spaces": documents.Spaces,
    "chips": documents.Chips,
    "published": documents.Published,
    "doctor": documents.Doctor,
}
GENES = {
    "num_stages": "how many of the `[[stages]]` are used, from 1 to 4",
    "num_steps": "T, the time steps, from 1 to 64",
    "neuron": "see below",
    "tau": "membrane time constant in steps, from 1; read by neurons that leak; above 1 for `plif`",
    "v_threshold": "membrane at which a neuron fires, above 0",
    "residual": "`spike` adds after the neuron, `membrane` before it, `none` not at all",
    "stem": "see below",
    "patch_size": "what the stem divides height and width by: 1, 2, 4, 8 or 16",
    "head": "see below",
    "halting": "see below; whether tokens stop before the last block",
    "halting_threshold": "summed score at which a token halts, above 0; read by `act`",
    "ponder_cost": "weight of the blocks that tokens pass in the loss of training, from 0; "
    "read by `act`",
    "embed_dim": "D, the width of the stage",
    "depth": "blocks of the stage",
    "mixer": "see below; one for all blocks, or one a block with `mixer_per_block = true`",
    "num_heads": "heads of the mixers that read it; must divide `embed_dim`",
    "mlp_ratio": "hidden width of the MLP over `embed_dim`; 0 leaves it out",
    "downsampling": "what halves the map before the stage; see below; not in the first stage",
}
JSON_GENES = {  # where JSON has another form than the TOML of a space
    "input": "a table, see below",
    "num_classes": "classes, from 2",
    "stages": "a list of one to four tables, see below",
    "halting": 'a table, as `{"threshold": 1.0, "ponder_cost": 0.01}`, where tokens may stop '
    "before the last block (`act`)",
    "options": "a table of what the stem, the neuron and the head have as options",
    "input.channels": "C, of an image or of a frame of events",
    "input.height": "H, in pixels",
    "input.width": "W, in pixels",
    "input.kind": "`frames` or `events`",
    "halting.threshold": "summed score at which a token halts, above 0",
    "halting.ponder_cost": "weight of the blocks that tokens pass in the loss of training, from 0",
    "stages[i].mixer": "one name for all blocks, or a list of one a block",
    "stages[i].num_heads": "heads, where a mixer reads them, and required there",
    "stages[i].downsampling": "what halves the map before the stage; required but in the first",
    "stages[i].options": "a table of what the mixers and the downsampling have as options",
}
GENERATED = "<!-- Written by scripts/docs; change the code, not this page. -->"


def main() -> int:
    """Write the pages that differ; with ``--check`` name them and return 1."""
    stale = []
    for path, text in pages():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(path.relative_to(REFERENCE.parents[1]))
            if "--check" not in sys.argv:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    verb = "out of date, run scripts/docs" if "--check" in sys.argv else "written"
    for path in stale:
        sys.stderr.write(f"{path}: {verb}\n")
    return int(bool(stale) and "--check" in sys.argv)


def pages() -> Iterator[tuple[Path, str]]:
    """Return every generated file with its text."""
    yield REFERENCE / "cli.md", _cli()
    yield REFERENCE / "toml.md", _toml()
    yield REFERENCE / "json.md", _json_index()
    for name, schema in schemas().items():
        yield REFERENCE / "json" / f"{name}.schema.json", json.dumps(schema, indent=2) + "\n"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of what each command prints with ``--json``."""
    found = {}
    for name, kind in DOCUMENTS.items():
        schema = TypeAdapter(kind).json_schema(mode="serialization")
        for part in (schema, *schema.get("$defs", {}).values()):
            part["required"] = list(part["properties"])  # a default is printed as well
        found[name] = schema
    return found


def _cli() -> str:
    group: Any = get_command(app)
    parts = [
        "# Command line",
        GENERATED,
        cleandoc(group.help),
        "`--debug` adds the traceback to an error, `--version` prints the version.",
        _table(
            ("exit code", "meaning"),
            [
                ("0", "done"),
                ("1", "internal error"),
                ("2", "wrong usage, file or data"),
                ("3", "no such run or candidate"),
                ("4", "database or machine: unavailable, of another version, full, not permitted"),
                ("5", "damaged artefact"),
                ("6", "budget ended without one successful candidate"),
                ("7", "does not fit the chip, or the format cannot express it"),
                ("130", "Ctrl-C; the state is saved"),
                ("143", "SIGTERM; the state is saved"),
            ],
        ),
    ]
    for name, command in group.commands.items():
        parts += [f"## spikenas {name}", cleandoc(command.help), _options(command)]
    return "\n\n".join(parts) + "\n"


def _options(command: Any) -> str:
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_argument = not parameter.opts[0].startswith("-")
        given = ", ".join(parameter.opts)
        written = parameter.metavar if is_argument else f"{given} {parameter.metavar or ''}"
        default = "required" if parameter.required else parameter.default
        if isinstance(parameter.show_default, str):
            default = parameter.show_default
        elif default is None or default is False:
            default = ""
        rows.append((f"`{written.strip()}`", parameter.help, str(default)))
    return _table(("argument or option", "meaning", "default"), rows)


def _toml() -> str:
    parts = ["# TOML files", GENERATED, *_space(), *_recipe(), *_workers(), *_chip()]
    return "\n\n".join([*parts, *_chip_energy()]) + "\n"


def _space() -> Iterator[str]:
    yield "## Search space"
    yield "For `--space FILE.toml`. A value or a list of values stands for each gene."
    yield _table(
        ("table", "holds"),
        [
            ("`[space]`", "`description`; `plugins`, modules with further components"),
            ("`[input]`", "`channels`, `height`, `width`, `kind`, `num_classes`; else the data's"),
            ("`[choices]`", "genes of the whole network"),
            ('`[when.KEY."VALUE"]`', "genes that exist only where KEY is VALUE, as JSON text"),
            ("`[[stages]]`", "genes of one stage; `mixer_per_block`"),
            ('`[stages.when.KEY."VALUE"]`', "the same within the stage"),
        ],
    )
    for level, where in (("network", "[choices]"), ("stage", "[[stages]]")):
        yield f"### Genes of `{where}`"
        yield _table(
            ("gene", "meaning", "default"),
            [
                (f"`{gene}`", GENES[gene], str(genes.DEFAULTS.get(gene, "required")))
                for gene in genes.GENES[level]
            ],
        )
    yield "### Components"
    yield (
        "An option is a gene as well, of the network or of the stage where its component stands.\n"
        "A list is one value: `scales = [[1, 3], [1, 3, 5]]` lists two."
    )
    yield _table(
        ("gene", "value", "genes that it reads", "options with defaults", "source"),
        [
            (f"`{family}`", f"`{name}`", *_component(registry.component(family, name)))
            for family in get_args(registry.Family)
            for name in registry.names(family)
        ],
    )


def _component(component: registry.Component) -> tuple[str, str, str]:
    options = (f"`{name} = {json.dumps(value)}`" for name, value in component.options.items())
    read = (f"`{gene}`" for gene in component.genes)
    return ", ".join(read), ", ".join(options), component.source


def _recipe() -> Iterator[str]:
    yield "## Recipe"
    yield "For `--recipe FILE.toml`."
    yield from _models(Recipe)


def _workers() -> Iterator[str]:
    yield "## Worker profile"
    yield "For `--workers FILE.toml`."
    yield from _models(WorkerProfile)


def _chip() -> Iterator[str]:
    yield "## Chip profile"
    yield "For `--chip FILE.toml`."
    yield from _models(ChipProfile)


def _chip_energy() -> Iterator[str]:
    yield "## Energy of a chip"
    yield (
        "For `spikenas energy --model FILE.toml` and `spikenas search --energy-model FILE.toml`; "
        "see [energy](../explanation/energy.md)."
    )
    yield from _models(ChipFigures)


def _models(model: type) -> Iterator[str]:
    schema = TypeAdapter(model).json_schema()
    yield _keys(schema)
    for name, part in schema.get("$defs", {}).items():
        if "properties" in part:
            yield f"### {name}"
            yield part.get("description", "").partition("\n\nAttributes:")[0]
            yield _keys(part)


def _keys(schema: dict[str, Any]) -> str:
    meanings = _attributes(schema.get("description", ""))
    required = schema.get("required", ())
    return _table(
        ("key", "type", "default", "meaning"),
        [
            (
                f"`{key}`",
                _type(field),
                "required" if key in required else json.dumps(field.get("default", {})),
                meanings.get(key, ""),
            )
            for key, field in schema["properties"].items()
        ],
    )


def _type(field: dict[str, Any]) -> str:
    """Return a schema's type in words."""
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(_type(option) for option in options)
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    entries = next(iter(field.get("patternProperties", {}).values()), None)
    entries = entries or field.get("additionalProperties")
    return f"table of {_type(entries)}" if isinstance(entries, dict) else field.get("type", "any")


def _attributes(docstring: str) -> dict[str, str]:
    """Return the ``Attributes:`` of a Google docstring by name."""
    _, _, section = docstring.partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.replace("``", "`").split()) for name, text in entries}


def _json_index() -> str:
    rows = [
        (f"`spikenas {name} --json`", f"[{name}.schema.json](json/{name}.schema.json)", _summary(k))
        for name, k in DOCUMENTS.items()
    ]
    return (
        "\n\n".join(
            [
                "# JSON documents",
                GENERATED,
                "One document on stdout, `schema_version` first.\nA key is never renamed or "
                "dropped while `schema_version` stays; new keys may join.",
                _table(("command", "schema", "document"), rows),
                *_architecture(),
            ]
        )
        + "\n"
    )


def _architecture() -> Iterator[str]:
    yield "## architecture.json"
    yield (
        "What an export folder holds, `architecture` in the documents above, and what ARCH takes "
        "as a file.\nA component's own settings are in `options`."
    )
    for kind, where in (
        (Architecture, ""),
        (InputSpec, "input."),
        (Halting, "halting."),
        (Stage, "stages[i]."),
    ):
        yield _table(
            ("key", "meaning", "default"),
            [
                (
                    f"`{where}{field.name}`",
                    JSON_GENES.get(where + field.name)
                    or GENES[field.name].replace(
                        "see below", "see [components](toml.md#components)"
                    ),
                    "required" if field.default is MISSING else _absent(field.default),
                )
                for field in fields(kind)
            ],
        )


def _absent(default: object) -> str:
    """Say what stands where a key does not."""
    return "none" if default in (None, ()) else json.dumps(default)


def _summary(kind: type) -> str:
    text = cleandoc(kind.__doc__ or "").partition("\n")[0]
    return text.replace("``", "`")


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |"
        for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
