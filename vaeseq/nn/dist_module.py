"""DistModule: features -> params -> distribution."""

import abc
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.nn.support import Support
from vaeseq.nn.types import DTypes, Nest, Shapes, Tensor


class DistModule(keras.layers.Layer, abc.ABC):
    """A conditional distribution p(event | features).

    A Keras layer can neither take nor return a distribution, so the work is split in two: `call`
    maps features to params, a nest of tensors, and `dist` maps params to a distribution.

    You write:

    * `event_shape`, `event_dtype` and `param_size`, set in the constructor.
    * `call` and `dist`.
    * `temper` (optional), to allow temperatures other than 1.
    * `support` (optional), if events cannot be all numbers; models then refuse others.
    * `neutral_event` (optional), if the density of 0 is 0.
    * `has_independent_elements` and `masked_log_prob` (optional), if single elements of an
      event may be missing.

    You get `log_prob` and `sample`. The params of these methods are what your `call` returns.

    Attributes:
      event_shape: shape of one event: a `tf.TensorShape`, or a nest of them.
      event_dtype: dtype of one event: a `tf.DType`, or a nest of them like `event_shape`.
      param_size: number of features that `call` takes. A module that starts with an MLP accepts
        any number and does not set it.

    Example:
      >>> import tensorflow as tf
      >>> from tensorflow_probability import distributions as tfd
      >>> import vaeseq
      >>> class Laplace(vaeseq.DistModule):
      ...     event_shape, event_dtype, param_size = tf.TensorShape([]), tf.float32, 2
      ...     def call(self, features):
      ...         loc, scale = tf.unstack(features, axis=-1)
      ...         return loc, tf.nn.softplus(scale)
      ...     def dist(self, params):
      ...         return tfd.Laplace(*params)
      >>> decoder = Laplace()
      >>> params = decoder(tf.zeros([4, decoder.param_size]))
      >>> decoder.log_prob(params, tf.zeros([4])).shape
      TensorShape([4])
      >>> decoder.sample(params, seed=[0, 1]).shape
      TensorShape([4])
    """

    event_shape: Shapes
    event_dtype: DTypes
    param_size: int

    @property
    def support(self) -> Nest:
        """The numbers that events can be: a `Support`, or a nest of them like `event_shape`.

        By default, all numbers.
        """
        return tf.nest.map_structure(lambda _: Support(type(self).__name__), self.event_dtype)

    @property
    def neutral_event(self) -> Nest:
        """An event that stands where nothing is observed, such as behind the end of a row.

        A nest of [*event_shape]: zeros by default. Override it if the density of 0 is 0, so that
        its logarithm stays finite.
        """
        return tf.nest.map_structure(
            lambda dtype, shape: tf.zeros(shape, dtype), self.event_dtype, self.event_shape
        )

    @abc.abstractmethod
    def call(self, features: tf.Tensor) -> Nest:
        """Maps features [N, param_size] to params, a nest of tensors [N, ...].

        The features are one tensor, whatever the core: if it has several, such as d_t and z_t, it
        concatenates them.
        """

    @abc.abstractmethod
    def dist(self, params: Any) -> tfd.Distribution:
        """Returns the distribution with these params.

        Its batch shape is the leading shape of the params, such as [N] or [B, T].
        """

    def temper(self, params: Any, temperature: Tensor | float) -> Nest:
        """Returns the params of a density proportional to p^(1 / temperature).

        Raises:
          NotImplementedError: if the distribution does not support temperatures.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not support temperatures other than 1: define `temper`"
        )

    def log_prob(self, params: Any, event: Nest) -> tf.Tensor:
        """Computes the log-density of an event in nats; has the batch shape of the params."""
        return self._checked_dist(params).log_prob(event)

    @property
    def has_independent_elements(self) -> Nest:
        """Whether single elements of an event may be missing: a bool, or a nest like `event_shape`.

        Where it is False, the default, an event is observed as a whole or not at all. A decoder for
        which it is True overrides `masked_log_prob`.
        """
        return tf.nest.map_structure(lambda _: False, self.event_dtype)

    def masked_log_prob(self, params: Any, event: Nest, is_observed: Nest) -> tf.Tensor:
        """Computes the log-density of what is observed of an event, in nats.

        Args:
          params: the output of `call`.
          event: nest of [..., *event_shape]; what is missing has a neutral value.
          is_observed: nest of bool like `event`.

        Returns:
          The log-density, with the batch shape of the params; 0 if nothing is observed.
        """
        log_prob = self.log_prob(params, event)
        whole = [
            tf.reduce_all(x, axis=list(range(log_prob.shape.rank, x.shape.rank)))
            for x in tf.nest.flatten(is_observed)
        ]
        return tf.where(tf.reduce_all(whole, axis=0), log_prob, 0.0)

    def given(self, params: Any, event: Nest, is_observed: Nest) -> Nest:
        """Returns the params of what is missing of an event, given what is observed of it.

        The arguments are those of `masked_log_prob`. By default the params themselves: override it
        if single elements may be missing and depend on the others.
        """
        return params

    def sample(self, params: Any, seed: Tensor) -> Nest:
        """Samples one event for each element of the batch shape.

        Args:
          params: the output of `call`.
          seed: stateless seed, int32 [2].
        """
        event = tf.nest.flatten(self._checked_dist(params).sample(seed=seed))
        event = tf.nest.pack_sequence_as(self.event_dtype, event)
        return tf.nest.map_structure(tf.cast, event, self.event_dtype)

    def sample_alike(self, params: Any, seed: Tensor) -> Nest:
        """Samples one event for each row of params [B, ...], all with the same noise.

        Each row gets what `sample` gives it alone, so equal params give equal events.
        """

        def of_row(row: Any) -> Nest:
            alone = tf.nest.map_structure(lambda x: x[None], row)
            return tf.nest.map_structure(lambda x: x[0], self.sample(alone, seed))

        return tf.map_fn(of_row, params, fn_output_signature=self.event_dtype)

    def _checked_dist(self, params: Any) -> tfd.Distribution:
        """Returns the distribution; raises `ValueError` if its events have not `event_shape`.

        TensorFlow would broadcast the events, and compute something else.
        """
        dist = self.dist(params)
        actual, expected = tf.nest.flatten(dist.event_shape), tf.nest.flatten(self.event_shape)
        if len(actual) != len(expected) or not all(
            x.is_compatible_with(y) for x, y in zip(actual, expected, strict=True)
        ):
            raise ValueError(
                f"the distribution of {type(self).__name__} has events of the shape "
                f"{dist.event_shape}, but its event_shape is {self.event_shape}; tfd.Independent "
                "makes the last axes of a distribution part of its event"
            )
        return dist
