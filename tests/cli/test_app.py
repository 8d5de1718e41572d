import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from spikenas import exceptions
from spikenas.cli import app, output

COMMANDS = get_command(app).commands
REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
ISSUED = (
    *(
        "search",
        "resume",
        "runs",
        "status",
        "pareto",
        "show",
        "check",
        "energy",
        "export",
        "import",
    ),
    *("spaces", "chips", "published", "doctor", "verify"),
)


def test_every_promised_command_is_there():
    assert sorted(COMMANDS) == sorted(ISSUED)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_help(name):
    command = COMMANDS[name]

    assert len(command.help.splitlines()[0]) <= 65  # or the overview cuts it short
    assert all(parameter.help for parameter in command.params if parameter.name != "help")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_every_option_has_a_place_in_the_docs(name):
    page = REFERENCE.read_text()

    section = page.partition(f"## spikenas {name}\n")[2].partition("\n## ")[0]

    for parameter in COMMANDS[name].params:
        if parameter.name != "help" and parameter.opts[0].startswith("--"):
            assert parameter.opts[0] in section


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.UsageError("x"), 2),
        (exceptions.UnknownNameError("chip", "x", ["y"]), 2),
        (exceptions.SpecError("x"), 2),
        (exceptions.DataError("x"), 2),
        (exceptions.ClusterError("x"), 2),
        (exceptions.NotFoundError("x"), 3),
        (exceptions.StoreError("x"), 4),
        (exceptions.LeaseError("x"), 4),
        (exceptions.ArtefactError("x"), 5),
        (exceptions.BudgetError("x"), 6),
        (exceptions.InfeasibleError("x"), 7),
        (RuntimeError("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(spikenas, broken_command, error, code):
    ended = spikenas(broken_command(error))

    assert ended.code == code
    assert "Traceback" not in ended.err
    assert ended.out == ""


@pytest.mark.parametrize("arguments", [["--debug", "broken"], ["broken", "--debug"]])
def test_debug_adds_the_traceback_wherever_it_stands(spikenas, broken_command, arguments):
    broken_command(RuntimeError("boom"))

    ended = spikenas(*arguments)

    assert ended.code == 1
    assert "Traceback" in ended.err


def test_an_internal_error_is_one_sentence_that_says_how_to_see_more(spikenas, broken_command):
    ended = spikenas(broken_command(KeyError("boom")))

    assert len(ended.err.splitlines()) == 1
    assert "--debug" in ended.err


def test_ctrl_c_ends_any_command_with_130(spikenas, broken_command):
    assert spikenas(broken_command(KeyboardInterrupt())).code == 130


def test_an_unknown_command_is_wrong_usage(spikenas):
    ended = spikenas("parto")

    assert ended.code == 2
    assert "pareto" in ended.err


def test_the_version_is_printed(spikenas):
    ended = spikenas("--version")

    assert ended.code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", ended.out)


@pytest.mark.parametrize("password", ["geheim", "s3cr{et%40", "a:b@c", "p%2Fq", "p/q"])
def test_a_password_is_warned_of_and_never_shown(spikenas, password):
    url = f"postgresql://user:{password}@127.0.0.1:1/runs"

    ended = spikenas("runs", "--debug", "--store", url)

    assert ended.code == 4
    assert "SPIKENAS_STORE" in ended.err
    assert password not in ended.out + ended.err


def test_a_url_of_sqlite_with_a_host_or_user_is_wrong_usage(spikenas):
    ended = spikenas("runs", "--store", "sqlite://user:geheim@/runs.db")

    assert ended.code == 2
    assert "geheim" not in ended.err


def test_a_password_among_the_parameters_of_a_url_is_masked():
    url = "postgresql://user@host/runs?password=geheim&sslmode=require"

    assert output.redacted(url) == "postgresql://user@host/runs?password=***&sslmode=require"


def test_a_url_without_password_is_shown_as_it_is():
    url = "postgresql://user@host:5432/runs and sqlite:////home/a@b/runs.db"

    assert output.redacted(url) == url


@pytest.fixture
def broken_command():
    """Add a command that raises the error; return its name."""
    known = list(app.registered_commands)

    def add(error):
        def broken():
            """Break."""
            raise error

        app.command("broken")(broken)
        return "broken"

    yield add
    app.registered_commands[:] = known


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/x"), 4, "/x: Permission denied; give"),
        (OSError(28, "No space left on device"), 4, "No space left on device; make room"),
        (OSError(30, "Read-only file system", "/x"), 4, "/x: Read-only file system; name"),
        (OSError(36, "File name too long", "x"), 2, "File name too long; use a shorter name"),
    ],
)
def test_a_fault_of_the_system_is_said_with_its_cure(spikenas, broken_command, error, code, said):
    ended = spikenas(broken_command(error))

    assert ended.code == code
    assert said in ended.err
    assert "internal" not in ended.err


@pytest.mark.parametrize("command", ["chips --json", "spaces", "--version"])
@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">&-", 4, "error: stdout is closed"),
        ("2>&-", 0, ""),
        ("> /dev/full", 4, "No space left on device"),
        ("| true", 141, ""),
    ],
)
def test_a_stream_that_is_gone_is_no_internal_error(command, redirection, code, said):
    program = f"sleep 0.2; {sys.executable} -m spikenas {command}"  # after `true` has ended
    line = f"set -o pipefail; ({program}) {redirection}"

    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert ended.returncode == code
    assert said in ended.stderr
    assert not re.search("internal error|Traceback|Exception ignored", ended.stderr)


def test_a_name_that_is_not_utf8_is_printed_in_escapes():
    command = [sys.executable, "-m", "spikenas", "show", b"caf\xe9.json"]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert r"caf\udce9.json: no such file" in ended.stderr


@pytest.mark.parametrize("name", ["torch", "random", "json", "numpy"])
def test_a_file_of_the_working_folder_is_not_taken_for_a_library(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit(99)")
    command = [sys.executable, "-m", "spikenas", "show", "stmixer-4-384-cifar10"]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr


def test_a_working_folder_that_is_gone_is_said(tmp_path, monkeypatch, spikenas):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    ended = spikenas("spaces")

    assert ended.code == 2
    assert "the current folder no longer exists" in ended.err
