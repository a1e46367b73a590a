"""The picture of a forecast."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import vaeseq


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.fixture
def samples():
    return np.arange(1.0, 100.0)[:, None] + [0.0, 1000.0, 2000.0]  # [N, steps]


def test_the_fan_shows_the_past_the_median_and_the_intervals(axes, samples):
    vaeseq.plot_fan(axes, [1.0, np.nan, 3.0, 4.0], samples, levels=(0.9, 0.5))
    past, median = axes.lines
    np.testing.assert_array_equal(past.get_xdata(), [0, 1, 2, 3])
    np.testing.assert_array_equal(median.get_xdata(), [4, 5, 6])
    np.testing.assert_allclose(median.get_ydata(), [50, 1050, 2050])
    wide, narrow = (band.get_paths()[0].get_extents() for band in axes.collections)
    np.testing.assert_allclose([wide.ymin, wide.ymax], [5, 2095])
    np.testing.assert_allclose([narrow.ymin, narrow.ymax], [25, 2075])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["observed", "90%", "50%", "median"]


def test_what_happened_is_drawn_where_it_is_known(axes, samples):
    vaeseq.plot_fan(axes, [1.0], samples, future=[7, 8, 9])
    np.testing.assert_array_equal(axes.lines[-1].get_xydata(), [[1, 7], [2, 8], [3, 9]])


def test_shapes_and_levels_that_do_not_fit_are_refused(axes, samples):
    with pytest.raises(ValueError, match=r"they are \[1, 1\] and \[99, 3\]"):
        vaeseq.plot_fan(axes, [[1.0]], samples)
    with pytest.raises(ValueError, match=r"they are \[1\] and \[3\]"):
        vaeseq.plot_fan(axes, [1.0], samples[0])
    with pytest.raises(ValueError, match=r"future must be \[3\], not \[2\]"):
        vaeseq.plot_fan(axes, [1.0], samples, future=[1, 2])
    with pytest.raises(ValueError, match="levels must be numbers between 0 and 1"):
        vaeseq.plot_fan(axes, [1.0], samples, levels=(0.5, 1.0))
