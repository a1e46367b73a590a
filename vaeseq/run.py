"""The run directory: all that is needed to go on training, to generate or to evaluate.

run.json            program, version, hyperparameters, and what the program adds
metrics.jsonl       one line a report
curves.png          the same as a picture
checkpoints/        step-*.safetensors, the latest; best.safetensors, by validation
samples/            what the model generated at each report
tensorboard/        scalars, samples and histograms of the weights
"""

import json
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import safetensors
import safetensors.numpy
import tensorflow as tf
from absl import logging
from matplotlib.figure import Figure
from tqdm import tqdm

from vaeseq.errors import UsageError
from vaeseq.model import ModelBase

_CHECKPOINTS_KEPT = 2


class Run:
    """A run directory; see the module.

    Args:
      path: where. Nothing is written before a method does.
      about: what `run.json` says: at least the `program` and its `hparams`.
    """

    def __init__(self, path: str | os.PathLike[str], about: dict[str, Any]):
        self.path, self.about = Path(path), about

    def begin(self) -> None:
        """Writes `run.json`; from now on `open` finds the run."""
        about = {"vaeseq": version("vaeseq"), **self.about}
        self.write("run.json", json.dumps(about, indent=2))

    @classmethod
    def open(cls, path: str | os.PathLike[str], program: str) -> Self:
        """A run that `program` has begun, or UsageError."""
        file = Path(path, "run.json")
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise UsageError(
                f"--log-dir: there is no run in {path}; start one with `{program} train`"
            ) from error
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UsageError(f"--log-dir: cannot read {file}: {error}") from error
        if not isinstance(about, dict) or about.get("program") != program:
            raise UsageError(f"--log-dir: {path} holds a run of another program, not of {program}")
        return cls(path, about)

    @staticmethod
    def exists(path: str | os.PathLike[str]) -> bool:
        """Whether a run has begun there."""
        return Path(path, "run.json").exists()

    def write(self, name: str, text: str) -> None:
        """Writes a text file of the run, whole or not at all."""
        path = self.path / name
        unfinished = path.with_name(path.name + ".unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, path)
        except OSError as error:
            raise UsageError(f"--log-dir: cannot write {path}: {error.strerror}") from error

    def read(self, name: str) -> str:
        """A text file of the run."""
        path = self.path / name
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--log-dir: cannot read {path}: {error}") from error

    def save(self, model: ModelBase, step: int) -> None:
        """Writes the newest checkpoint, and removes all but the last few."""
        self._save_as(f"step-{step:09d}.safetensors", _variables(model), step)
        for old in self._numbered()[:-_CHECKPOINTS_KEPT]:
            old.unlink()

    def save_best(self, model: ModelBase, step: int) -> None:
        """Writes the checkpoint that generates and is evaluated: the weights alone."""
        self._save_as("best.safetensors", _variables(model, optimizer=False), step)

    def restore_latest(self, model: ModelBase) -> int:
        """Loads the newest checkpoint, if any, into a compiled model; returns its step."""
        numbered = self._numbered()
        return self._restore(numbered[-1], _variables(model)) if numbered else 0

    def restore_best(self, model: ModelBase) -> int:
        """Loads the best weights, or the newest where none was validated; returns their step."""
        best = self._checkpoints / "best.safetensors"
        for path in [best] if best.exists() else self._numbered()[-1:]:
            return self._restore(path, _variables(model, optimizer=False))
        raise UsageError(f"--log-dir: {self.path} has no checkpoint yet; train it first")

    def log(self, metrics: dict[str, float]) -> None:
        """Appends a line to metrics.jsonl."""
        with open(self.path / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    @property
    def _checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def _numbered(self) -> list[Path]:
        return sorted(self._checkpoints.glob("step-*.safetensors"))

    def _save_as(self, name: str, variables: dict[str, Any], step: int) -> None:
        path = self._checkpoints / name
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        tensors = {name: np.asarray(variable) for name, variable in variables.items()}
        safetensors.numpy.save_file(tensors, unfinished, metadata={"step": str(step)})
        os.replace(unfinished, path)

    def _restore(self, path: Path, variables: dict[str, Any]) -> int:
        """Loads exactly these variables, or UsageError."""
        try:
            with safetensors.safe_open(path, "numpy") as file:
                found = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
                for name, variable in variables.items():
                    if found.get(name) != list(variable.shape):
                        raise UsageError(
                            f"--log-dir: {path} is of another model: {name} is "
                            f"{found.get(name)}, not {list(variable.shape)}"
                        )
                    variable.assign(file.get_tensor(name))
                return int(file.metadata()["step"])
        except (OSError, safetensors.SafetensorError) as error:
            raise UsageError(f"--log-dir: cannot read {path}: {error}") from error


def _variables(model: ModelBase, optimizer: bool = True) -> dict[str, Any]:
    """The variables to save, numbered: the names that Keras gives are not repeatable."""
    named = {f"model/{i:03d}/{weight.name}": weight for i, weight in enumerate(model.weights)}
    if optimizer:
        model.optimizer.build(model.trainable_variables)
        named |= {f"optimizer/{i:03d}": x for i, x in enumerate(model.optimizer.variables)}
    return named


def batches_by_step(batch: Callable[[int], np.ndarray], start: int, stop: int) -> tf.data.Dataset:
    """The batches `batch(step)` for start <= step < stop: each a function of its step alone."""
    spec = tf.TensorSpec.from_tensor(tf.constant(batch(start)))

    def load(step: tf.Tensor) -> tf.Tensor:
        loaded = tf.numpy_function(lambda step: batch(int(step)), [step], spec.dtype)
        return tf.ensure_shape(loaded, spec.shape)

    return tf.data.Dataset.range(start, stop).map(load).prefetch(8)


class Report(keras.callbacks.Callback):
    """Every so many steps: validates, saves, logs, samples, draws the curves.

    Args:
      run: where to.
      num_steps: the last step.
      every: steps from one report to the next.
      validate: returns metrics of the validation data, named `valid_*`; the checkpoint with the
        lowest `best_metric` is kept as the best.
      sample: returns a text to show, and has its say on TensorBoard by `tf.summary`.
    """

    def __init__(
        self,
        run: Run,
        num_steps: int,
        every: int,
        validate: Callable[[], dict[str, float]],
        best_metric: str,
        sample: Callable[[], str],
    ):
        super().__init__()
        self.run, self.num_steps, self.every = run, num_steps, every
        self.validate, self.best_metric, self.sample = validate, best_metric, sample

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes up the count where an earlier training ended."""
        before = self.run.metrics()
        self.seconds = before[-1]["seconds"] if before else 0.0
        self.best = min((line[self.best_metric] for line in before), default=np.inf)
        self.start = int(self.model.optimizer.iterations)
        self.writer = tf.summary.create_file_writer(str(self.run.path / "tensorboard"))
        self.since = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Reports where it is time."""
        step = self.start + batch + 1
        if step % self.every and step != self.num_steps:
            return
        self.seconds += time.perf_counter() - self.since  # of training alone
        metrics = {name: float(value) for name, value in logs.items()}
        self._report(
            {"step": step, "seconds": round(self.seconds, 3), **metrics, **self.validate()}
        )
        self.model.reset_metrics()
        self.since = time.perf_counter()

    def on_train_end(self, logs: Any = None) -> None:
        """Closes TensorBoard's file."""
        self.writer.close()

    def _report(self, metrics: dict[str, float]) -> None:
        step = int(metrics["step"])
        self.run.save(self.model, step)
        if metrics[self.best_metric] < self.best:
            self.best = metrics[self.best_metric]
            self.run.save_best(self.model, step)
        self.run.log(metrics)
        with self.writer.as_default(step):
            for name, value in metrics.items():
                tf.summary.scalar(name, value)
            for name, variable in _variables(self.model, optimizer=False).items():
                tf.summary.histogram(name, variable.value)
            text = self.sample()
        self.writer.flush()
        self.run.write(f"samples/step-{step:09d}.txt", text)
        draw_curves(self.run.metrics(), self.run.path / "curves.png")
        shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        logging.info("%s", shown)


class Progress(keras.callbacks.Callback):
    """A bar on stderr with the rate and the time left."""

    def __init__(self, num_steps: int):
        super().__init__()
        self.num_steps = num_steps

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts where an earlier training ended."""
        start = int(self.model.optimizer.iterations)
        self.bar = tqdm(total=self.num_steps, initial=start, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One step on."""
        self.bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)
        self.bar.update()

    def on_train_end(self, logs: Any = None) -> None:
        """Leaves the bar as it is."""
        self.bar.close()


def draw_curves(metrics: list[dict[str, float]], path: Path) -> None:
    """Draws every metric against the steps, those of training and validation together.

    What is always 0, such as the KL of a core without latents, is left out.
    """
    groups: dict[str, list[str]] = {}
    for name in metrics[-1]:
        if name not in ("step", "seconds") and any(line.get(name) for line in metrics):
            groups.setdefault(name.removeprefix("valid_"), []).append(name)
    figure = Figure(figsize=(4 * len(groups), 3), layout="constrained")
    steps = [line["step"] for line in metrics]
    for axes, (title, names) in zip(
        np.ravel(figure.subplots(1, len(groups))), groups.items(), strict=True
    ):
        for name in names:
            label = "validation" if name.startswith("valid_") else "training"
            axes.plot(steps, [line.get(name, np.nan) for line in metrics], ".-", label=label)
        axes.set(title=title, xlabel="step", ylabel="nats")
        axes.legend()
    figure.savefig(path, dpi=100)
