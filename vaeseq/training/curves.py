"""The learning curves of a run as a picture."""

import io
import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

_COLUMNS = 4


def plot_curves(metrics: Sequence[Mapping[str, float]]) -> bytes | None:
    """Plots every metric against the step, training and validation in one diagram.

    Metrics that are always 0 are left out, such as the KL of a core without latent variables.

    Args:
      metrics: the metrics of all reports; see `MetricsLog`.

    Returns:
      A PNG file, or None if there is nothing to plot.
    """
    groups = _group(metrics)
    if not groups:
        return None
    columns = min(len(groups), _COLUMNS)
    rows = math.ceil(len(groups) / columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    steps = [line["step"] for line in metrics]
    for number, (title, names) in enumerate(groups.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        for name in names:
            label = "validation" if name.startswith("valid_") else "training"
            axes.plot(steps, [line.get(name, math.nan) for line in metrics], ".-", label=label)
        axes.set(title=title, xlabel="step")
        axes.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _group(metrics: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """Returns the names of metrics by what they measure: `loss` and `valid_loss` together."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for line in metrics for name in line):
        if name not in ("step", "seconds") and any(line.get(name) for line in metrics):
            groups.setdefault(name.removeprefix("valid_"), []).append(name)
    return groups
