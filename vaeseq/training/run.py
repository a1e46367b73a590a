"""The run directory: all that is needed to go on training, to generate or to evaluate.

run.json            program, version, hyperparameters, and what the program adds
metrics.jsonl       one line a report
curves.png          the same as a picture
checkpoints/        step-*.safetensors, the newest; best.safetensors, by validation;
                    final.safetensors, where the end of the training is better still
samples/            what the model generated at each report
tensorboard/        scalars, samples and histograms of the weights
lock                held while a process trains

A checkpoint is the state right after a step, before any report on it: the weights, the variables
of the optimizer and of the metrics, and the step. With every batch and every random number a
function of (seed, step), a training goes on from it as if it had never stopped.
"""

import contextlib
import errno
import json
import math
import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import filelock
import numpy as np
from absl import logging

from vaeseq.errors import LostWorker, Stopped, UsageError
from vaeseq.training import checkpoint_file, files, private_api
from vaeseq.training.signals import interruptible, raise_if_interrupted, was_interrupted
from vaeseq.training.trainable import Trainable

_BEST, _FINAL = "checkpoints/best.safetensors", "checkpoints/final.safetensors"
_NUMBERED = re.compile(r"checkpoints/step-(\d{9,15})\.safetensors")

_ABOUT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "vaeseq": {"type": "string"},
        "program": {"type": "string"},
        "hparams": {"type": "object"},
    },
    "required": ["program", "hparams"],
}
_METRICS: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
    "properties": {"step": {"type": "integer", "minimum": 1}},
    "additionalProperties": {"type": ["number", "null"]},
    "required": ["step", "seconds"],
    "maxProperties": 100,
}


