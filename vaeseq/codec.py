"""Observation encoders and decoders, composable.

An encoder is any Keras layer from observations [N, *event_shape] to features [N, E]. A decoder is
a `DistModule`. The simple decoders take an `event_shape`: their elements are independent.
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
from vaeseq.nn.mlp import MLP, concat, positive_projection


class Flatten(keras.layers.Layer):
    """A nest of observations [N, ...] of any dtype to features [N, D]."""

    def call(self, observed: Any) -> tf.Tensor:
        """Flattens, casts to float and concatenates."""
        return tf.concat(
            [
                tf.reshape(tf.cast(x, tf.float32), [tf.shape(x)[0], math.prod(x.shape[1:])])
                for x in tf.nest.flatten(observed)
            ],
            axis=-1,
        )


class EncoderSequence(keras.layers.Layer):
    """Encoders applied one after another."""

    def __init__(self, encoders: Sequence[Callable[[Any], Any]], name: str | None = None):
        super().__init__(name=name)
        self.encoders = tuple(encoders)

    def call(self, observed: Any) -> Any:
        """The last encoder's output."""
        for encoder in self.encoders:
            observed = encoder(observed)
        return observed


class MLPObsEncoder(EncoderSequence):
    """Puts observations through `hparams.obs_encoder_fc_layers`, then drops some features out.

    Args:
      hparams: the hyperparameters.
      first: layer that makes features of observations; by default `Flatten`.
    """

    def __init__(
        self, hparams: HParams, first: keras.layers.Layer | None = None, name: str | None = None
    ):
        mlp = MLP(hparams, hparams.obs_encoder_fc_layers)
        dropout = Dropout(hparams.dropout)
        super().__init__([first or Flatten(), mlp, dropout], name=name)


class MLPObsDecoder(DistModule):
    """Features, through `hparams.obs_decoder_fc_hidden_layers`, to the params of `decoder`.

    Some of the features are dropped out (Zaremba, Sutskever, Vinyals 2014, arXiv:1409.2329).
    """

    def __init__(self, hparams: HParams, decoder: DistModule, name: str | None = None):
        super().__init__(name=name)
        self.dropout = Dropout(hparams.dropout)
        self.mlp = MLP(hparams, (*hparams.obs_decoder_fc_hidden_layers, decoder.param_size))
        self.decoder = decoder
        self.event_shape, self.event_dtype = decoder.event_shape, decoder.event_dtype

    def call(self, features: Any) -> Any:
        """Any nest of features [N, ...] to the params of the inner decoder."""
        return self.decoder(self.mlp(self.dropout(concat(features))))

    def dist(self, params: Any) -> tfd.Distribution:
        """The inner decoder's distribution."""
        return self.decoder.dist(params)

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """The inner decoder's log-density."""
        return self.decoder.log_prob(params, event)

    def temper(self, params: Any, temperature: Any) -> Any:
        """The inner decoder's tempered params."""
        return self.decoder.temper(params, temperature)


