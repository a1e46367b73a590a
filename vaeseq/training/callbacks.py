"""What happens while Keras's `fit` trains in a run directory: progress, checkpoints, reports."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from matplotlib.figure import Figure
from tqdm import tqdm

from vaeseq.errors import Stopped
from vaeseq.hparams import HParams
from vaeseq.training import files
from vaeseq.training.run import Run
from vaeseq.training.signals import raise_if_interrupted

_SECONDS_BETWEEN_SAVES = 60.0
_MOST_OF_TIME = 0.01  # that saving may take
_CURVES_IN_A_ROW = 4


class Interrupts(keras.callbacks.Callback):
    """Ends the training where other code has swallowed `vaeseq.training.signals.Interrupted`."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Raises it again."""
        raise_if_interrupted()


class Checkpoints(keras.callbacks.Callback):
    """Saves before every report, at the end, and about once a minute between.

    Where saving is slow, the minute becomes as long as saving takes 1% of the time.

    Args:
      run: where to.
      is_due: whether there is a report on a step.
    """

    def __init__(self, run: Run, is_due: Callable[[int], bool]):
        super().__init__()
        self.run, self.is_due = run, is_due

    def on_train_begin(self, logs: Any = None) -> None:
        """Looks at the clock."""
        self.saved_step = self.model.trained_steps
        self.next = time.monotonic() + _SECONDS_BETWEEN_SAVES

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The training's clock runs while a step does, and not while it is reported."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Saves where it is time."""
        self.run.seconds += time.perf_counter() - self.began
        if self.is_due(self.model.trained_steps) or time.monotonic() > self.next:
            self._save()

    def on_train_end(self, logs: Any = None) -> None:
        """Saves, unless that was just done."""
        if self.saved_step != self.model.trained_steps:
            self._save()

    def _save(self) -> None:
        start = time.monotonic()
        self.run.save(self.model)
        self.saved_step = self.model.trained_steps
        took = time.monotonic() - start
        self.next = start + took + max(_SECONDS_BETWEEN_SAVES, took / _MOST_OF_TIME)


def best_metric(hparams: HParams) -> str:
    """By what the best weights of a generative model are known; see `Report`.

    The likelihood of validation data; but not what a policy gradient is for, after which it is
    those of the last report.
    """
    return "valid_loss" if hparams.policy_gradient == "none" else "-step"


