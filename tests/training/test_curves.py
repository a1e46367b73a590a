import math

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

from vaeseq.training.curves import plot_curves

LINES = [
    {"step": 1, "seconds": 0.5, "loss": 3.0, "valid_loss": 4.0, "kl": 0.0},
    {"step": 2, "seconds": 1.0, "discriminator_loss": 1.0, "valid_loss": math.nan, "kl": 0.0},
    {"step": 4, "seconds": 2.0, "loss": 1.0, "valid_loss": 2.0, "kl": 0.0},
]


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, in place of their picture."""
    found = []
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **_: found.append(self))
    return found


def test_the_curves_are_a_png_file(tmp_path):
    path = tmp_path / "curves.png"
    path.write_bytes(plot_curves(LINES))
    assert path.read_bytes().startswith(b"\x89PNG") and pyplot.imread(path).std() > 0.01


def test_training_and_validation_share_a_diagram_and_metrics_that_are_always_0_have_none(figures):
    plot_curves(LINES)
    (figure,) = figures
    loss, discriminator = figure.axes
    assert (loss.get_title(), discriminator.get_title()) == ("loss", "discriminator_loss")
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    training, validation = loss.lines
    np.testing.assert_array_equal(training.get_data(), [[1, 2, 4], [3, math.nan, 1]])
    np.testing.assert_array_equal(validation.get_data(), [[1, 2, 4], [4, math.nan, 2]])


def test_there_is_no_picture_if_there_is_nothing_to_plot():
    assert plot_curves([]) is None
    assert plot_curves([{"step": 1, "seconds": 0.5, "kl": 0.0}]) is None
