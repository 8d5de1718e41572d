"""Fronts as folders, from a search of two networks of which NIR can express one."""

import pytest

from spikenas.store import Store

TWO_MEMBERS = """
[choices]
num_steps = [1, 8]
neuron = "if"
residual = "none"
stem = "conv"
patch_size = 2

[[stages]]
embed_dim = 16
depth = 1
mlp_ratio = 1
num_heads = 2

[stages.when.num_steps."1"]
mixer = "conv"

[stages.when.num_steps."8"]
mixer = "ssa"
"""


def test_front_members_that_a_format_can_express_are_written_beside_others(spikenas, tmp_path):
    pytest.importorskip("nir", reason="needs the extra nir")
    (tmp_path / "two.toml").write_text(TWO_MEMBERS)
    store = f"sqlite:///{tmp_path}/runs.db"
    searched = spikenas(
        *("search", "--space", tmp_path / "two.toml", "--data", "digits", "--workers", "inline"),
        *("--epochs", 1, "--trials", 2, "--store", store),
        *("--objectives", "parameters,energy_uj", "--name", "two"),
    )
    assert searched.code == 0, searched.err
    with Store.open(store) as opened:
        conv, ssa = sorted(opened.run("two").pareto_front(), key=lambda c: c.latency_steps)

    ended = spikenas(
        *("export", "two", "--front", "--to", tmp_path / "x", "--store", store, "--format", "nir")
    )

    assert ended.code == 7
    assert ended.out == f"{tmp_path / 'x' / conv.id}\n"
    assert (tmp_path / "x" / conv.id / "model.nir").is_file()
    assert [path.name for path in (tmp_path / "x").iterdir()] == [conv.id]
    assert f"not written: {ssa.id}: " in ended.err
    assert "similarity" in ended.err
    assert "1 of 2 members of the front were not written" in ended.err
