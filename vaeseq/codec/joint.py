"""Tuples of observations, each with a decoder of its own."""

from collections.abc import Sequence

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.codec.wrapped import param_size
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.types import Nest, Tensor


class JointDecoder(DistModule):
    """Tuples: independent parts, each with a decoder of its own.

    Params and events: tuples with those of each decoder. `param_size`: the sum of the decoders';
    the features are split among them in order.

    Args:
      decoders: the decoders of the parts; each must define `param_size`.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import codec
      >>> decoder = codec.JointDecoder([codec.NormalDecoder([3]), codec.CategoricalDecoder(5)])
      >>> params = decoder(tf.zeros([2, decoder.param_size]))
      >>> [x.shape for x in decoder.sample(params, seed=[0, 1])]
      [TensorShape([2, 3]), TensorShape([2])]
    """

    def __init__(self, decoders: Sequence[DistModule], name: str | None = None):
        super().__init__(name=name)
        self.decoders = tuple(decoders)
        self.param_size = sum(map(param_size, decoders))
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

    def given(self, params: Nest, event: Nest, is_observed: Nest) -> tuple[Nest, ...]:
        """Returns the parts' params of what is missing."""
        parts = zip(self.decoders, params, event, is_observed, strict=True)
        return tuple(decoder.given(*part) for decoder, *part in parts)

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
