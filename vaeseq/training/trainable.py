"""Trainable: what a model must offer so that `vaeseq.train` can train it in a run directory."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import keras
import tensorflow as tf


class Trainable(Protocol):
    """A compiled Keras model that counts its steps and names the variables of its training.

    `ModelBase` is one, and so is any `keras.Model` with `trained_steps` and `training_state`.
    """

    stop_training: bool

    @property
    def trained_steps(self) -> int:
        """The number of training steps made so far."""

    @property
    def training_state(self) -> Mapping[str, Sequence[tf.Variable | keras.Variable]]:
        """The variables that a checkpoint keeps beside the weights, in named groups."""

    @property
    def weights(self) -> Sequence[keras.Variable]:
        """The variables that generate and are evaluated."""

    @property
    def metrics(self) -> Sequence[keras.metrics.Metric]:
        """The metrics of a training step; `reset_metrics` sets them to their initial state."""

    @property
    def distribute_strategy(self) -> tf.distribute.Strategy:
        """The strategy in whose scope the model was made."""

    def reset_metrics(self) -> None:
        """Sets all metrics to their initial state."""

    def get_metrics_result(self) -> dict[str, Any]:
        """Returns the value of every metric by name."""

    def fit(self, x: Any, **kwargs: Any) -> Any:
        """Trains on a dataset: `keras.Model.fit`."""
