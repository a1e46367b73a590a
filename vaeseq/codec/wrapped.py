"""A decoder after a network, so that it takes features of any size."""

import abc

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.mlp import MLP
from vaeseq.nn.types import Nest, Tensor


class WrappedDecoder(DistModule):
    """A network from features of any size to those that `decoder` takes, and `decoder`.

    Args:
      decoder: the distribution of observations; must define `param_size`.
      name: the layer's name.
    """

    def __init__(self, decoder: DistModule, name: str | None = None):
        super().__init__(name=name)
        self.decoder = decoder
        self.event_shape, self.event_dtype = decoder.event_shape, decoder.event_dtype

    @abc.abstractmethod
    def network(self, features: tf.Tensor) -> tf.Tensor:
        """Maps features [N, D] to [N, decoder.param_size]."""

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
        return self.decoder(self.network(features))

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

    def given(self, params: Nest, event: Nest, is_observed: Nest) -> Nest:
        """Returns the params of what is missing with `decoder`."""
        return self.decoder.given(params, event, is_observed)

    def temper(self, params: Nest, temperature: Tensor | float) -> Nest:
        """Returns the tempered params of `decoder`."""
        return self.decoder.temper(params, temperature)


class MLPObsDecoder(WrappedDecoder):
    """Dropout, then an MLP of `hparams.obs_decoder_fc_hidden_layers`, then `decoder`.

    Takes features of any size. The MLP ends with `decoder.param_size` units. Dropout of the
    outputs of a recurrent network: Zaremba, Sutskever, Vinyals 2014, arXiv:1409.2329.

    Args:
      hparams: the hyperparameters.
      decoder: the distribution of observations; must define `param_size`.
      name: the layer's name.

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> decoder = codec.MLPObsDecoder(vaeseq.HParams(), codec.NormalDecoder([3]))
      >>> mean, stddev = decoder(tf.zeros([2, 50]))  # features of any size
      >>> mean.shape
      TensorShape([2, 3])
    """

    def __init__(self, hparams: HParams, decoder: DistModule, name: str | None = None):
        sizes = (*hparams.obs_decoder_fc_hidden_layers, param_size(decoder))
        super().__init__(decoder, name=name)
        self.dropout, self.mlp = Dropout(hparams.dropout), MLP(hparams, sizes)

    def network(self, features: tf.Tensor) -> tf.Tensor:
        """Applies dropout and the MLP."""
        return self.mlp(self.dropout(features))


def param_size(decoder: DistModule) -> int:
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
