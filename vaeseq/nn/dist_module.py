"""DistModule: features -> params -> distribution."""

import abc
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd


class DistModule(keras.layers.Layer, abc.ABC):
    """A conditional distribution p(event | features).

    You write `call` and `dist`, and `temper` where temperatures make sense; the library gets
    likelihoods and samples.
    A Keras layer neither takes nor returns a distribution: `call` returns tensors, the `params`,
    and `dist` makes the distribution of them.

    Attributes:
      event_shape: shape of one event, a `tf.TensorShape`, or a nest of such.
      event_dtype: its dtype, or a nest of such.
      param_size: the number of features that `call` takes; a module that starts with an MLP has
        none, since any will do.
    """

    event_shape: Any
    event_dtype: Any
    param_size: int

    @abc.abstractmethod
    def call(self, features: Any) -> Any:
        """Features [N, param_size] to params, a nest of tensors [N, ...]."""

    @abc.abstractmethod
    def dist(self, params: Any) -> tfd.Distribution:
        """The distribution with these params, which may have any batch shape: [N], [B, T]."""

    def temper(self, params: Any, temperature: Any) -> Any:
        """The params of a density in proportion to p^(1 / temperature)."""
        raise NotImplementedError(f"{type(self).__name__} does not know temperatures.")

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """Log-density of the event in nats, of the batch shape."""
        return self.dist(params).log_prob(event)

    def sample(self, params: Any, seed: Any) -> Any:
        """Draws one event for each element of the batch shape; `seed` is stateless, int32 [2]."""
        event = tf.nest.flatten(self.dist(params).sample(seed=seed))
        event = tf.nest.pack_sequence_as(self.event_dtype, event)
        return tf.nest.map_structure(tf.cast, event, self.event_dtype)
