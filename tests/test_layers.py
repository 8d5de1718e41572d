"""The rules of the layout, as tests."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages

import pytest

import spikenas

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "ray", "optuna", "sqlalchemy", "matplotlib", "plotly", "numpy")


def _modules() -> list[str]:
    return [module.name for module in walk_packages(spikenas.__path__, "spikenas.")]


def _loaded_by(code: str) -> set[str]:
    report = "import sys; print('\\n'.join(sys.modules), file=sys.stderr)"
    program = f"import atexit\natexit.register(lambda: exec({report!r}))\n{code}"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    return {name.partition(".")[0] for name in run.stderr.split()}


def test_no_module_imports_upwards_or_sideways():
    run = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr


def test_the_page_on_layers_names_the_door_of_every_library_that_has_one():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    [doors] = [c for c in contracts["contracts"] if c["name"].startswith("One door each")]
    page = (ROOT / "docs" / "explanation" / "why-the-layers.md").read_text()
    rows = page.partition("| library | only in |\n|---|---|\n")[2].partition("\n\n")[0]

    named = [name for row in rows.splitlines() for name in row.split("|")[1].strip().split(", ")]

    assert sorted(named) == sorted(doors["forbidden_modules"])


@pytest.mark.parametrize("folder", ["search_spaces", "workers"])
def test_declarative_folders_hold_no_python(folder):
    assert (ROOT / folder).is_dir()

    assert not list((ROOT / folder).rglob("*.py"))


def test_importing_spikenas_imports_nothing_heavy():
    loaded = _loaded_by("import spikenas; spikenas.__all__")

    assert "spikenas" in loaded
    assert not loaded.intersection([*HEAVY, "typer", "rich", "pydantic"])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["pareto", "--help"], ["search", "--help"], ["import", "--help"]]
)
def test_help_imports_nothing_heavy(arguments):
    loaded = _loaded_by(f"from spikenas.cli import main; main({arguments!r})")

    assert "typer" in loaded
    assert not loaded.intersection(HEAVY)


def test_saying_which_data_is_meant_imports_neither_torch_nor_a_data_set():
    without_the_package = (
        "import sys, types, spikenas\n"
        "package = sys.modules['spikenas.data'] = types.ModuleType('spikenas.data')\n"
        "package.__path__ = [spikenas.__path__[0] + '/data']\n"
    )

    loaded = _loaded_by(f"{without_the_package}from spikenas.data.spec import NAMES")

    assert "numpy" in loaded
    assert not loaded.intersection(["torch", "torchvision", "tonic", "sklearn"])


def test_reading_a_front_imports_neither_torch_nor_ray(tmp_path):
    url = f"sqlite:///{tmp_path}/empty.db"

    loaded = _loaded_by(
        f"from spikenas.store import Store; Store.open({url!r}).close()\n"
        f"from spikenas.cli import main; main(['pareto', '--store', {url!r}])"
    )

    assert "sqlalchemy" in loaded
    assert not loaded.intersection(["torch", "ray", "optuna"])


def test_the_public_names_are_sorted_and_importable():
    assert spikenas.__all__ == sorted(spikenas.__all__)

    values = [getattr(spikenas, name) for name in spikenas.__all__]

    assert all(callable(value) for value in values)


def test_no_submodule_takes_the_place_of_a_public_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in _modules():
        if name.startswith("spikenas.store.migrations"):  # these only alembic can import
            continue
        if name == "spikenas.nn.kernels.multi_step_gpu" and find_spec("triton") is None:
            continue
        import_module(name)

    for _ in range(2):  # importing spikenas.search would turn the function into a module
        for call in (spikenas.search, spikenas.resume, spikenas.load, spikenas.published):
            with pytest.raises(spikenas.SpikeNASError):
                call("nothing.toml")
        with pytest.raises(spikenas.SpikeNASError):
            spikenas.import_official("sdt", {}, num_steps=1, image_size=32)
        assert spikenas.build_network(spikenas.published("spikformer-4-256-cifar10"))


def test_the_public_functions_bear_no_name_of_a_submodule():
    top = {name.removeprefix("spikenas.") for name in _modules() if name.count(".") == 1}

    assert not top.intersection(spikenas.__all__)


def test_no_file_is_longer_than_four_hundred_lines():
    long = {
        path.name: lines
        for path in (ROOT / "spikenas").rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }

    assert not long


def test_every_module_says_what_it_holds():
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "spikenas").rglob("*.py")
        if not re.match(r'(#!.*\n)?r?"""\S', path.read_text())
    ]

    assert not silent