class Report(keras.callbacks.Callback):
    """Every so many steps: validates, logs, samples, draws the curves. `Checkpoints` stands before.

    Args:
      run: where to.
      num_steps: the last step.
      every: steps from one report to the next.
      validate: returns metrics of the validation data, named `valid_*`.
      best_metric: the weights with the lowest such metric are kept as the best; with a minus
        before its name, those with the highest.
      sample: returns what the model generates as files by suffix, such as `{".txt": b"..."}`,
        and has its say on TensorBoard by `tf.summary`.
      enough: says of the metrics of a report whether the training ends with it.
    """

    def __init__(
        self,
        run: Run,
        num_steps: int,
        every: int,
        validate: Callable[[], dict[str, float]],
        best_metric: str,
        sample: Callable[[], dict[str, bytes]],
        enough: Callable[[dict[str, float]], bool] = lambda metrics: False,
    ):
        super().__init__()
        self.run, self.num_steps, self.every = run, num_steps, every
        self.validate, self.best_metric, self.sample = validate, best_metric, sample
        self.enough = enough

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes up where an earlier training ended, be it between a step and the report on it."""
        step = self.model.trained_steps
        ends = step >= self.num_steps
        self.lines = self.run.metrics() if ends else self.run.drop_irregular_reports(self.every)
        self.best = np.inf
        if self.run.best_is_valid(self.model):
            self.best = min(map(self._badness, self.lines), default=np.inf)
        self.writer = tf.summary.create_file_writer(str(self.run.file("tensorboard")))
        self.means = [np.asarray(x.numpy()) for x in self._mean_variables()]
        if step and self.is_due(step):
            if not self.lines or self.lines[-1]["step"] < step:
                self._report(step, self.model.get_metrics_result())
            self.means = [np.zeros_like(x) for x in self.means]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Goes on with the means since the last report, which Keras has just forgotten."""
        for variable, value in zip(self._mean_variables(), self.means, strict=True):
            variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Reports where it is time."""
        step = self.model.trained_steps
        if self.is_due(step):
            self._report(step, logs)
            self.model.reset_metrics()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The means go on in the next epoch."""
        self.means = [np.asarray(x.numpy()) for x in self._mean_variables()]

    def on_train_end(self, logs: Any = None) -> None:
        """Closes TensorBoard's file."""
        self.writer.close()

    def is_due(self, step: int) -> bool:
        """Whether there is a report on a step."""
        return step % self.every == 0 or step == self.num_steps

    def _mean_variables(self) -> list[Any]:
        return [x for metric in self.model.metrics for x in metric.variables]

    def _report(self, step: int, means: Any) -> None:
        metrics = {"step": step, "seconds": round(self.run.seconds, 3)}
        metrics |= reported_means(self.model, means) | self.validate()
        if self._badness(metrics) < self.best:
            final = step % self.every != 0
            self.run.save_best(self.model, final)
            self.best = self.best if final else self._badness(metrics)
        for suffix, content in self._show(step, metrics).items():
            self.run.write(f"samples/step-{step:09d}{suffix}", content)
        self.run.log(metrics)
        self.lines.append(metrics)
        draw_curves(self.run, self.lines)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        logging.info("%s", shown)
        self.model.stop_training = self.enough(metrics)

    def _badness(self, metrics: dict[str, float]) -> float:
        highest = self.best_metric.startswith("-")
        value = metrics[self.best_metric.removeprefix("-")]
        return -value if highest else value

    def _show(self, step: int, metrics: dict[str, float]) -> dict[str, bytes]:
        """TensorBoard's part of the report; returns the sample."""
        try:
            with self.writer.as_default(step):
                for name, value in metrics.items():
                    tf.summary.scalar(name, value)
                for weight in self.model.weights:
                    tf.summary.histogram(weight.path, weight.value)
                samples = self.sample()
            self.writer.flush()
        except (tf.errors.ResourceExhaustedError, tf.errors.UnknownError) as error:
            raise Stopped(f"cannot write TensorBoard's file: {error.message}") from error
        return samples


def reported_means(model: keras.Model, means: Any) -> dict[str, float]:
    """The means of something since the last report: there is no return before a game has ended."""
    known = [x.name for x in model.metrics if np.asarray(x.count.numpy())]
    return {name: float(means[name]) for name in known}


class Progress(keras.callbacks.Callback):
    """A bar on stderr with the rate, the time left and the first metric that has a value, if any.

    That is the loss since the last report; where a discriminator learns alone, its own.
    """

    def __init__(self, num_steps: int):
        super().__init__()
        self.num_steps = num_steps
        self.bar: tqdm | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts where an earlier training ended."""
        start = self.model.trained_steps
        self.bar = tqdm(total=self.num_steps, initial=start, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One step on."""
        assert self.bar is not None
        first = list(reported_means(self.model, logs).items())[:1]  # none before a player learns
        self.bar.set_postfix({name: f"{value:.4f}" for name, value in first}, refresh=False)
        self.bar.update()

    def close(self) -> None:
        """Leaves the bar as it is: however the training ends, what is said of it stands below."""
        if self.bar is not None:
            self.bar.close()


def draw_curves(run: Run, metrics: list[dict[str, float]]) -> None:
    """Draws every metric against the steps, those of training and validation together.

    What is always 0, such as the KL of a core without latents, is left out.
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for line in metrics for name in line):
        if name not in ("step", "seconds") and any(line.get(name) for line in metrics):
            groups.setdefault(name.removeprefix("valid_"), []).append(name)
    if not groups:
        return
    columns = min(len(groups), _CURVES_IN_A_ROW)
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    steps = [line["step"] for line in metrics]
    for number, (title, names) in enumerate(groups.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        for name in names:
            label = "validation" if name.startswith("valid_") else "training"
            axes.plot(steps, [line.get(name, math.nan) for line in metrics], ".-", label=label)
        axes.set(title=title, xlabel="step")
        axes.legend()
    with files.atomic_write(run.file("curves.png")) as file:
        figure.savefig(file, format="png", dpi=100)
