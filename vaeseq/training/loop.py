"""Training in a run directory, with the same result however often it is interrupted."""

import contextlib
from collections.abc import Callable
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.training import workers
from vaeseq.training.callbacks import Interrupts, Progress, Report, SaveCheckpoints
from vaeseq.training.run import Run
from vaeseq.training.trainable import Arrays, Dataset, Trainable

Batch: TypeAlias = Callable[[int], Arrays]
"""A function that returns the batch of a step."""


def train(model: Trainable, batch: Batch, report: Report) -> bool:
    """Trains a compiled model to step `report.num_steps`, from the newest checkpoint of its run.

    A model made in the scope of a `tf.distribute` strategy is trained by all workers.

    Args:
      model: the model.
      batch: returns the batch of a step, a function of the step alone; see `batches_by_step`.
      report: makes the reports in the run.

    Returns:
      False if the run has reached that step already, or a report has ended it.

    Raises:
      ValueError: if a batch is not a step (accumulated gradients, `steps_per_execution`), if the
        batches differ in shape or their arrays in the number of rows, if a report does not have
        its `best_metric`, or could end the training of several workers, because only the chief
        would know.
      UsageError, Stopped, Interrupted: see `Run.training`. Other errors of `batch` are raised as
        they are; an `OSError` becomes `Stopped`.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Series(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([3]))
      >>> def batch(step):
      ...     return np.random.default_rng(step).normal(size=[4, 10, 3]).astype(np.float32)
      >>> model = Series(vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(8,)))
      >>> model.compile()
      >>> run = vaeseq.Run("runs/series", {"program": "series", "hparams": {}})
      >>> with run.beginning():
      ...     pass  # write other files of the run here
      >>> report = vaeseq.Report(
      ...     run,
      ...     num_steps=4,
      ...     every=2,
      ...     validate=lambda: {"valid_loss": -float(np.mean(model.log_prob(batch(10**6))))},
      ...     best_metric="valid_loss",
      ...     sample=lambda: {".txt": b"nothing to read"},
      ... )
      >>> vaeseq.train(model, batch, report)
      True
      >>> [metrics["step"] for metrics in run.metrics()]
      [2, 4]
      >>> vaeseq.train(model, batch, report)  # it is at step 4 already
      False
    """
    if getattr(model.optimizer, "gradient_accumulation_steps", None):
        raise ValueError(
            "train: gradient_accumulation_steps is not supported, because every batch is a step of "
            "the run; use larger batches, or `fit`"
        )
    if getattr(model, "steps_per_execution", 1) != 1:
        raise ValueError("train: steps_per_execution must be 1, because reports are made by step")
    run, stop, strategy = report.run, report.num_steps, model.distribute_strategy
    if report.enough is not None and workers.has_others(strategy):
        raise ValueError(
            "train: a report cannot end the training of several workers; omit `enough`"
        )
    if not workers.is_chief(strategy):
        return _follow(model, batch, run, stop)
    with run.training(model) as start:
        workers.broadcast_from_chief(strategy, start)
        report.set_model(model)
        report.on_train_begin()  # makes the last report if an earlier process was interrupted in it
        ended = start >= stop or report.is_last
        if start >= stop:
            logging.info(
                "%s is at step %d: give a larger number of steps (--num-steps)", run.path, start
            )
        elif ended:
            logging.info("%s: the training has ended at step %d", run.path, start)
        else:
            logging.info("%s from step %d to %d", run.path, start, stop)
            with contextlib.closing(Progress(stop)) as progress:
                saving = SaveCheckpoints(run, report.is_due)  # before the report of the same step
                _fit(model, batch, start, stop, [progress, Interrupts(), saving, report])
        report.on_train_end()
        workers.broadcast_from_chief(strategy, stop)  # the others wait for the last report
    return not ended


