"""Training in a run directory: exact, however often it is interrupted."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.training import workers
from vaeseq.training.callbacks import Checkpoints, Interrupts, Progress, Report
from vaeseq.training.run import Run
from vaeseq.training.trainable import Trainable

Batch = Callable[[int], Any]  # a nest of arrays


def train(model: Trainable, batch: Batch, report: Report) -> bool:
    """Trains a compiled model to `report.num_steps`, going on from where its run stands.

    A model made in the scope of a `tf.distribute` strategy is trained by all its workers.

    Args:
      model: the model.
      batch: the observations of a step, a function of the step alone; see `batches_by_step`.
      report: the reports, with their run.

    Returns:
      Whether there was anything left to train.

    Raises:
      UsageError, Stopped, Interrupted: see `Run.training`.
    """
    run, stop, strategy = report.run, report.num_steps, model.distribute_strategy
    if not workers.is_chief(strategy):
        return _follow(model, batch, run, stop)
    with run.training(model) as start:
        workers.broadcast_from_chief(strategy, start)
        if start >= stop:
            logging.info("%s is at step %d: give a larger --num-steps", run.path, start)
            report.set_model(model)
            report.on_train_begin()  # which may have been interrupted
            report.on_train_end()
        else:
            logging.info("%s from step %d to %d", run.path, start, stop)
            batches = batches_by_step(batch, start, stop, strategy)
            with contextlib.closing(Progress(stop)) as progress:
                callbacks = [progress, Interrupts(), Checkpoints(run, report.is_due), report]
                _fit(model, batches, callbacks)
        workers.broadcast_from_chief(strategy, stop)  # nobody leaves before the last report
    return start < stop


def _follow(model: Trainable, batch: Batch, run: Run, stop: int) -> bool:
    """What the workers do that do not write."""
    strategy = model.distribute_strategy
    start = workers.broadcast_from_chief(strategy, 0)
    run.restore(model, start)
    if start < stop:
        _fit(model, batches_by_step(batch, start, stop, strategy), [Interrupts()])
    workers.broadcast_from_chief(strategy, 0)
    return start < stop


def _fit(model: Trainable, batches: Any, callbacks: list[keras.callbacks.Callback]) -> None:
    with workers.reraise_as_lost_worker():
        model.fit(batches, shuffle=False, verbose=0, callbacks=callbacks)


def batches_by_step(
    batch: Batch, start: int, stop: int, strategy: tf.distribute.Strategy | None = None
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """The batches `batch(step)` for start <= step < stop: each a function of its step alone.

    With a strategy of several replicas, each gets its rows of the batch.

    Raises:
      UsageError: where the replicas cannot have equally many rows.
    """
    specs = tf.nest.map_structure(lambda x: tf.TensorSpec.from_tensor(tf.constant(x)), batch(start))
    flat_specs = tf.nest.flatten(specs)
    strategy = strategy or tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    rows = workers.share(strategy, flat_specs[0].shape[0])

    def dataset(first: int, last: int) -> tf.data.Dataset:
        """The parts `first` to `last` of every batch, one after another."""

        def arrays(step: np.int64) -> list[np.ndarray]:
            return [x[first * rows : last * rows] for x in tf.nest.flatten(batch(int(step)))]

        def load(step: tf.Tensor) -> Any:
            flat = tf.numpy_function(arrays, [step], [spec.dtype for spec in flat_specs])
            parts = [
                tf.reshape(x, [last - first, rows, *spec.shape[1:]])
                for x, spec in zip(flat, flat_specs, strict=True)
            ]
            return tf.nest.pack_sequence_as(specs, parts)

        return tf.data.Dataset.range(start, stop).map(load).unbatch().prefetch(8)

    def own(context: tf.distribute.InputContext) -> tf.data.Dataset:
        own = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * own
        return dataset(first, first + own)

    if replicas == 1:
        return dataset(0, 1)
    return strategy.distribute_datasets_from_function(own)
