"""The pages: their code runs, their options and links exist, the reference is what the code says.

A block that follows a line ``Write `FILE`:`` is written to that file, one after ``Add to `FILE`:``
is added to it. All other ``bash`` and ``python`` blocks of a page run in order, in one folder.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Not always ours: scripts/test-wheel names one that has nothing but the wheel.
PYTHON = os.environ.get("SPIKENAS_PAGES_PYTHON", sys.executable)
PAGES = [
    ROOT / "README.md",
    *sorted(
        page
        for page in (ROOT / "docs").rglob("*.md")
        if page.relative_to(ROOT / "docs").parts[0] not in ("reference", "results")
    ),
]
# These install packages, start Ray for minutes or need a cluster: their files must exist.
NOT_RUN = ("scripts/bench", "scripts/demo", "scripts/test", "sbatch", "cp")
NEEDS_GPU = "single_gpu_shared"
NOT_THERE = ("run-on-slurm.md",)  # speaks of a run on a cluster
_BLOCK = re.compile(r"(?P<before>[^\n]*)\n+```(?P<language>\w+)\n(?P<code>.*?)^```", re.M | re.S)
_TARGET = re.compile(r"(?P<verb>Write|Add to) `(?P<file>[^`]+)`:$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    language: str
    code: str
    verb: str | None = None
    file: str | None = None


def _blocks(page: Path) -> list[Block]:
    found = []
    for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        target = _TARGET.search(match["before"])
        found.append(
            Block(
                language=match["language"],
                code=match["code"],
                verb=target and target["verb"],
                file=target and target["file"],
            )
        )
    return found


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _is_run(block: Block) -> bool:
    return block.verb is None and block.language in ("bash", "python")


def _lines(block: Block) -> list[str]:
    return [line for line in block.code.splitlines() if line and not line.startswith("#")]


RUNNABLE = [p for p in PAGES if p.name not in NOT_THERE and any(map(_is_run, _blocks(p)))]


def _environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SPIKENAS_")}
    return {
        **kept,
        "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _copy_of_spikenas(folder: Path) -> None:
    for name in ("spikenas", "search_spaces", "workers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.slow
@pytest.mark.timeout(900)  # a dozen commands; at a load of 9 on two cores README took 215 s
@pytest.mark.parametrize("page", RUNNABLE, ids=_name)
def test_the_code_of_a_page_runs(page, tmp_path):
    blocks = _blocks(page)
    if any(block.file and block.file.startswith("spikenas/") for block in blocks):
        _copy_of_spikenas(tmp_path)

    for block in blocks:
        if block.verb and block.file:
            with (tmp_path / block.file).open("a" if block.verb == "Add to" else "x") as file:
                file.write(block.code)
        elif _is_run(block):
            _run(block, tmp_path)


def _run(block: Block, folder: Path) -> None:
    if block.language == "python":
        commands = [[PYTHON, "-c", block.code]]
    else:
        lines = [line for line in _lines(block) if not line.startswith(NOT_RUN)]
        lines = [line for line in lines if NEEDS_GPU not in line]
        commands = [["bash", "-c", line] for line in lines]
    for command in commands:
        ended = subprocess.run(
            command,
            cwd=folder,
            env=_environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{command[-1]}\n{ended.stdout}\n{ended.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_a_page_tells_to_start_exists(page):
    words = [
        shlex.split(line, comments=True)
        for block in _blocks(page)
        if block.language == "bash"
        for line in _lines(block)
        if line.startswith(NOT_RUN)
    ]

    named = [w for line in words for w in line if w.startswith(("scripts/", "workers/"))]

    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_options_that_a_page_shows_exist(page):
    reference = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    options = {
        section.partition("\n")[0]: set(re.findall(r"--[a-z-]+", section))
        for section in reference.split("## spikenas ")[1:]
    }
    text = page.read_text(encoding="utf-8")
    code = "".join(block.code for block in _blocks(page) if block.language == "bash")

    shown = [
        *re.findall(r"^spikenas ([a-z]+)(.*)", code, re.M),
        *re.findall(r"^ {4}spikenas ([a-z]+)(.*)", text, re.M),
        *re.findall(r"`spikenas ([a-z]+)([^`]*)`", text),
    ]

    for command, rest in shown:
        assert command in options, f"spikenas {command}"
        known = {*options[command], "--help"}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"{command}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8"))

    broken = [
        link for link in links if "://" not in link and not (page.parent / link).resolve().exists()
    ]

    assert broken == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_reference_is_up_to_date():
    run = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
