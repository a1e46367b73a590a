"""Encoders and decoders of observations.

An encoder is any Keras layer from observations [N, *event_shape] to features [N, E]. A decoder is
a `DistModule`: the distribution of one observation, given features [N, D], one tensor.

The decoders named after a distribution take `event_shape`, the shape of one observation; its
elements are independent given the features. `JointDecoder` combines decoders to one of tuples.
`MLPObsDecoder` puts an MLP before a decoder, so that it takes features of any size. All
log-probabilities are in nats.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.mlp import MLP, positive_projection
from vaeseq.nn.support import Support
from vaeseq.nn.types import Nest, Tensor

_Logits = tuple[tf.Tensor]
_Pair = tuple[tf.Tensor, tf.Tensor]


class Flatten(keras.layers.Layer):
    """An encoder that flattens: nest of observations [N, ...] of any dtype to features [N, E]."""

    def call(self, observed: Nest) -> tf.Tensor:
        """Flattens each tensor, casts it to float32, and concatenates all."""
        return tf.concat(
            [
                tf.reshape(tf.cast(x, tf.float32), [tf.shape(x)[0], math.prod(x.shape[1:])])
                for x in tf.nest.flatten(observed)
            ],
            axis=-1,
        )


class EncoderSequence(keras.layers.Layer):
    """Encoders applied one after another.

    Args:
      encoders: layers; the first takes observations, each other the outputs of the one before.
      name: the layer's name.
    """

    def __init__(self, encoders: Sequence[Callable[[Nest], Nest]], name: str | None = None):
        super().__init__(name=name)
        self.encoders = tuple(encoders)

    def call(self, observed: Nest) -> Nest:
        """Returns the outputs of the last encoder."""
        for encoder in self.encoders:
            observed = encoder(observed)
        return observed


class MLPObsEncoder(EncoderSequence):
    """`first`, then an MLP of `hparams.obs_encoder_fc_layers`, then dropout.

    Args:
      hparams: the hyperparameters.
      first: layer from observations [N, *event_shape] to features; by default `Flatten`.
      name: the layer's name.
    """

    def __init__(
        self, hparams: HParams, first: keras.layers.Layer | None = None, name: str | None = None
    ):
        mlp = MLP(hparams, hparams.obs_encoder_fc_layers)
        dropout = Dropout(hparams.dropout)
        super().__init__([first or Flatten(), mlp, dropout], name=name)


class MLPObsDecoder(DistModule):
    """Dropout, then an MLP of `hparams.obs_decoder_fc_hidden_layers`, then `decoder`.

    Takes features of any size. The MLP ends with `decoder.param_size` units. Dropout of the
    outputs of a recurrent network: Zaremba, Sutskever, Vinyals 2014, arXiv:1409.2329.

    Args:
      hparams: the hyperparameters.
      decoder: the distribution of observations; must define `param_size`.
      name: the layer's name.
    """

    def __init__(self, hparams: HParams, decoder: DistModule, name: str | None = None):
        super().__init__(name=name)
        self.dropout = Dropout(hparams.dropout)
        self.mlp = MLP(hparams, (*hparams.obs_decoder_fc_hidden_layers, _param_size(decoder)))
        self.decoder = decoder
        self.event_shape, self.event_dtype = decoder.event_shape, decoder.event_dtype

    @property
    def neutral_event(self) -> Nest:
        """That of `decoder`."""
        return self.decoder.neutral_event

    @property
    def support(self) -> Nest:
        """That of `decoder`."""
        return self.decoder.support

    def call(self, features: tf.Tensor) -> Nest:
        """Maps features [N, D] to the params of `decoder`."""
        return self.decoder(self.mlp(self.dropout(features)))

    def dist(self, params: Nest) -> tfd.Distribution:
        """Returns the distribution of `decoder`."""
        return self.decoder.dist(params)

    def log_prob(self, params: Nest, event: Nest) -> tf.Tensor:
        """Computes the log-density of `decoder` in nats."""
        return self.decoder.log_prob(params, event)

    @property
    def has_independent_elements(self) -> Nest:
        """That of `decoder`."""
        return self.decoder.has_independent_elements

    def masked_log_prob(self, params: Nest, event: Nest, is_observed: Nest) -> tf.Tensor:
        """Computes the log-density of what is observed with `decoder`, in nats."""
        return self.decoder.masked_log_prob(params, event, is_observed)

    def temper(self, params: Nest, temperature: Tensor | float) -> Nest:
        """Returns the tempered params of `decoder`."""
        return self.decoder.temper(params, temperature)


class _ElementwiseDecoder(DistModule):
    """Independent elements, each with `_params_per_element` params.

    Args:
      event_shape: shape of one event.
      dtype: dtype of one event.
      name: the layer's name.
    """

    _params_per_element = 1

    def __init__(self, event_shape: Sequence[int], dtype: str | tf.DType, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.event_dtype = tf.TensorShape(event_shape), tf.as_dtype(dtype)
        self.param_size = self._params_per_element * self.event_shape.num_elements()

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Maps features [N, param_size] to params, each [N, *event_shape]."""
        parts = tf.split(features, self._params_per_element, axis=-1)
        return tuple(tf.reshape(x, [tf.shape(x)[0], *self.event_shape]) for x in parts)

    @property
    def has_independent_elements(self) -> bool:
        """True: single elements may be missing."""
        return True

    def log_prob(self, params: Any, event: Tensor) -> tf.Tensor:
        """Computes the log-density of events of any dtype, in nats."""
        return super().log_prob(params, self._as_event(event))

    def masked_log_prob(self, params: Any, event: Tensor, is_observed: Tensor) -> tf.Tensor:
        """Computes the sum of the log-densities of the elements that are observed, in nats."""
        dist = self.dist(params)
        elements = dist.distribution if self.event_shape else dist
        log_prob = tf.where(is_observed, elements.log_prob(self._as_event(event)), 0.0)
        rank = log_prob.shape.rank
        return tf.reduce_sum(log_prob, axis=list(range(rank - len(self.event_shape), rank)))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        """Returns an event as the distribution takes it."""
        return event

    def _independent(self, elements: tfd.Distribution) -> tfd.Distribution:
        return tfd.Independent(elements, len(self.event_shape)) if self.event_shape else elements


