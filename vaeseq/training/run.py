"""The run directory: everything needed to resume a training, to generate and to evaluate.

run.json            program, version, hyperparameters, and what the program adds
metrics.jsonl       one line for each report
curves.png          the same as a picture
checkpoints/        see `vaeseq.training.checkpoints`
samples/            what the model generated at each report
tensorboard/        scalars, samples and histograms of the weights
lock                held while a process trains

Every batch and every random number is a function of (seed, step). A training that resumes from a
checkpoint therefore continues as if it had never stopped.
"""

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import filelock
from absl import logging

from vaeseq.errors import LostWorker, Overflow, Stopped, UsageError
from vaeseq.training import files
from vaeseq.training.checkpoints import CheckpointStore
from vaeseq.training.metrics_log import Metrics, MetricsLog
from vaeseq.training.signals import interruptible, raise_if_interrupted, was_interrupted
from vaeseq.training.trainable import Trainable

_PROPERTIES: files.Schema = {
    "vaeseq": {"type": "string"},
    "program": {"type": "string"},
    "hparams": {"type": "object"},
}
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Run(files.Folder):
    """A run directory; see the module.

    Args:
      path: the directory. Nothing is written before a method does it.
      about: the content of `run.json`: at least the `program` and its `hparams`.
      keep: the number of newest checkpoints to keep, beside the best.

    Attributes:
      checkpoints: saves and restores the model.
      metrics_log: the metrics of all reports.

    Example:
      >>> import vaeseq
      >>> run = vaeseq.Run("runs/mine", {"program": "mine", "hparams": {}})
      >>> run.exists("runs/mine")
      False
      >>> with run.beginning():
      ...     pass  # write other files of the run here
      >>> run.exists("runs/mine")
      True
    """

    def __init__(self, path: str | os.PathLike[str], about: dict[str, Any], keep: int = 2):
        super().__init__(path)
        self.about = about
        self.checkpoints = CheckpointStore(self, keep)
        self.metrics_log = MetricsLog(self)
        self._lock = filelock.FileLock(self.path / "lock", timeout=0)

    @contextlib.contextmanager
    def beginning(self) -> Iterator[None]:
        """Starts a new run: write its files in this context; `run.json` is written at the end.

        Raises:
          UsageError: if there is a run already, or the directory cannot be written.
        """
        with _reporting_what_cannot_be_written(self.path), self.locked():
            if self.exists(self.path):
                raise UsageError(f"--log-dir: another process has just begun a run in {self.path}")
            yield
            about = {"vaeseq": version("vaeseq"), **self.about}
            self.write("run.json", json.dumps(about, indent=2))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        program: str,
        schema: files.Schema | None = None,
        keep: int = 2,
    ) -> Self:
        """Opens a run that `program` has begun.

        Args:
          path: the directory.
          program: the name of the program.
          schema: JSON Schema of the properties of `run.json` that the program adds.
          keep: see the class.

        Raises:
          UsageError: if there is no run, it belongs to another program, or its `run.json` is wrong.
        """
        if not cls.exists(path):
            raise UsageError(
                f"--log-dir: there is no run in {path}; start one with `{program} train`"
            )
        about = files.Folder(path).read_json("run.json", _about_schema(schema or {}))
        if about["program"] != program:
            raise UsageError(
                f"--log-dir: {path} holds a run of another program, not of {program}; choose "
                "another directory"
            )
        return cls(path, about, keep)

    @staticmethod
    def exists(path: str | os.PathLike[str]) -> bool:
        """Returns whether a run has begun in a directory."""
        return os.path.lexists(Path(path, "run.json"))

    @property
    def seconds(self) -> float:
        """The training time so far, without reports."""
        return self.checkpoints.seconds

    def metrics(self) -> list[Metrics]:
        """Returns the metrics of all reports."""
        return self.metrics_log.read()

    def restore_best(self, model: Trainable) -> int:
        """Restores the best weights; see `CheckpointStore.restore_best`."""
        return self.checkpoints.restore_best(model)

    def restore_latest(self, model: Trainable) -> int:
        """Restores a compiled model from the newest valid checkpoint, and drops later reports.

        Returns:
          The step, 0 if there is no checkpoint.

        Raises:
          UsageError: if there are checkpoints, but none is valid.
        """
        step = self.checkpoints.restore_latest(model)
        self.metrics_log.forget_after(step)
        return step

    def drop_irregular_reports(self, every: int) -> list[Metrics]:
        """Removes reports written only because a training stopped between regular ones.

        A training in several parts therefore leaves the same files as one in a single part.

        Returns:
          The metrics of the other reports.
        """
        kept = self.metrics_log.drop_irregular(every)
        self.checkpoints.remove_final()
        return kept

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the directory.

        The lock belongs to the operating system and ends with the process, even if it is killed.

        Raises:
          UsageError: if another process holds the lock.
        """
        with _reporting_what_cannot_be_written(self.path):
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
        """Restores a compiled model from the newest valid checkpoint, for training it further.

        In this context no other process can train in the directory. Ctrl-C and SIGTERM save the
        model, then end the training with `vaeseq.training.signals.Interrupted`, a
        `KeyboardInterrupt`.

        Yields:
          The number of steps already made.

        Raises:
          UsageError: if another process trains in the directory, no checkpoint is valid, or the run
            has begun with other hyperparameters than those in `about`.
          Stopped: if the training cannot continue, for example because the disk is full. The newest
            checkpoint is kept.
        """
        with interruptible(), self.locked():
            self._check_about()
            files.remove_unfinished(self.path)
            step = self.restore_latest(model)
            try:
                yield step
                raise_if_interrupted()
            except BaseException as error:
                self._end(model, error)
                raise

    def _check_about(self) -> None:
        """Checks that training goes on with the hyperparameters that the run has begun with.

        Names that only one of the two has do not count: a new version of the program may have more
        hyperparameters, at their defaults.
        """
        if not self.exists(self.path):
            return
        begun = self.read_json("run.json", _about_schema({}))["hparams"]
        now = json.loads(json.dumps(self.about.get("hparams", {})))
        different = [name for name in begun.keys() & now.keys() if begun[name] != now[name]]
        if different:
            raise UsageError(
                f"--log-dir: the run in {self.path} started with other values of "
                f"{', '.join(sorted(different))} (see its run.json); choose another directory"
            )

    def _end(self, model: Trainable, error: BaseException) -> None:
        """Saves the model if it can be saved, and turns known failures into `Stopped`."""
        try:
            if isinstance(error, KeyboardInterrupt | LostWorker) or was_interrupted():
                if model.trained_steps > self.checkpoints.newest_step():
                    self._save_at_last(model)
                logging.info("saved at step %d; the same command resumes", model.trained_steps)
                raise_if_interrupted()
        except OSError as failure:
            error = failure
        newest = self._newest_checkpoint()
        if isinstance(error, Overflow):
            raise Stopped(f"{error}; {newest}") from error
        if isinstance(error, Stopped):
            raise type(error)(f"{error}; {newest}") from error.__cause__
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else ""
            full = error.errno in _DISK_FULL
            what = "the disk is full" if full else error.strerror or str(error)
            raise Stopped(f"{where}{what}; {newest}") from error

    def _save_at_last(self, model: Trainable) -> None:
        """Saves the model; once more if a signal interrupts that."""
        try:
            self.checkpoints.save(model)
        except KeyboardInterrupt:  # the first signal, while saving because a worker is gone
            self.checkpoints.save(model)
            raise

    def _newest_checkpoint(self) -> str:
        step = self.checkpoints.newest_step()
        if not step:
            return f"there is no checkpoint in {self.path} yet"
        return f"the newest checkpoint in {self.path} is that of step {step}"


def _about_schema(added: files.Schema) -> files.Schema:
    return {
        "type": "object",
        "properties": {**_PROPERTIES, **added},
        "required": ["program", "hparams"],
    }


@contextlib.contextmanager
def _reporting_what_cannot_be_written(path: Path) -> Iterator[None]:
    """Raises `UsageError` if a file or the path of a new run cannot be written."""
    try:
        yield
    except OSError as error:
        where = Path(os.fsdecode(error.filename or path))
        if not (where.is_relative_to(path) or path.is_relative_to(where)):
            raise  # a file that the caller has opened
        raise UsageError(f"--log-dir: cannot write {where}: {error.strerror}") from error
