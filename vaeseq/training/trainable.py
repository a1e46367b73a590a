"""Trainable: what a model needs so that `vaeseq.train` can train it in a run directory."""

from collections.abc import Mapping, Sequence
from typing import Protocol, SupportsFloat, TypeAlias

import keras
import numpy as np
import tensorflow as tf

Variable: TypeAlias = keras.Variable | tf.Variable

Arrays: TypeAlias = "np.ndarray | tf.Tensor | Sequence[Arrays] | Mapping[str, Arrays]"
"""A batch: an array, or a nest of arrays, with the rows on the first axis."""

Dataset: TypeAlias = tf.data.Dataset | tf.distribute.DistributedDataset


class Trainable(Protocol):
    """A compiled Keras model that counts its steps and lists the variables of its training.

    `ModelBase` is one, and so is any `keras.Model` with `trained_steps` and `training_state`.
    """

    stop_training: bool
    optimizer: keras.optimizers.Optimizer

    @property
    def trained_steps(self) -> int:
        """The number of completed training steps."""

    @property
    def training_state(self) -> Mapping[str, Sequence[Variable]]:
        """The variables that a checkpoint stores beside the weights, in named groups."""

    @property
    def weights(self) -> Sequence[keras.Variable]:
        """The variables needed for generation and evaluation."""

    @property
    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """The metrics of a training step, means each."""

    @property
    def distribute_strategy(self) -> tf.distribute.Strategy:
        """The strategy in whose scope the model was made."""

    def reset_metrics(self) -> None:
        """Sets all metrics to their initial state."""

    def get_metrics_result(self) -> Mapping[str, SupportsFloat]:
        """Returns the value of every metric by name."""

    def fit(
        self,
        x: Dataset,
        *,
        shuffle: bool,
        verbose: int,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> object:
        """Trains on a dataset: `keras.Model.fit`."""
