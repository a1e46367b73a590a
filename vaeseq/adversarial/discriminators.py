"""Discriminators: how likely it is that sequences are observed ones, and not generated.

Each has an encoder of its own for the observations of one step, made by the model whose sequences
it judges, and gives logits [B, S]: one for a whole sequence, or one for each of its prefixes.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import last, over_time

_FILTER_WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20)
_DROPOUT = 0.25  # of the features of the convolutional one


class CNN(keras.layers.Layer):
    """Convolutions of many widths, their maxima over time, a highway layer: that of SeqGAN.

    Yu, Zhang, Wang, Yu 2016, arXiv:1609.05473; highway: Srivastava et al. 2015, arXiv:1505.00387.
    """

    def __init__(self, hparams: HParams, encoder: Callable[[Any], tf.Tensor]):
        super().__init__(name="cnn")
        self.encoder = encoder
        size = hparams.discriminator_size
        # Of windows: the gradient of TensorFlow's own convolution is not the same twice on CPU.
        self.filters = tuple(keras.layers.Dense(size, "relu") for _ in _FILTER_WIDTHS)
        features = size * len(_FILTER_WIDTHS)
        self.transform = keras.layers.Dense(features, "relu")
        self.gate = keras.layers.Dense(features, "sigmoid", bias_initializer=_carry)
        self.dropout = Dropout(_DROPOUT)
        self.logit = keras.layers.Dense(1)

    def call(self, observed: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Sequences, nests of [B, T, ...], to logits [B, 1]."""
        features = over_time(self.encoder, observed)
        mask = tf.ones_like(features[..., :1])
        if lengths is not None:
            mask = tf.sequence_mask(lengths, tf.shape(features)[1], features.dtype)[..., None]
        # What rectified features are after the end, zero, is never more than their maximum.
        pairs = zip(self.filters, _FILTER_WIDTHS, strict=True)
        found = [filter(_windows(features * mask, width)) * mask for filter, width in pairs]
        x = concat([tf.reduce_max(f, axis=1) for f in found])
        gate = self.gate(x)
        return self.logit(self.dropout(gate * self.transform(x) + (1 - gate) * x))


def _windows(features: tf.Tensor, width: int) -> tf.Tensor:
    """The steps from each t on, [B, T, E] to [B, T, width E], zeros after the end."""
    time = tf.shape(features)[1]
    padded = tf.pad(features, [[0, 0], [0, width - 1], [0, 0]])
    return tf.concat([padded[:, first : first + time] for first in range(width)], axis=-1)


def _carry(shape: Any, dtype: Any = None) -> tf.Tensor:
    """A highway layer begins by letting its inputs through."""
    return tf.fill(shape, tf.constant(-2.0, dtype))


class Recurrent(keras.layers.Layer):
    """Recurrent networks that run forth and back over the sequence."""

    def __init__(self, hparams: HParams, encoder: Callable[[Any], tf.Tensor]):
        super().__init__(name="recurrent")
        self.encoder = encoder
        hparams = hparams.replace(rnn_hidden_sizes=(hparams.discriminator_size,))
        self.e_rnn, self.f_rnn = LSTMStack(hparams), LSTMStack(hparams)
        self.logit = keras.layers.Dense(1)

    def call(self, observed: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Sequences, nests of [B, T, ...], to logits [B, 1]."""
        features = over_time(self.encoder, observed)
        e, _ = self.e_rnn.unroll(features, self.e_rnn.initial_state(tf.shape(features)[0]))
        f = self.f_rnn.unroll_backward(features, lengths)
        return self.logit(concat((last(e, lengths), f[:, 0])))


class Causal(keras.layers.Layer):
    """A recurrent network that judges every prefix, and a critic on what it knows before x_t."""

    def __init__(self, hparams: HParams, encoder: Callable[[Any], tf.Tensor]):
        super().__init__(name="causal")
        self.encoder = encoder
        self.rnn = LSTMStack(hparams.replace(rnn_hidden_sizes=(hparams.discriminator_size,)))
        self.logit = keras.layers.Dense(1)
        self.critic = keras.layers.Dense(1)

    def call(self, observed: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Sequences, nests of [B, T, ...], to logits [B, T] of their prefixes x_1:t."""
        return self.judge(observed)[0]

    def judge(self, observed: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits of x_1:t, and what the critic expects after x_1:t-1: [B, T] each.

        The critic learns on the features, which do not learn from it.
        """
        features = over_time(self.encoder, observed)
        h, _ = self.rnn.unroll(features, self.rnn.initial_state(tf.shape(features)[0]))
        before = tf.pad(h[:, :-1], [[0, 0], [1, 0], [0, 0]])
        return self.logit(h)[..., 0], self.critic(tf.stop_gradient(before))[..., 0]


_DISCRIMINATORS: dict[str, type[Any]] = {"cnn": CNN, "recurrent": Recurrent, "causal": Causal}


def make(hparams: HParams, encoder: Callable[[Any], tf.Tensor]) -> Any:
    """The discriminator that `hparams.discriminator` names.

    Raises:
      UsageError: where the objective needs one that judges prefixes, and this does not.
    """
    if hparams.discriminator != "causal":
        for name, value in (("policy_gradient", "stepwise"), ("policy_baseline", "critic")):
            if getattr(hparams, name) == value:
                raise UsageError(
                    f"hparams: {name}={value} needs discriminator=causal, "
                    f"not {hparams.discriminator}"
                )
    return _DISCRIMINATORS[hparams.discriminator](hparams, encoder)
