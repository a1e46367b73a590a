"""The fan of a forecast: a series, and the quantiles of its sampled futures, as a picture."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from vaeseq.metrics import sample_quantiles

if TYPE_CHECKING:  # whoever has axes has imported Matplotlib
    from matplotlib.axes import Axes

_OPACITY = 0.5  # of an interval of level 0; wider ones are lighter


def plot_fan(
    axes: "Axes",
    past: ArrayLike,
    samples: ArrayLike,
    *,
    future: ArrayLike | None = None,
    levels: tuple[float, ...] = (0.5, 0.9),
) -> None:
    """Plots a series, and the median and central intervals of its forecast, against the time step.

    Args:
      axes: Matplotlib's axes to draw on.
      past: the series before the forecast, [T]; NaN where it was not observed.
      samples: sampled continuations, [N, steps].
      future: what happened, [steps], if it is known.
      levels: the share of the samples in each interval, between 0 and 1.

    Raises:
      ValueError: if shapes or levels are not as expected.

    Example:
      >>> import matplotlib.pyplot as plt
      >>> import numpy as np
      >>> import vaeseq
      >>> walks = np.random.default_rng(0).normal(size=[100, 30]).cumsum(axis=1)
      >>> figure, axes = plt.subplots()
      >>> vaeseq.plot_fan(axes, walks[0, :20], walks[0, 19] + walks[1:, :10])
      >>> figure.savefig("fan.png")
    """
    past, samples = np.asarray(past, np.float64), np.asarray(samples, np.float64)
    if past.ndim != 1 or samples.ndim != 2:
        raise ValueError(
            "past must be [T] and samples [N, steps], one element of one sequence; they are "
            f"{list(past.shape)} and {list(samples.shape)}"
        )
    steps = len(past) + np.arange(samples.shape[1])
    if future is not None and np.shape(future) != steps.shape:
        raise ValueError(f"future must be {list(steps.shape)}, not {list(np.shape(future))}")
    if not all(0 < level < 1 for level in levels):
        raise ValueError(f"levels must be numbers between 0 and 1, not {levels}")
    axes.plot(np.arange(len(past)), past, ".-", color="black", markersize=3, label="observed")
    for level in sorted(levels, reverse=True):
        low, high = sample_quantiles(samples, [(1 - level) / 2, (1 + level) / 2])
        style: Any = {"color": "tab:blue", "linewidth": 0, "alpha": _OPACITY * (1 - level / 2)}
        axes.fill_between(steps, low, high, **style, label=f"{level:.0%}")
    axes.plot(steps, sample_quantiles(samples, 0.5), color="tab:blue", label="median")
    if future is not None:
        axes.plot(steps, np.asarray(future), ".", color="black", markersize=3)
    axes.set(xlabel="time step")
    above: Any = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
    axes.legend(**above, ncols=2 + len(levels), frameon=False, fontsize="small")