class Run:
    """A run directory; see the module.

    Args:
      path: where. Nothing is written before a method does.
      about: what `run.json` says: at least the `program` and its `hparams`.
      keep: how many of the newest checkpoints are kept, beside the best.
    """

    def __init__(self, path: str | os.PathLike[str], about: dict[str, Any], keep: int = 2):
        self.path, self.about, self.keep = Path(path), about, keep
        self.seconds = 0.0  # of training behind the model
        self._lock = filelock.FileLock(self.path / "lock", timeout=0)

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Within, the files of a new run are written; then `run.json`, and `open` finds the run.

        Raises:
          UsageError: where there is a run already, or nothing can be written.
        """
        with _usage(self.path), self.locked():
            if self.exists(self.path):
                raise UsageError(f"--log-dir: another process has just begun a run in {self.path}")
            yield
            self.write(
                "run.json", json.dumps({"vaeseq": version("vaeseq"), **self.about}, indent=2)
            )

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        program: str,
        schema: dict[str, Any] | None = None,
        keep: int = 2,
    ) -> Self:
        """A run that `program` has begun.

        Args:
          path: where.
          program: its name.
          schema: JSON Schema of the properties of `run.json` that the program adds.
          keep: see the class.

        Raises:
          UsageError: where there is none, or what is there is not as it should be.
        """
        if not cls.exists(path):
            raise UsageError(
                f"--log-dir: there is no run in {path}; start one with `{program} train`"
            )
        schema = {**_ABOUT, "properties": {**_ABOUT["properties"], **(schema or {})}}
        with _naming_the_flag():
            about = files.read_json(Path(path), "run.json", schema)
        if about["program"] != program:
            raise UsageError(f"--log-dir: {path} holds a run of another program, not of {program}")
        return cls(path, about, keep)

    @staticmethod
    def exists(path: str | os.PathLike[str]) -> bool:
        """Whether a run has begun there."""
        return os.path.lexists(Path(path, "run.json"))

    def file(self, name: str) -> Path:
        """The path of a part of the run; UsageError where links lead out of the directory."""
        with _naming_the_flag():
            return files.resolve_within(self.path, name)

    def write(self, name: str, content: str | bytes) -> None:
        """Writes a file of the run, whole or not at all; a text as UTF-8."""
        with files.atomic_write(self.file(name)) as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)

    def read(self, name: str) -> str:
        """A text file of the run."""
        with _naming_the_flag():
            return files.read_text(self.path, name)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other process trains in the directory meanwhile.

        The lock is the operating system's: it ends with the process, however that ends.

        Raises:
          UsageError: where another process does.
        """
        with _usage(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self.file("lock")
            try:
                held = self._lock.acquire()
            except filelock.Timeout as error:
                raise UsageError(
                    f"--log-dir: another process is training in {self.path}; wait for it, stop it, "
                    "or choose another directory"
                ) from error
        with held:
            yield

    @contextlib.contextmanager
    def training(self, model: Trainable) -> Iterator[int]:
        """Takes a compiled model to the newest valid checkpoint, and sees that none is lost.

        Within, no other process trains in the directory; Ctrl-C and SIGTERM save the model
        before they end the training (`vaeseq.training.signals.Interrupted`, a `KeyboardInterrupt`).

        Yields:
          The step to go on from.

        Raises:
          UsageError: where another process trains there, or none of its checkpoints is valid.
          Stopped: where the training cannot go on, such as for a full disk; the newest checkpoint
            stands.
        """
        with interruptible(), self.locked():
            files.remove_unfinished(self.path)
            step = self.restore_latest(model)
            try:
                yield step
                raise_if_interrupted()
            except BaseException as error:
                self._end(model, error)
                raise

    def _end(self, model: Trainable, error: BaseException) -> None:
        """Saves what can be saved, and tells a failure in one line."""
        try:
            if isinstance(error, KeyboardInterrupt | LostWorker) or was_interrupted():
                if model.trained_steps > self._newest():  # or it is what was read or saved last
                    self.save(model)
                logging.info("saved at step %d; the same command goes on", model.trained_steps)
                raise_if_interrupted()
        except OSError as failure:
            error = failure
        newest = f"the newest checkpoint in {self.path} is that of step {self._newest()}"
        if isinstance(error, Stopped):
            raise type(error)(f"{error}; {newest}") from error.__cause__
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            what = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
            raise Stopped(f"{where}{what}; {newest}") from error

    def save(self, model: Trainable) -> None:
        """Writes the state of a model as its step's checkpoint, and removes all but the newest."""
        arrays = {name: np.asarray(x.numpy()) for name, x in _state(model).items()}
        checkpoint_file.save(self.file(_numbered(model.trained_steps)), arrays | self._clock(model))
        for step in self._steps()[self.keep :]:
            self.file(_numbered(step)).unlink()

    def save_best(self, model: Trainable, final: bool = False) -> None:
        """Writes the weights that generate and are evaluated.

        Args:
          model: the model.
          final: only as long as the training ends here; see `drop_irregular_reports`.
        """
        arrays = {name: np.asarray(x.numpy()) for name, x in _weights(model).items()}
        checkpoint_file.save(self.file(_FINAL if final else _BEST), arrays | self._clock(model))

    def restore_latest(self, model: Trainable) -> int:
        """Takes a compiled model to the newest valid checkpoint, and the run back to its step.

        Returns:
          The step: 0 where there is no checkpoint at all.

        Raises:
          UsageError: where there are some, but none is valid.
        """
        self._name_foreign_files()
        invalid: list[Path] = []
        reason = ""
        for step in self._steps():
            path = self.file(_numbered(step))
            try:
                clock = _load(path, _state(model))
                if clock["run/step"] != step:
                    raise checkpoint_file.Invalid(f"it is of step {clock['run/step']}")
            except checkpoint_file.Invalid as error:
                logging.warning("passed over %s: %s", path, error)
                invalid.append(path)
                reason = reason or str(error)
                continue
            for other in invalid:
                other.replace(other.with_suffix(".invalid"))
            self._forget_after(step)
            self.seconds = float(clock["run/seconds"])
            return step
        if invalid:
            raise UsageError(
                f"--log-dir: no checkpoint in {self.path} is valid: {reason}; remove its folder "
                "`checkpoints` to begin again"
            )
        self._forget_after(0)
        return 0

    def restore(self, model: Trainable, step: int) -> None:
        """Takes a compiled model to the checkpoint of a step, which must be valid; 0 is no change.

        Raises:
          UsageError: where it is not.
        """
        if step:
            path = self.file(_numbered(step))
            try:
                _load(path, _state(model))
            except checkpoint_file.Invalid as error:
                raise UsageError(f"--log-dir: cannot read {path}: {error}") from error

    def restore_best(self, model: Trainable) -> int:
        """Loads the best weights, or the newest where those are missing; returns their step."""
        for name in (_FINAL, _BEST, *map(_numbered, self._steps())):
            path = self.file(name)
            try:
                if path.exists():
                    return int(_load(path, _weights(model))["run/step"])
            except checkpoint_file.Invalid as error:
                logging.warning("passed over %s: %s", path, error)
        raise UsageError(f"--log-dir: {self.path} has no valid checkpoint; train it first")

    def best_is_valid(self, model: Trainable) -> bool:
        """Whether the best checkpoint is there and can be read."""
        try:
            checkpoint_file.load(self.file(_BEST), _shapes(_weights(model)))
        except checkpoint_file.Invalid:
            return False
        return True

    def log(self, metrics: dict[str, float]) -> None:
        """Appends a line to metrics.jsonl; what is not finite is null there."""
        line = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
        with open(self.file("metrics.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            files.sync(file)

    def metrics(self) -> list[dict[str, float]]:
        """The lines of metrics.jsonl, without those that a crash has torn; steps rise."""
        if not self.file("metrics.jsonl").exists():
            return []
        lines: list[dict[str, float]] = []
        for text in self._metrics_text().splitlines():
            try:
                line = files.parse_json(text, _METRICS, "metrics.jsonl")
            except UsageError:
                continue
            if not lines or line["step"] > lines[-1]["step"]:
                lines.append({name: math.nan if x is None else x for name, x in line.items()})
        return lines

    def drop_irregular_reports(self, every: int) -> list[dict[str, float]]:
        """Takes back what was done only because the training ended: reports off the regular steps.

        So a training that is cut into pieces leaves what one in a single piece leaves.

        Returns:
          The metrics that stay.
        """
        kept = [line for line in self.metrics() if line["step"] % every == 0]
        self._write_metrics(kept)
        self.file(_FINAL).unlink(missing_ok=True)
        return kept

    def _forget_after(self, step: int) -> None:
        """Takes back the reports on later steps, which will be made again."""
        lines = self.metrics()
        if lines and lines[-1]["step"] > step:
            logging.warning("the checkpoint of step %d is missing", lines[-1]["step"])
        self._write_metrics([line for line in lines if line["step"] <= step])

    def _write_metrics(self, lines: list[dict[str, float]]) -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines).replace("NaN", "null")
        if self.file("metrics.jsonl").exists() and text != self._metrics_text():
            self.write("metrics.jsonl", text)

    def _metrics_text(self) -> str:
        return files.read_text(self.path, "metrics.jsonl", errors="replace")

    def _steps(self) -> list[int]:
        """The steps of the checkpoints, newest first."""
        matches = [_NUMBERED.fullmatch(name) for name in self._checkpoint_names()]
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def _newest(self) -> int:
        return max(self._steps(), default=0)

    def _checkpoint_names(self) -> list[str]:
        return [f"checkpoints/{path.name}" for path in (self.path / "checkpoints").glob("*")]

    def _name_foreign_files(self) -> None:
        for name in sorted(self._checkpoint_names()):
            own = _NUMBERED.fullmatch(name) or name in (_BEST, _FINAL) or name.endswith(".invalid")
            if not own:
                logging.warning("passed over %s: not a name of a checkpoint", self.path / name)

    def _clock(self, model: Trainable) -> dict[str, np.ndarray]:
        return {
            "run/step": np.asarray(model.trained_steps, np.int64),
            "run/seconds": np.asarray(self.seconds, np.float64),
        }


_CLOCK: checkpoint_file.Shapes = {"run/step": ((), "int64"), "run/seconds": ((), "float64")}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def _usage(path: Path) -> Iterator[None]:
    """A directory that cannot be written when a run begins is the user's mistake."""
    try:
        yield
    except OSError as error:
        where = error.filename or path
        raise UsageError(f"--log-dir: cannot write {where}: {error.strerror}") from error


@contextlib.contextmanager
def _naming_the_flag() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UsageError(f"--log-dir: {error}") from error


def _numbered(step: int) -> str:
    return f"checkpoints/step-{step:09d}.safetensors"


def _weights(model: Trainable) -> dict[str, Any]:
    """The weights by number and name: the names that Keras gives are not all different."""
    return {f"model/{i:03d}/{weight.name}": weight for i, weight in enumerate(model.weights)}


def _state(model: Trainable) -> dict[str, Any]:
    """All variables that a training changes, but for what is a function of (seed, step)."""
    return _weights(model) | {
        f"{name}/{i:03d}": x
        for name, variables in model.training_state.items()
        for i, x in enumerate(variables)
    }


def _shapes(variables: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (tuple(x.shape), x.dtype) for name, x in variables.items()}


def _upgrades(variables: dict[str, Any]) -> dict[str, Any]:
    """Returns the functions that convert the arrays of a checkpoint of version 0.1, by name.

    A variable declares its conversion with the attribute `from_format_1`. The optimizer's state
    of that variable is converted in the same way.
    """
    owners = {name: private_api.slot_owner(x, variables.values()) for name, x in variables.items()}
    owners |= {name: x for name, x in variables.items() if hasattr(x, "from_format_1")}
    return {
        name: owner.from_format_1
        for name, owner in owners.items()
        if hasattr(owner, "from_format_1")
    }


def _load(path: Path, variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Gives variables their values in a checkpoint, all or none; returns its clock."""
    shapes = {**_shapes(variables), **_CLOCK}
    arrays = checkpoint_file.load(path, shapes, _upgrades(variables))
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return {name: arrays[name] for name in _CLOCK}
