"""What the programs share of a run: how one begins, goes on, and is read again."""

import abc
import dataclasses
from typing import Any

import keras
import tensorflow as tf
from absl import logging

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.model.base import ModelBase
from vaeseq.training import loop, memory, workers
from vaeseq.training.callbacks import Report
from vaeseq.training.run import Run


class Program(abc.ABC):
    """A program that trains models in runs. You write the abstract methods.

    Attributes:
      name: of the program.
      defaults: the hyperparameters, before those of the command line.
      flags: the flags of `train` with which a run begins and that `run.json` keeps, by the names
        that they have there: their JSON Schemas.
      inputs: what they name, in a word.
    """

    name: str
    inputs: str
    defaults: HParams
    flags: dict[str, Any]

    @abc.abstractmethod
    def prepare(self, args: Any, hparams: HParams) -> tuple[Any, Any]:
        """Checks and reads all that the user gave for a new run; writes nothing.

        Returns:
          What the model is made for, such as a vocabulary, and what else the run is to keep.
        """

    @abc.abstractmethod
    def write(self, run: Run, made_for: Any, content: Any) -> None:
        """Writes the files of a new run: what `prepare` returned."""

    @abc.abstractmethod
    def read(self, run: Run) -> Any:
        """What the model of a run is made for, from its files."""

    @abc.abstractmethod
    def make_model(self, hparams: HParams, made_for: Any) -> ModelBase:
        """A model."""

    @abc.abstractmethod
    def plan(self, run: Run, model: Any, args: Any) -> tuple[loop.Batch, Report]:
        """The batches and the reports of a training to `args.num_steps`."""

    @abc.abstractmethod
    def finish(self, run: Run, model: Any) -> None:
        """Shows what was trained."""

    def defaults_for(self, args: Any) -> HParams:
        """The hyperparameters of a new run, before those of the command line."""
        return self.defaults

    def train(self, args: Any) -> None:
        """Begins a run, or goes on with it."""
        with workers.launch(args.workers, args.main) as strategy:
            chief = workers.is_chief(strategy)
            if chief:
                run = (self._resume if Run.exists(args.log_dir) else self._begin)(args, strategy)
            workers.broadcast_from_chief(strategy, 0)  # the others wait for the run to begin
            if not chief:
                run = self.open(args.log_dir)
            model = self._model(run, strategy)
            if loop.train(model, *self.plan(run, model, args)) and chief:
                self.finish(run, model)

    def trained(self, log_dir: str) -> tuple[Run, Any]:
        """A run and its best model."""
        run = self.open(log_dir)
        model = self._model(run)
        run.restore_best(model)
        return run, model

    def open(self, log_dir: str, keep: int = 2) -> Run:
        """A run that this program has begun."""
        return Run.open(log_dir, self.name, self.flags, keep)

    def _model(self, run: Run, strategy: tf.distribute.Strategy | None = None) -> ModelBase:
        """The run's model, which fits into memory; compiled for a strategy."""
        hparams, made_for = self._hparams(run), self.read(run)
        memory.check(lambda: self.make_model(hparams, made_for))
        with (strategy or tf.distribute.get_strategy()).scope():
            keras.utils.set_random_seed(hparams.seed)
            model = self.make_model(hparams, made_for)
            if strategy is not None:
                model.compile()
        return model

    def _hparams(self, run: Run) -> HParams:
        return self.defaults.replace(**run.about["hparams"])

    def _begin(self, args: Any, strategy: tf.distribute.Strategy) -> Run:
        """A new run. Nothing is written before all that the user gave has been checked."""
        hparams = _wanted(self.defaults_for(args), args)
        workers.share(strategy, hparams.batch_size)
        made_for, content = self.prepare(args, hparams)
        memory.check(lambda: self.make_model(hparams, made_for))
        if hparams.learning_rate_decay_steps not in (0, args.num_steps):
            logging.info(
                "the learning rate falls until step %d; where the training is to end at step %d, "
                "--hparams learning_rate_decay_steps=%d does better",
                *(hparams.learning_rate_decay_steps, args.num_steps, args.num_steps),
            )
        about = {"program": self.name, "hparams": dataclasses.asdict(hparams)}
        about |= {name: getattr(args, name) for name in self.flags}
        run = Run(args.log_dir, about, args.keep)
        with run.beginning():
            self.write(run, made_for, content)
        return run

    def _resume(self, args: Any, strategy: tf.distribute.Strategy) -> Run:
        """A run that has begun, unless the user now asks for something else."""
        run = self.open(args.log_dir, args.keep)
        hparams = self._hparams(run)
        workers.share(strategy, hparams.batch_size)
        asked = {name: getattr(args, name) or run.about.get(name) for name in self.flags}
        same = all(run.about.get(name) == value for name, value in asked.items())
        if _wanted(hparams, args) != hparams or not same:
            raise UsageError(
                f"--log-dir: the run in {args.log_dir} began with other hparams, seed or "
                f"{self.inputs} (see its run.json); leave them out to go on with it, or choose "
                "another directory"
            )
        return run


def _wanted(hparams: HParams, args: Any) -> HParams:
    """The hyperparameters with the changes of the command line."""
    changed = hparams.parse(args.hparams)
    return changed if args.seed is None else changed.replace(seed=args.seed)
