"""Decoders whose elements are independent given the features."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import positive_projection
from vaeseq.nn.support import Support
from vaeseq.nn.types import Tensor

_Logits = tuple[tf.Tensor]
_Pair = tuple[tf.Tensor, tf.Tensor]


class ElementwiseDecoder(DistModule):
    """Independent elements, each with `_params_per_element` params.

    Args:
      event_shape: shape of one event.
      dtype: dtype of one event.
      name: the layer's name.
    """

    event_shape: tf.TensorShape
    event_dtype: tf.DType
    num_shared_params = 0  # that belong to no single element
    _params_per_element = 1

    def __init__(self, event_shape: Sequence[int], dtype: str | tf.DType, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.event_dtype = tf.TensorShape(event_shape), tf.as_dtype(dtype)
        self.param_size = self._params_per_element * self.event_shape.num_elements()

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Maps features [N, param_size] to params, each [N, *event_shape]."""
        parts = tf.split(features, self._params_per_element, axis=-1)
        return tuple(tf.reshape(x, [tf.shape(x)[0], *self.event_shape]) for x in parts)

    def flatten_maps(self, maps: tf.Tensor) -> tf.Tensor:
        """Returns params in the place of their elements [N, *event_shape, P] as [N, param_size]."""
        rank = len(self.event_shape) + 2
        return tf.reshape(tf.transpose(maps, [0, rank - 1, *range(1, rank - 1)]), self._flat(maps))

    def _flat(self, x: tf.Tensor) -> list[Any]:
        return [tf.shape(x)[0], self.param_size]

    @property
    def has_independent_elements(self) -> bool:
        """True: single elements may be missing."""
        return True

    def log_prob(self, params: Any, event: Tensor) -> tf.Tensor:
        """Computes the log-density of events in nats."""
        return super().log_prob(params, self._as_event(event))

    def masked_log_prob(self, params: Any, event: Tensor, is_observed: Tensor) -> tf.Tensor:
        """Computes the sum of the log-densities of the elements that are observed, in nats."""
        dist = self.dist(params)
        elements = dist.distribution
        log_prob = tf.where(is_observed, elements.log_prob(self._as_event(event)), 0.0)
        rank = log_prob.shape.rank
        return tf.reduce_sum(log_prob, axis=list(range(rank - len(self.event_shape), rank)))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        """Returns an event as the distribution takes it."""
        return event

    def _independent(self, elements: tfd.Distribution) -> tfd.Distribution:
        return tfd.Independent(elements, len(self.event_shape))


class _LogitDecoder(ElementwiseDecoder):
    """Discrete elements, whose params are logits."""

    def __init__(
        self,
        event_shape: Sequence[int] = (),
        dtype: str | tf.DType = "int32",
        name: str | None = None,
    ):
        super().__init__(event_shape, dtype, name=name)

    def temper(self, params: _Logits, temperature: Tensor | float) -> _Logits:
        """Divides the logits by the temperature."""
        (logits,) = params
        return (logits / temperature,)


class BernoulliDecoder(_LogitDecoder):
    """Binary observations: independent Bernoulli variables.

    Params: (logits [N, *event_shape],), log-odds of 1. Events: 0 or 1, `dtype` [N, *event_shape].
    `param_size`: one feature per element.

    Args:
      event_shape: shape of one observation; () for one binary number.
      dtype: dtype of observations.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.BernoulliDecoder([3])
      >>> params = decoder(tf.zeros([2, decoder.param_size]))  # log-odds of 0: a fair coin
      >>> decoder.log_prob(params, tf.ones([2, 3], tf.int32)).numpy().round(3)
      array([-2.079, -2.079], dtype=float32)
    """

    @property
    def support(self) -> Support:
        """The numbers 0 and 1."""
        return Support(type(self).__name__, 0, 1, whole=True)

    def dist(self, params: _Logits) -> tfd.Distribution:
        """Returns independent Bernoulli distributions."""
        return self._independent(tfd.Bernoulli(*params, dtype=self.event_dtype))


class BinomialDecoder(_LogitDecoder):
    """Counts from 0 to `total_count`: independent binomial variables.

    Params: (logits [N, *event_shape],), log-odds of success of one trial. Events: counts, `dtype`
    [N, *event_shape]. `param_size`: one feature per element. A temperature applies to the single
    trials, not to the count.

    Args:
      total_count: the number of trials of each element.
      event_shape: shape of one observation; () for one count.
      dtype: dtype of observations.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.BinomialDecoder(total_count=10)
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.dist(params).mean().numpy().tolist()
      [5.0, 5.0]
    """

    def __init__(
        self,
        total_count: int,
        event_shape: Sequence[int] = (),
        dtype: str | tf.DType = "int32",
        name: str | None = None,
    ):
        super().__init__(event_shape, dtype, name=name)
        self.total_count = total_count

    @property
    def support(self) -> Support:
        """Whole numbers from 0 to `total_count`."""
        return Support(type(self).__name__, 0, self.total_count, whole=True)

    def dist(self, params: _Logits) -> tfd.Distribution:
        """Returns independent binomial distributions."""
        return self._independent(tfd.Binomial(float(self.total_count), *params))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        return tf.cast(event, tf.float32)


