"""A program that trains models in run directories: it starts, resumes and opens runs."""

import abc
import argparse
import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Generic, TypeAlias, TypeVar

import keras
import tensorflow as tf
from absl import logging

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.hparams.table import changed
from vaeseq.training import loop, memory, workers
from vaeseq.training.callbacks import Report
from vaeseq.training.run import Run

Schema: TypeAlias = Mapping[str, object]
"""A JSON Schema."""

Params = TypeVar("Params", bound=HParams)
Domain = TypeVar("Domain")
Content = TypeVar("Content")
Model = TypeVar("Model", bound=keras.Model)


class Program(abc.ABC, Generic[Params, Domain, Content, Model]):
    """A program with a `train` command. A subclass writes the abstract methods.

    Type parameters:
      Params: the hyperparameters.
      Domain: what the shapes of a model depend on besides these, such as a vocabulary.
      Content: what else a new run stores, such as texts.
      Model: the model.

    Attributes:
      name: the name of the program.
      defaults: the default hyperparameters.
      flags: the flags of `train` that run.json stores, with the JSON Schema of each.
      implied: what flags that are not given mean, if that does not depend on others.
      shares_batches: whether several replicas can train a model, each with a part of every batch.
    """

    name: str
    defaults: Params
    flags: dict[str, Schema]
    implied: dict[str, object] = {}  # noqa: RUF012
    shares_batches = True

    @abc.abstractmethod
    def prepare(self, args: argparse.Namespace, hparams: Params) -> tuple[Domain, Content]:
        """Checks and reads the inputs of a new run; writes nothing.

        Raises:
          UsageError: if an input cannot be used.
        """

    @abc.abstractmethod
    def write(self, run: Run, domain: Domain, content: Content) -> None:
        """Writes what `prepare` returned to the files of a new run."""

    @abc.abstractmethod
    def read(self, run: Run) -> Domain:
        """Reads a run's domain from its files."""

    @abc.abstractmethod
    def make_model(self, hparams: Params, domain: Domain) -> Model:
        """Returns a new model."""

    @abc.abstractmethod
    def plan(self, run: Run, model: Model, args: argparse.Namespace) -> tuple[loop.Batch, Report]:
        """Returns the batches and the reports of a training to `last_step`."""

    @abc.abstractmethod
    def finish(self, run: Run, model: Model) -> None:
        """Shows what the model has learned."""

    def is_unfinished(self, run: Run) -> bool:
        """Returns whether an earlier process was interrupted in `finish`."""
        return False

    def time_steps(self, hparams: Params) -> int:
        """Returns the number of time steps that an update computes, of all sequences together."""
        return hparams.batch_size * hparams.sequence_size

    def defaults_for(self, args: argparse.Namespace) -> Params:
        """Returns the hyperparameters of a new run, before `--hparams` changes them."""
        return self.defaults

    def last_step(self, args: argparse.Namespace, hparams: Params) -> int:
        """Returns the step at which training ends."""
        steps: int = args.num_steps
        return steps

    def train(self, args: argparse.Namespace) -> None:
        """Starts a run, or resumes it if `args.log_dir` has one, and trains its model."""
        with self._launch(args) as strategy:
            run = self._start_or_resume(args, strategy)
            model = self._model(run, strategy)
            batch, report = self.plan(run, model, args)
            trained = loop.train(model, batch, report)
            if workers.is_chief(strategy) and (trained or self.is_unfinished(run)):
                self.finish(run, model)

    def _launch(
        self, args: argparse.Namespace
    ) -> contextlib.AbstractContextManager[tf.distribute.Strategy]:
        if self.shares_batches:
            return workers.launch(args.workers, args.main)
        return contextlib.nullcontext(tf.distribute.get_strategy())

    def trained(self, log_dir: str) -> tuple[Run, Model]:
        """Returns a run and its model with the best weights."""
        run = self.open(log_dir)
        model = self._model(run)
        run.restore_best(model)
        return run, model

    def open(self, log_dir: str, keep: int = 2) -> Run:
        """Returns a run that this program has started; `keep` is that of `Run`."""
        return Run.open(log_dir, self.name, self.flags, keep)

    def _start_or_resume(self, args: argparse.Namespace, strategy: tf.distribute.Strategy) -> Run:
        """Returns the run. The chief starts or resumes it; the other workers wait and open it."""
        if not workers.is_chief(strategy):
            workers.broadcast_from_chief(strategy, 0)
            return self.open(args.log_dir)
        begin = self._resume if Run.exists(args.log_dir) else self._start
        run = begin(args, strategy)
        workers.broadcast_from_chief(strategy, 0)
        return run

    def _start(self, args: argparse.Namespace, strategy: tf.distribute.Strategy) -> Run:
        """Starts a run. Checks all inputs before it writes anything."""
        hparams = _apply_flags(self.defaults_for(args), args)
        workers.share(strategy, hparams.batch_size)
        domain, content = self.prepare(args, hparams)
        self._check_memory(hparams, domain, strategy)
        _warn_of_decay(hparams, self.last_step(args, hparams))
        about = {"program": self.name, "hparams": dataclasses.asdict(hparams)}
        about |= {name: getattr(args, name) for name in self.flags}
        run = Run(args.log_dir, about, args.keep)
        with run.beginning():
            self.write(run, domain, content)
        return run

    def _resume(self, args: argparse.Namespace, strategy: tf.distribute.Strategy) -> Run:
        """Opens a run to resume it.

        Raises:
          UsageError: if the command line disagrees with the flags that the run started with.
        """
        run = self.open(args.log_dir, args.keep)
        hparams = self._hparams(run)
        workers.share(strategy, hparams.batch_size)
        given = {name: getattr(args, name) for name in self.flags if getattr(args, name)}
        begun = {name: run.about.get(name) or self.implied.get(name) for name in self.flags}
        different = [name for name, value in given.items() if begun[name] != value]
        others = [f"--{name.replace('_', '-')}" for name in different]
        others += changed(hparams, _apply_flags(hparams, args))
        if others:
            raise UsageError(
                f"--log-dir: the run in {args.log_dir} started with other values of "
                f"{', '.join(others)} (see its run.json); omit them to resume it, or choose "
                "another directory"
            )
        return run

    def _model(self, run: Run, strategy: tf.distribute.Strategy | None = None) -> Model:
        """Returns the run's model; with a strategy, one that is compiled for it.

        Raises:
          UsageError: if the model does not fit into memory.
        """
        hparams, domain = self._hparams(run), self.read(run)
        placement = strategy or tf.distribute.get_strategy()
        self._check_memory(hparams, domain, placement)
        with placement.scope():
            keras.utils.set_random_seed(hparams.seed)
            model = self.make_model(hparams, domain)
            if strategy is not None:
                model.compile()
        return model

    def _check_memory(
        self, hparams: Params, domain: Domain, strategy: tf.distribute.Strategy
    ) -> None:
        share = self.time_steps(hparams) // strategy.num_replicas_in_sync
        memory.check(lambda: self.make_model(hparams, domain), share)

    def _hparams(self, run: Run) -> Params:
        return self.defaults.replace(**run.about["hparams"])


def _apply_flags(hparams: Params, args: argparse.Namespace) -> Params:
    """Returns the hyperparameters as changed by `--hparams` and `--seed`.

    Raises:
      UsageError: for a wrong value, or if the two flags have different seeds.
    """
    changed = hparams.parse(args.hparams)
    if args.seed is None:
        return changed
    if changed.seed not in (hparams.seed, args.seed):
        raise UsageError(f"--seed: --hparams has seed={changed.seed}; give one of them")
    return changed.replace(seed=args.seed)


def _warn_of_decay(hparams: HParams, num_steps: int) -> None:
    if hparams.learning_rate_decay_steps not in (0, num_steps):
        logging.info(
            "the learning rate decays until step %d but training ends at step %d; "
            "consider --hparams learning_rate_decay_steps=%d",
            *(hparams.learning_rate_decay_steps, num_steps, num_steps),
        )
