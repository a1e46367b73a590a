"""Keras callbacks of a training in a run directory: progress, checkpoints, reports."""

import time
from collections.abc import Callable, Mapping
from typing import SupportsFloat, TypeAlias

import keras
import numpy as np
from absl import logging
from tqdm import tqdm

from vaeseq.training import curves, progress
from vaeseq.training.best_weights import BestWeights
from vaeseq.training.metrics_log import Metrics
from vaeseq.training.run import Run
from vaeseq.training.signals import raise_if_interrupted
from vaeseq.training.tensorboard import TensorBoard
from vaeseq.training.trainable import Trainable

Logs: TypeAlias = Mapping[str, SupportsFloat] | None
"""What Keras passes to callbacks: the metrics of the epoch so far, by name."""


class Interrupts(keras.callbacks.Callback):
    """Ends the training if other code has swallowed `vaeseq.training.signals.Interrupted`."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Raises it again."""
        raise_if_interrupted()


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves the model before every report, at the end, and in regular intervals between.

    Args:
      run: the run.
      is_due: returns whether there is a report on a step.
      seconds_between: the interval.
      max_share: if saving is slow, the interval grows until saving takes this share of the time.
    """

    def __init__(
        self,
        run: Run,
        is_due: Callable[[int], bool],
        seconds_between: float = 60.0,
        max_share: float = 0.01,
    ):
        super().__init__()
        self.run, self.is_due = run, is_due
        self.seconds_between, self.max_share = seconds_between, max_share

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts the interval."""
        self.saved_step = self.model.trained_steps
        self.next = time.monotonic() + self.seconds_between

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Starts the clock of the training, which does not run during reports."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Saves the model if it is time."""
        self.run.checkpoints.seconds += time.perf_counter() - self.began
        if self.is_due(self.model.trained_steps) or time.monotonic() > self.next:
            self._save()

    def on_train_end(self, logs: Logs = None) -> None:
        """Saves the model if this step is not saved yet."""
        if self.saved_step != self.model.trained_steps:
            self._save()

    def _save(self) -> None:
        start = time.monotonic()
        self.run.checkpoints.save(self.model)
        self.saved_step = self.model.trained_steps
        took = time.monotonic() - start
        self.next = start + took + max(self.seconds_between, took / self.max_share)


class Report(keras.callbacks.Callback):
    """Validates, logs, samples and plots the learning curves at regular steps.

    `vaeseq.train` saves a checkpoint before each report, so that a report which is interrupted can
    be made again.

    Args:
      run: the run.
      num_steps: the last step.
      every: the number of steps from one report to the next.
      validate: returns metrics of the held-out data, named `valid_*`.
      best_metric: the metric that selects the best weights, which every report must have: the
        lowest value wins, or the highest if its name is preceded by a minus.
      sample: returns generated samples as files by suffix, such as `{".txt": b"..."}`; it may write
        `tf.summary`s.
      enough: returns, given the metrics of a report, whether the training ends with it, for good;
        None trains to the last step.

    Example:
      >>> import vaeseq
      >>> report = vaeseq.Report(
      ...     vaeseq.Run("runs/mine", {"program": "mine", "hparams": {}}),
      ...     num_steps=1000,
      ...     every=100,
      ...     validate=lambda: {"valid_loss": 0.0},
      ...     best_metric="valid_loss",
      ...     sample=lambda: {".txt": b"a sample"},
      ... )
      >>> report.is_due(100), report.is_due(150)
      (True, False)
    """

    def __init__(
        self,
        run: Run,
        num_steps: int,
        every: int,
        validate: Callable[[], Mapping[str, SupportsFloat]],
        best_metric: str,
        sample: Callable[[], Mapping[str, bytes]],
        enough: Callable[[Metrics], bool] | None = None,
    ):
        super().__init__()
        self.run, self.num_steps, self.every = run, num_steps, every
        self.validate, self.sample, self.enough = validate, sample, enough
        self.best = BestWeights(run.checkpoints, best_metric)
        self.tensorboard = TensorBoard(run)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Continues the reports of an earlier training; makes the last one if it is missing."""
        step = self.model.trained_steps
        self.lines = self.run.metrics()
        if step < self.num_steps and not self.is_last:
            self.lines = self.run.drop_irregular_reports(self.every)
        self.best.restore(self.model, self.lines)
        self.means = _mean_values(self.model)
        if step and self.is_due(step):
            if not self.lines or self.lines[-1]["step"] < step:
                self._report(step, self.model.get_metrics_result())
            self.means = [np.zeros_like(x) for x in self.means]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Restores the means since the last report, which Keras has just reset."""
        for variable, value in zip(_mean_variables(self.model), self.means, strict=True):
            variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Makes a report if it is time."""
        step = self.model.trained_steps
        if self.is_due(step):
            self._report(step, logs or {})
            self.model.reset_metrics()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keeps the means for the next epoch."""
        self.means = _mean_values(self.model)

    def on_train_end(self, logs: Logs = None) -> None:
        """Closes TensorBoard's file."""
        self.tensorboard.close()

    @property
    def is_last(self) -> bool:
        """Whether the newest report has ended the training."""
        return self.enough is not None and bool(self.lines) and self.enough(self.lines[-1])

    def is_due(self, step: int) -> bool:
        """Returns whether there is a report on a step."""
        return self._is_regular(step) or step == self.num_steps

    def _is_regular(self, step: int) -> bool:
        return step % self.every == 0

    def _report(self, step: int, means: Mapping[str, SupportsFloat]) -> None:
        metrics = {"step": step, "seconds": round(self.run.seconds, 3)}
        metrics |= reported_means(self.model, means)
        metrics |= {name: float(x) for name, x in self.validate().items()}
        self.best.update(self.model, metrics, final=not self._is_regular(step))
        samples = self.tensorboard.write(step, metrics, self.model.weights, self.sample)
        for suffix, content in samples.items():
            self.run.write(f"samples/step-{step:09d}{suffix}", content)
        self.run.metrics_log.append(metrics)
        self.lines.append(metrics)
        picture = curves.plot_curves(self.lines)
        if picture is not None:
            self.run.write("curves.png", picture)
        logging.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        self.model.stop_training = self.is_last


def _mean_variables(model: Trainable) -> list[keras.Variable]:
    return [x for metric in model.metrics for x in metric.variables]


def _mean_values(model: Trainable) -> list[np.ndarray]:
    return [np.asarray(x.numpy()) for x in _mean_variables(model)]


def reported_means(model: Trainable, means: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Returns the metrics with at least one value since the last report, and what else is there."""
    counts = {x.name: np.asarray(x.count.numpy()) for x in model.metrics}
    names = [name for name, count in counts.items() if count]
    return {name: float(means[name]) for name in [*names, *(means.keys() - counts.keys())]}


class Progress(keras.callbacks.Callback):
    """A progress bar: the rate, the time left, and the first metric that has a value.

    That metric is the loss since the last report, or the discriminator's while it learns alone.
    """

    def __init__(self, num_steps: int):
        super().__init__()
        self.num_steps = num_steps
        self.bar: tqdm | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Starts the bar at the steps already made."""
        start = self.model.trained_steps
        self.bar = progress.bar(total=self.num_steps, initial=start, unit="step")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Advances the bar by a step."""
        assert self.bar is not None
        first = list(reported_means(self.model, logs or {}).items())[:1]  # may be empty
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in first}, refresh=False)
        self.bar.update()

    def close(self) -> None:
        """Leaves the bar on the screen, so that later messages appear below it."""
        if self.bar is not None:
            self.bar.close()