class _ElementwiseDecoder(DistModule):
    """Independent elements of shape `event_shape`, each with `_params_per_element` numbers."""

    _params_per_element = 1

    def __init__(self, event_shape: Sequence[int], dtype: Any, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.event_dtype = tf.TensorShape(event_shape), tf.as_dtype(dtype)
        self.param_size = self._params_per_element * self.event_shape.num_elements()

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Features [N, param_size] to tensors [N, *event_shape]."""
        parts = tf.split(features, self._params_per_element, axis=-1)
        return tuple(tf.reshape(x, [tf.shape(x)[0], *self.event_shape]) for x in parts)

    def _independent(self, elements: tfd.Distribution) -> tfd.Distribution:
        return tfd.Independent(elements, len(self.event_shape)) if self.event_shape else elements


class _LogitDecoder(_ElementwiseDecoder):
    """Discrete elements whose params are logits."""

    def __init__(self, event_shape: Sequence[int] = (), dtype: Any = "int32", **kwargs: Any):
        super().__init__(event_shape, dtype, **kwargs)

    def temper(self, params: Any, temperature: Any) -> Any:
        """Divides the logits."""
        (logits,) = params
        return (logits / temperature,)


class BernoulliDecoder(_LogitDecoder):
    """Features are the logits of Bernoulli variables."""

    def dist(self, params: Any) -> tfd.Distribution:
        """Independent Bernoulli variables."""
        return self._independent(tfd.Bernoulli(*params, dtype=self.event_dtype))


class BinomialDecoder(_LogitDecoder):
    """Features are the logits of Binomial(total_count) variables; tempered are their trials."""

    def __init__(self, total_count: int, event_shape: Sequence[int] = (), **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.total_count = total_count

    def dist(self, params: Any) -> tfd.Distribution:
        """Independent Binomial variables."""
        return self._independent(tfd.Binomial(float(self.total_count), *params))

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """Log-probability in nats; counts may be integers."""
        return super().log_prob(params, tf.cast(event, tf.float32))


class CategoricalDecoder(_LogitDecoder):
    """Features are the logits of variables with values in range(num_classes)."""

    def __init__(self, num_classes: int, event_shape: Sequence[int] = (), **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.num_classes = num_classes
        self.param_size *= num_classes

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Features [N, param_size] to logits [N, *event_shape, num_classes]."""
        shape = [tf.shape(features)[0], *self.event_shape, self.num_classes]
        return (tf.reshape(features, shape),)

    def dist(self, params: Any) -> tfd.Distribution:
        """Independent categorical variables."""
        return self._independent(tfd.Categorical(*params))

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """Log-probability in nats; TensorFlow knows labels of 32 bits or more only."""
        return super().log_prob(params, tf.cast(event, tf.int32))


class _PositiveDecoder(_ElementwiseDecoder):
    """Real elements with two params, of which `projection` makes positive what must be."""

    _params_per_element = 2

    def __init__(
        self, event_shape: Sequence[int] = (), projection: str = "softplus", **kwargs: Any
    ):
        super().__init__(event_shape, "float32", **kwargs)
        self.projection = positive_projection(projection)


class BetaDecoder(_PositiveDecoder):
    """Features are the two concentrations of Beta variables, before their positive projection."""

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Features to the positive concentrations of 1 and of 0."""
        return tuple(self.projection(x) for x in super().call(features))

    def dist(self, params: Any) -> tfd.Distribution:
        """Independent Beta variables."""
        return self._independent(tfd.Beta(*params))

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """Log-density in nats; 0 and 1, where it may be infinite, count as 1e-6 inside."""
        return super().log_prob(params, tf.clip_by_value(event, 1e-6, 1 - 1e-6))

    def temper(self, params: Any, temperature: Any) -> Any:
        """Concentrations (c - 1) / temperature + 1, kept positive."""
        return tuple(tf.maximum((c - 1) / temperature + 1, 1e-4) for c in params)


class NormalDecoder(_PositiveDecoder):
    """Features are the mean and, before its positive projection, the deviation of Normals.

    Args:
      least_scale: what is added to every deviation: a floor for data of which some never vary.
    """

    def __init__(self, event_shape: Sequence[int] = (), least_scale: float = 0.0, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.least_scale = least_scale

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Features to means and positive deviations."""
        loc, scale = super().call(features)
        return loc, self.least_scale + self.projection(scale)

    def dist(self, params: Any) -> tfd.Distribution:
        """Independent Normal variables."""
        return self._independent(tfd.Normal(*params))

    def temper(self, params: Any, temperature: Any) -> Any:
        """The variance times the temperature."""
        loc, scale = params
        return loc, scale * tf.sqrt(temperature)


class JointDecoder(DistModule):
    """Independent parts, as a tuple: each decoder gets its share of the features."""

    def __init__(self, decoders: Sequence[DistModule], name: str | None = None):
        super().__init__(name=name)
        self.decoders = tuple(decoders)
        self.event_shape = tuple(decoder.event_shape for decoder in decoders)
        self.event_dtype = tuple(decoder.event_dtype for decoder in decoders)
        self.param_size = sum(decoder.param_size for decoder in decoders)

    def call(self, features: tf.Tensor) -> tuple[Any, ...]:
        """Features [N, param_size] to a tuple of the parts' params."""
        shares = tf.split(features, [decoder.param_size for decoder in self.decoders], axis=-1)
        return tuple(decoder(x) for decoder, x in zip(self.decoders, shares, strict=True))

    def dist(self, params: Any) -> tfd.Distribution:
        """The joint distribution of the tuple."""
        parts = zip(self.decoders, params, strict=True)
        return tfd.JointDistributionSequential([decoder.dist(p) for decoder, p in parts])

    def log_prob(self, params: Any, event: Any) -> tf.Tensor:
        """The sum of the parts' log-probabilities, in nats."""
        parts = zip(self.decoders, params, event, strict=True)
        return tf.add_n([decoder.log_prob(p, x) for decoder, p, x in parts])

    def temper(self, params: Any, temperature: Any) -> Any:
        """The tempered params of every part."""
        parts = zip(self.decoders, params, strict=True)
        return tuple(decoder.temper(p, temperature) for decoder, p in parts)
