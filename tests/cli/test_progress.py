from io import StringIO

from spikenas.cli.progress import SearchDisplay
from spikenas.driver import Progress
from spikenas.evaluation import State


class Terminal(StringIO):
    def isatty(self):
        return True


def _progress(*, message="", best=None, lowest=None, left=None, **counts):
    return Progress(
        run="digits-1",
        trials=12,
        counts={state.value: 0 for state in State} | counts,
        best_accuracy=best,
        lowest_energy_uj=lowest,
        elapsed_s=20.0,
        remaining_s=left,
        message=message,
    )


def test_without_a_terminal_each_message_and_each_result_is_a_line(capsys):
    with SearchDisplay() as show:
        show(_progress(running=2))
        show(_progress(running=2, refused=1, message="refused abc: fan-in"))
        show(_progress(running=1, complete=1, refused=1, best=0.961, lowest=0.5, left=61.0))
        show(_progress(running=1, complete=1, refused=1, best=0.961, lowest=0.5, left=60.0))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "refused abc: fan-in"
    assert lines[1].startswith("first candidate after 0:")
    assert lines[2] == (
        "1/12: 1 done, 1 running, 1 refused, 0 failed | best 96.1 %, lowest 500 nJ | 1:01 left"
    )
    assert len(lines) == 3


def test_what_a_resumed_search_had_before_is_not_its_first_candidate(capsys):
    with SearchDisplay() as show:
        show(_progress(complete=3, best=0.9, lowest=1.0))
        show(_progress(complete=4, best=0.9, lowest=1.0, left=8.0))

    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["3/12", "4/12"]


def test_every_bad_end_counts_as_failed(capsys):
    ends = {"diverged": 1, "failed": 1, "timed_out": 1, "out_of_memory": 1, "lost": 1}

    with SearchDisplay() as show:
        show(_progress(complete=1, best=0.9, lowest=1.0, **ends))

    assert "6/12: 1 done, 0 running, 0 refused, 5 failed" in capsys.readouterr().err


def test_quiet_shows_nothing_but_remembers_the_run(capsys):
    with SearchDisplay(quiet=True) as show:
        show(_progress(message="refused abc", complete=1))

    assert show.run == "digits-1"
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_above_which_messages_stay(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")

    with SearchDisplay() as show:
        show(_progress(message="refused [abc]: fan-in", refused=1))
        show(_progress(complete=3, running=2, refused=1, best=0.97, lowest=0.4, left=42.0))

    shown = terminal.getvalue()
    assert "refused [abc]: fan-in" in shown
    assert "3 done, 2 running, 1 refused, 0 failed" in shown
    assert "0:42 left" in shown
    assert capsys.readouterr().out == ""
