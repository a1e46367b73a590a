"""Training by several replicas of a model together (`tf.distribute`)."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from vaeseq.nn.types import Nest
from vaeseq.training.private_api import NoSymbolicBuild, compile_quietly, use_summed_gradients

Metrics: TypeAlias = dict[str, tf.Tensor]
TrainFunction: TypeAlias = Callable[[Iterator[Nest]], Metrics]
"""Makes one step with the next batch."""


class ReplicatedModel(NoSymbolicBuild, keras.Model):
    """A Keras model that several replicas train and evaluate together.

    You write `train_step` and `test_step`, which return equal results on all replicas: they use
    `vaeseq.nn.replicas.total`. With one replica, everything is as in Keras.
    """

    # As in Keras, they are None until they are made.
    train_function: TrainFunction
    test_function: TrainFunction
    predict_function: Callable[[Iterator[Nest]], Any]

    @property
    def is_replicated(self) -> bool:
        """Whether several replicas share each batch."""
        return bool(self.distribute_strategy.num_replicas_in_sync > 1)

    def compile(self, optimizer: keras.optimizers.Optimizer | str, **kwargs: Any) -> None:
        """Compiles as Keras does, and creates the variables of the optimizer."""
        with self.distribute_strategy.scope():
            super().compile(optimizer=optimizer, **kwargs)
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
        # With several replicas, `train_step` sums the gradients before they are clipped.
        use_summed_gradients(self.optimizer)

    def make_train_function(self, force: bool = False) -> None:
        """Sets `train_function`, which runs `train_step` on the next batch."""
        if not self.is_replicated:
            super().make_train_function(force)
        elif self.train_function is None or force:
            self.train_function = self.replicate(self.train_step)

    def make_test_function(self, force: bool = False) -> None:
        """Sets `test_function`, which runs `test_step` on the next batch."""
        if not self.is_replicated:
            super().make_test_function(force)
        elif self.test_function is None or force:
            self.test_function = self.replicate(self.test_step)

    def replicate(self, step: Callable[[Nest], Metrics]) -> TrainFunction:
        """Returns a function that runs a step on the next batch of a distributed iterator.

        It returns the results of the first local replica: all replicas have the same ones. Keras
        3.15 would average them over an axis that they do not have.
        """
        strategy = self.distribute_strategy

        def first(result: tf.Tensor) -> tf.Tensor:
            return strategy.experimental_local_results(result)[0]

        def step_with(batch: Nest) -> Metrics:
            # Nothing of a step may happen if there is no further batch, not even a new seed.
            with tf.control_dependencies(tf.nest.flatten(batch)):
                return step(batch)

        def run(iterator: Iterator[Nest]) -> Metrics:
            results = strategy.run(step_with, args=(next(iterator),))
            metrics: Metrics = tf.nest.map_structure(first, results)
            return metrics

        function: TrainFunction = compile_quietly(run)
        return function
