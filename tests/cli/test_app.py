import re
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
