from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

keras = pytest.importorskip("keras", reason="the Keras extra is not installed")

from ferstream.training.export.layer_table import draw_architecture, layer_rows, write_layer_table
from ferstream.training.export.serving import serving_model
from tests.support.bundles import tiny_network


@pytest.fixture
def forked() -> Any:
    """A network in a network, with a skip connection."""
    inside = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(2, 3, padding="same", name="inner")], name="inside")
    given = keras.Input((8, 8, 2), name="given")
    return keras.Model(given, keras.layers.Add(name="join")([inside(given), given]))


def test_layers_of_nested_networks_and_skip_connections_are_listed(forked: Any) -> None:
    rows = layer_rows(forked)
    assert [row.name for row in rows] == ["given", "inner", "join"]
    assert [row.inputs for row in rows] == [(), (0,), (1, 0)]
    assert rows[1].parameters == 2 * 2 * 9 + 2
    assert rows[1].shape == "8 x 8 x 2"


def test_the_table_is_written_and_drawn(forked: Any, tmp_path: Path) -> None:
    text = write_layer_table(forked, tmp_path / "layers.md").read_text()
    assert text.splitlines()[-1] == "3 layers, 38 parameters."
    assert draw_architecture(forked, tmp_path / "a.png").stat().st_size > 1000


def test_every_parameter_of_a_served_model_is_counted() -> None:
    served = serving_model(tiny_network(), temperature=2.0)

    rows = layer_rows(served)

    assert rows[0].kind == "InputLayer"
    assert [row for row in rows if not row.inputs] == rows[:1]
    assert sum(row.parameters for row in rows) == served.count_params()
