import os
import subprocess
import sys
from contextlib import closing
from itertools import combinations
from sqlite3 import connect
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from spikenas.exceptions import SpikeNASError
from spikenas.figures import FIGURES
from spikenas.report import plots
from spikenas.report.plots import plot_front
from spikenas.store import Store


def test_a_front_is_drawn_as_png(stored, tmp_path):
    with Store.open(stored) as store:
        path = plot_front(store.run(), tmp_path / "new" / "front.png")

    pixels = imread(path)
    assert pixels.shape[0] > 500
    assert pixels.std() > 0.01  # something was drawn


def test_a_front_as_html_shows_genes_and_needs_no_network(stored, tmp_path):
    with Store.open(stored) as store:
        path = plot_front(store.run(), tmp_path / "front.html")

    page = path.read_text()
    assert "T4 lif spike sps" in page
    assert "2 candidates were refused" in page
    assert "<script src" not in page


def test_the_name_of_a_run_is_text_and_never_markup(stored, tmp_path):
    name = "</script><script>document.title='P'</script>"
    with Store.open(stored) as store:
        run = store.run()
        run.name = name

        path = plot_front(run, tmp_path / "front.html")

    assert name not in path.read_text()
    assert "<script>document.title" not in path.read_text()


def test_no_label_of_a_crowded_front_covers_another_or_is_cut_off(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, _: figures.append(figure))
    places = [(0.90, 1.0), (0.9001, 1.001), (0.9002, 1.002), (0.9003, 1.003), (0.95, 1.9)]
    front = [
        SimpleNamespace(id=f"{number:012}", accuracy=accuracy, energy_uj=energy_uj)
        for number, (accuracy, energy_uj) in enumerate(places)
    ]
    picture = plots._Picture(
        title="crowd",
        caption="",
        x=FIGURES["energy_uj"],
        y=FIGURES["accuracy"],
        others=[],
        front=front,
    )

    plots._draw_png(picture, tmp_path / "front.png")

    axes = figures[0].axes[0]
    boxes = [label.get_window_extent() for label in axes.texts]
    assert 3 <= len(boxes) < len(front)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(axes.bbox.contains(x, y) for box in boxes for x, y in box.corners())


@pytest.mark.parametrize("objectives", [["parameters", "energy_uj"], ["energy_uj", "accuracy"]])
def test_any_two_objectives_make_a_plot(stored, tmp_path, objectives):
    with Store.open(stored) as store:
        path = plot_front(store.run(), tmp_path / "front.png", objectives=objectives)

    assert path.is_file()


def test_a_candidate_that_is_older_than_an_objective_is_not_drawn(stored, tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    path = tmp_path / "runs.db"
    with closing(connect(stored.removeprefix("sqlite:///"))) as old, closing(connect(path)) as new:
        old.backup(new)
        new.execute("UPDATE evaluations SET macs = NULL WHERE number = 5")
        new.commit()

    with Store.open(url) as store:
        page = plot_front(store.run(), tmp_path / "front.html", objectives=["accuracy", "macs"])

        old = store.run().candidates()[5]
    assert old.macs is None
    assert old.id not in page.read_text()


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("front.pdf", {}, "ending in .png or .html"),
        ("front.png", {"objectives": ["accuracy"]}, "needs two objectives"),
        ("front.png", {"where": "accuracy > 0.99"}, "no trained candidate"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(stored, tmp_path, name, options, complaint):
    with Store.open(stored) as store, pytest.raises(SpikeNASError, match=complaint):
        plot_front(store.run(), tmp_path / name, **options)


def test_the_backend_of_a_notebook_does_not_matter(stored, tmp_path):
    script = (
        "import sys\n"
        "from spikenas.report.plots import plot_front\n"
        "from spikenas.store import Store\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    plot_front(store.run(), sys.argv[2])\n"
    )
    path = tmp_path / "front.png"
    environment = {**os.environ, "MPLBACKEND": "module://no_such.backend_inline"}

    command = [sys.executable, "-c", script, str(stored), str(path)]
    subprocess.run(command, env=environment, check=True)

    assert imread(path).std() > 0.01  # something was drawn