def _follow(model: Trainable, batch: Batch, run: Run, stop: int) -> bool:
    """Trains as a worker that is not the chief, and writes nothing."""
    strategy = model.distribute_strategy
    start = workers.broadcast_from_chief(strategy, 0)
    run.checkpoints.restore(model, start)
    if start < stop:
        _fit(model, batch, start, stop, [Interrupts()])
    workers.broadcast_from_chief(strategy, 0)
    return start < stop


def _fit(
    model: Trainable,
    batch: Batch,
    start: int,
    stop: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains from one step to another; raises the errors of `batch` as they are."""
    errors: list[tuple[int, Exception]] = []

    def reached() -> bool:  # batches are made ahead
        return bool(errors) and errors[0][0] == model.trained_steps

    batches = _dataset(batch, start, stop, model.distribute_strategy, errors)
    try:
        with workers.reraise_as_lost_worker():
            model.fit(batches, shuffle=False, verbose=0, callbacks=callbacks)
    except Exception:
        if reached():  # TensorFlow's error has only the text of it
            raise errors[0][1] from None
        raise
    if reached() and not model.stop_training:  # StopIteration, which ends a dataset
        raise errors[0][1]


def batches_by_step(
    batch: Batch, start: int, stop: int, strategy: tf.distribute.Strategy | None = None
) -> Dataset:
    """Returns a dataset of the batches `batch(step)` for start <= step < stop.

    With a strategy of several replicas, each replica gets its rows of every batch.

    Args:
      batch: returns a batch, a nest of arrays; a function of the step alone.
      start: the first step.
      stop: the step after the last.
      strategy: the strategy; None is TensorFlow's current one.

    Raises:
      UsageError: if the rows of a batch cannot be divided equally among the replicas.
      ValueError: if the arrays of a batch have different numbers of rows.
    """
    return _dataset(batch, start, stop, strategy or tf.distribute.get_strategy(), [])


def _dataset(
    batch: Batch,
    start: int,
    stop: int,
    strategy: tf.distribute.Strategy,
    errors: list[tuple[int, Exception]],
) -> Dataset:
    """Returns the dataset of `batches_by_step`; what `batch` raises goes to `errors`, by step."""
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec.from_tensor(tf.constant(x)), batch(start))
    flat_specs = tf.nest.flatten(specs)
    numbers = sorted({spec.shape[0] for spec in flat_specs})
    if len(numbers) > 1:
        raise ValueError(
            f"batch({start}) has arrays of {' and '.join(map(str, numbers))} rows: all must have "
            "the same number"
        )
    replicas = strategy.num_replicas_in_sync
    rows = workers.share(strategy, numbers[0])

    def checked(step: np.int64) -> list[np.ndarray]:
        """Returns the arrays of a batch, which have the shapes of the first."""
        flat = tf.nest.flatten(batch(int(step)))
        for x, spec in zip(flat, flat_specs, strict=True):
            if np.shape(x) != tuple(spec.shape):
                raise ValueError(
                    f"batch({step}) has an array of shape {list(np.shape(x))}, batch({start}) one "
                    f"of {list(spec.shape)}: all batches must have the same shapes"
                )
        return flat

    def dataset(first: int, last: int) -> tf.data.Dataset:
        """Returns the parts `first` to `last` of every batch, one after another."""

        def arrays(step: np.int64) -> list[np.ndarray]:
            try:
                flat = checked(step)
            except Exception as error:
                errors.append((int(step), error))
                raise
            return [x[first * rows : last * rows] for x in flat]

        def load(step: tf.Tensor) -> Arrays:
            flat = tf.numpy_function(arrays, [step], [spec.dtype for spec in flat_specs])
            parts = [
                tf.reshape(x, [last - first, rows, *spec.shape[1:]])
                for x, spec in zip(flat, flat_specs, strict=True)
            ]
            return tf.nest.pack_sequence_as(specs, parts)

        return tf.data.Dataset.range(start, stop).map(load).unbatch().prefetch(8)

    def dataset_of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * own
        return dataset(first, first + own)

    if replicas == 1:
        return dataset(0, 1)
    return strategy.distribute_datasets_from_function(dataset_of_worker)