class _LogitDecoder(_ElementwiseDecoder):
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

    def dist(self, params: _Logits) -> tfd.Distribution:
        """Returns independent categorical distributions."""
        return self._independent(tfd.Categorical(*params))

    def _as_event(self, event: Tensor) -> tf.Tensor:
        return tf.cast(event, tf.int32)  # TensorFlow has no cross-entropy with labels of 8 bits


class _PositiveDecoder(_ElementwiseDecoder):
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


class JointDecoder(DistModule):
    """Tuples: independent parts, each with a decoder of its own.

    Params and events: tuples with those of each decoder. `param_size`: the sum of the decoders';
    the features are split among them in order.

    Args:
      decoders: the decoders of the parts; each must define `param_size`.
      name: the layer's name.
    """

    def __init__(self, decoders: Sequence[DistModule], name: str | None = None):
        super().__init__(name=name)
        self.decoders = tuple(decoders)
        self.param_size = sum(map(_param_size, decoders))
        self.event_shape = tuple(decoder.event_shape for decoder in decoders)
        self.event_dtype = tuple(decoder.event_dtype for decoder in decoders)

    @property
    def support(self) -> tuple[Nest, ...]:
        """A tuple with those of the parts."""
        return tuple(decoder.support for decoder in self.decoders)

    @property
    def neutral_event(self) -> tuple[Nest, ...]:
        """A tuple with those of the parts."""
        return tuple(decoder.neutral_event for decoder in self.decoders)

    @property
    def has_independent_elements(self) -> tuple[Nest, ...]:
        """A tuple with those of the parts."""
        return tuple(decoder.has_independent_elements for decoder in self.decoders)

    def masked_log_prob(self, params: Nest, event: Nest, is_observed: Nest) -> tf.Tensor:
        """Computes the sum of the parts' log-densities of what is observed, in nats."""
        parts = zip(self.decoders, params, event, is_observed, strict=True)
        return tf.add_n([decoder.masked_log_prob(*part) for decoder, *part in parts])

    def call(self, features: tf.Tensor) -> tuple[Nest, ...]:
        """Maps features [N, param_size] to a tuple of the parts' params."""
        shares = tf.split(features, [decoder.param_size for decoder in self.decoders], axis=-1)
        return tuple(decoder(x) for decoder, x in zip(self.decoders, shares, strict=True))

    def dist(self, params: Nest) -> tfd.Distribution:
        """Returns the joint distribution of the parts."""
        parts = zip(self.decoders, params, strict=True)
        return tfd.JointDistributionSequential([decoder.dist(p) for decoder, p in parts])

    def log_prob(self, params: Nest, event: Nest) -> tf.Tensor:
        """Computes the sum of the parts' log-densities in nats."""
        parts = zip(self.decoders, params, event, strict=True)
        return tf.add_n([decoder.log_prob(p, x) for decoder, p, x in parts])

    def temper(self, params: Nest, temperature: Tensor | float) -> tuple[Nest, ...]:
        """Returns the tempered params of each part."""
        parts = zip(self.decoders, params, strict=True)
        return tuple(decoder.temper(p, temperature) for decoder, p in parts)


def _param_size(decoder: DistModule) -> int:
    """Returns the number of features that a decoder takes.

    Raises:
      TypeError: if it is no decoder.
      ValueError: if it takes any number.
    """
    name = type(decoder).__name__
    if not isinstance(decoder, DistModule):
        raise TypeError(
            f"the decoder must be a vaeseq.DistModule such as codec.NormalDecoder([3]), not {name}"
        )
    if not hasattr(decoder, "param_size"):
        raise ValueError(f"{name} must set param_size, the number of features that it takes")
    return decoder.param_size