class CategoricalDecoder(_LogitDecoder):
    """Classes 0 to `num_classes` - 1: independent categorical variables.

    Params: (logits [N, *event_shape, num_classes],). Events: classes, `dtype` [N, *event_shape].
    `param_size`: `num_classes` features per element.

    Args:
      num_classes: the number of classes of each element.
      event_shape: shape of one observation; () for one class.
      dtype: dtype of observations.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.CategoricalDecoder(num_classes=26)
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.log_prob(params, tf.constant([0, 25])).numpy().round(3)
      array([-3.258, -3.258], dtype=float32)
    """

    def __init__(
        self,
        num_classes: int,
        event_shape: Sequence[int] = (),
        dtype: str | tf.DType = "int32",
        name: str | None = None,
    ):
        super().__init__(event_shape, dtype, name=name)
        self.num_classes = num_classes
        self.param_size *= num_classes

    @property
    def support(self) -> Support:
        """Whole numbers from 0 to `num_classes` - 1."""
        return Support(type(self).__name__, 0, self.num_classes - 1, whole=True)

    def call(self, features: tf.Tensor) -> _Logits:
        """Maps features [N, param_size] to logits [N, *event_shape, num_classes]."""
        shape = [tf.shape(features)[0], *self.event_shape, self.num_classes]
        return (tf.reshape(features, shape),)

    def flatten_maps(self, maps: tf.Tensor) -> tf.Tensor:
        """Returns logits [N, *event_shape, num_classes] as [N, param_size]."""
        return tf.reshape(maps, self._flat(maps))

    def dist(self, params: _Logits) -> tfd.Distribution:
        """Returns independent categorical distributions."""
        return self._independent(tfd.Categorical(*params))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        return tf.cast(event, tf.int32)  # TensorFlow has no cross-entropy with labels of 8 bits


class _PositiveDecoder(ElementwiseDecoder):
    """Real elements with two params, of which at least one must be positive."""

    _params_per_element = 2

    def __init__(
        self,
        event_shape: Sequence[int] = (),
        projection: str = "softplus",
        name: str | None = None,
    ):
        super().__init__(event_shape, "float32", name=name)
        self.projection = positive_projection(projection)


class BetaDecoder(_PositiveDecoder):
    """Numbers between 0 and 1: independent beta variables.

    Params: (concentration1, concentration0), the positive concentrations at 1 and at 0, each
    [N, *event_shape]. Events: float32 [N, *event_shape]. `param_size`: two features per element.

    For `log_prob`, events are clipped to [1e-6, 1 - 1e-6], because the density may be infinite at 0
    and 1.

    Args:
      event_shape: shape of one observation; () for one number.
      projection: map from features to positive numbers, "softplus" or "exp".
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.BetaDecoder([3])
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> decoder.sample(params, seed=[0, 1]).shape
      TensorShape([2, 3])
    """

    @property
    def support(self) -> Support:
        """Numbers from 0 to 1."""
        return Support(type(self).__name__, 0, 1)

    def call(self, features: tf.Tensor) -> _Pair:
        """Maps features [N, param_size] to positive concentrations [N, *event_shape]."""
        concentration1, concentration0 = super().call(features)
        return self.projection(concentration1), self.projection(concentration0)

    def dist(self, params: _Pair) -> tfd.Distribution:
        """Returns independent beta distributions."""
        return self._independent(tfd.Beta(*params))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        return tf.clip_by_value(event, 1e-6, 1 - 1e-6)

    def temper(self, params: _Pair, temperature: Tensor | float) -> _Pair:
        """Returns the concentrations (c - 1) / temperature + 1, at least 1e-4."""
        concentration1, concentration0 = (
            tf.maximum((c - 1) / temperature + 1, 1e-4) for c in params
        )
        return concentration1, concentration0


class NormalDecoder(_PositiveDecoder):
    """Real numbers: independent normal variables.

    Params: (mean, standard deviation), each [N, *event_shape], in the units of the observations.
    Events: float32 [N, *event_shape]. `param_size`: two features per element.

    Args:
      event_shape: shape of one observation; () for one number.
      least_scale: added to each standard deviation, in the units of the observations. It bounds
        the density of elements that never vary.
      projection: map from features to positive numbers, "softplus" or "exp".
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.NormalDecoder([3])
      >>> mean, stddev = decoder(tf.zeros([2, decoder.param_size]))
      >>> mean.shape, stddev.shape
      (TensorShape([2, 3]), TensorShape([2, 3]))
    """

    def __init__(
        self,
        event_shape: Sequence[int] = (),
        least_scale: float = 0.0,
        projection: str = "softplus",
        name: str | None = None,
    ):
        super().__init__(event_shape, projection, name=name)
        self.least_scale = least_scale

    def call(self, features: tf.Tensor) -> _Pair:
        """Maps features [N, param_size] to means and standard deviations [N, *event_shape]."""
        loc, scale = super().call(features)
        return loc, self.least_scale + self.projection(scale)

    def dist(self, params: _Pair) -> tfd.Distribution:
        """Returns independent normal distributions."""
        return self._independent(tfd.Normal(*params))

    def temper(self, params: _Pair, temperature: Tensor | float) -> _Pair:
        """Multiplies the variances by the temperature."""
        loc, scale = params
        return loc, scale * tf.sqrt(temperature)
