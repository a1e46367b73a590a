"""The choice of the best weights of a training."""

import math
from collections.abc import Iterable

from vaeseq.training.checkpoints import CheckpointStore
from vaeseq.training.metrics_log import Metrics
from vaeseq.training.trainable import Trainable


class BestWeights:
    """Saves the weights of the report with the best metric.

    Args:
      checkpoints: the checkpoints of the run.
      metric: the name of the metric, of which the lowest value is the best; with a minus before the
        name, the highest.
    """

    def __init__(self, checkpoints: CheckpointStore, metric: str):
        self._checkpoints = checkpoints
        self._name, self._sign = metric.removeprefix("-"), -1 if metric.startswith("-") else 1
        self._lowest = math.inf

    def restore(self, model: Trainable, lines: Iterable[Metrics]) -> None:
        """Continues an earlier training, given the metrics of its reports.

        If its best weights are missing or damaged, the next report's weights are the best.
        """
        self._lowest = math.inf
        if self._checkpoints.best_is_valid(model):
            self._lowest = min(map(self._badness, lines), default=math.inf)

    def update(self, model: Trainable, metrics: Metrics, final: bool) -> None:
        """Saves the weights if they are the best so far.

        Args:
          model: the model.
          metrics: the metrics of a report.
          final: whether the report is made only because the training ends. A later training then
            takes it back, so the weights go to a file of their own.

        Raises:
          ValueError: if the report does not have the metric.
        """
        if self._name not in metrics:
            raise ValueError(
                f"best_metric: the report has no {self._name!r}; it has {', '.join(metrics)}"
            )
        badness = self._badness(metrics)
        if badness < self._lowest:
            self._checkpoints.save_best(model, final)
            self._lowest = badness

    def _badness(self, metrics: Metrics) -> float:
        value = metrics.get(self._name, math.nan)  # missing in a line of another program
        return math.inf if math.isnan(value) else self._sign * value
