import pytest
import typer

from spikenas.cli.options import seconds


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800)]
)
def test_a_duration_without_a_unit_is_in_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "5 minutes"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(typer.BadParameter, match="examples: 90s, 10m"):
        seconds(text)
