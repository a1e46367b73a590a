"""Discriminators: classifiers of observed and generated sequences.

Each has its own encoder of the observations of one step, which the generator makes. It returns
logits [B, S] of being observed: S is 1 for a whole sequence, or T for each of its prefixes.
"""

import abc
from collections.abc import Sequence

import keras
import tensorflow as tf

from vaeseq.adversarial.convolution import window_maxima
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import last, over_time
from vaeseq.nn.types import Nest

_CNN_DROPOUT = 0.25


class Discriminator(keras.layers.Layer, abc.ABC):
    """A classifier of observed and generated sequences. You write `call`.

    Args:
      encoder: layer from observations [N, *event_shape] to features [N, E].
      name: the name of the Keras layer.
    """

    judges_prefixes = False

    def __init__(self, encoder: keras.layers.Layer, name: str):
        super().__init__(name=name)
        self.encoder = encoder

    @abc.abstractmethod
    def call(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits [B, S] of sequences, a nest of [B, T, *event_shape].

        S is T if the discriminator `judges_prefixes`, and otherwise 1. Steps after `lengths`, int
        [B], have no influence on the logits of the steps before.
        """

    def score(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the probability D(x_1:T) that each whole sequence is an observed one, [B]."""
        logits = self(observed, lengths)
        return tf.sigmoid(last(logits, lengths if self.judges_prefixes else None))


class CNN(Discriminator):
    """The discriminator of SeqGAN: convolutions, their maxima over time, and a highway layer.

    Yu, Zhang, Wang, Yu 2016, arXiv:1609.05473; highway: Srivastava et al. 2015, arXiv:1505.00387.
    """

    def __init__(self, hparams: HParams, encoder: keras.layers.Layer):
        super().__init__(encoder, name="cnn")
        self.widths, self.whole = hparams.discriminator_widths, hparams.discriminator_whole_windows
        sizes = hparams.discriminator_filters or (hparams.discriminator_size,) * len(self.widths)
        if len(sizes) != len(self.widths):
            raise UsageError(
                f"hparams: discriminator_filters has {len(sizes)} items, but discriminator_widths "
                f"has {len(self.widths)}; give one number of filters for each width, or none"
            )
        # Dense layers of windows: the gradient of TensorFlow's convolution on CPU varies from
        # call to call.
        self.filters = tuple(keras.layers.Dense(size, "relu") for size in sizes)
        self.transform = keras.layers.Dense(sum(sizes), "relu")
        self.gate = keras.layers.Dense(sum(sizes), "sigmoid", bias_initializer=_carry_bias)
        self.dropout = Dropout(_CNN_DROPOUT)
        self.logit = keras.layers.Dense(1)

    def call(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits [B, 1] of sequences, a nest of [B, T, *event_shape]."""
        features = over_time(self.encoder, observed)
        if lengths is not None:
            mask = tf.sequence_mask(lengths, tf.shape(features)[1], features.dtype)
            features *= mask[..., None]
        for layer, width in zip(self.filters, self.widths, strict=True):
            if not layer.built:
                layer.build([None, width * features.shape[-1]])
        kernels = [tf.convert_to_tensor(layer.kernel) for layer in self.filters]
        maxima = window_maxima(features, kernels, lengths, self.whole)
        # The maximum of the rectified outputs, because rectifying preserves the order.
        pairs = zip(self.filters, maxima, strict=True)
        x = concat([tf.nn.relu(maximum + layer.bias) for layer, maximum in pairs])
        gate = self.gate(x)
        return self.logit(self.dropout(gate * self.transform(x) + (1 - gate) * x))


def _carry_bias(shape: Sequence[int], dtype: str | None = None) -> tf.Tensor:
    """Initializes the gate of a highway layer so that it passes its inputs through."""
    return tf.fill(shape, tf.constant(-2.0, dtype))


class Recurrent(Discriminator):
    """A bidirectional recurrent network."""

    def __init__(self, hparams: HParams, encoder: keras.layers.Layer):
        super().__init__(encoder, name="recurrent")
        hparams = hparams.replace(rnn_hidden_sizes=(hparams.discriminator_size,))
        self.e_rnn, self.f_rnn = LSTMStack(hparams), LSTMStack(hparams)
        self.logit = keras.layers.Dense(1)

    def call(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits [B, 1] of sequences, a nest of [B, T, *event_shape]."""
        features = over_time(self.encoder, observed)
        e, _ = self.e_rnn.unroll(features, self.e_rnn.initial_state(tf.shape(features)[0]))
        f = self.f_rnn.unroll_backward(features, lengths)
        return self.logit(concat((last(e, lengths), f[:, 0])))


class Causal(Discriminator):
    """A recurrent network that judges every prefix, with a critic that predicts the return."""

    judges_prefixes = True

    def __init__(self, hparams: HParams, encoder: keras.layers.Layer):
        super().__init__(encoder, name="causal")
        self.rnn = LSTMStack(hparams.replace(rnn_hidden_sizes=(hparams.discriminator_size,)))
        self.logit = keras.layers.Dense(1)
        self.critic = keras.layers.Dense(1)

    def call(self, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Returns logits [B, T] of the prefixes x_1:t; padding at the end changes none of them."""
        return self.judge(observed)[0]

    def judge(self, observed: Nest) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the logits of x_1:t, and the critic's prediction from x_1:t-1: [B, T] each.

        The critic's gradient does not reach the features.
        """
        features = over_time(self.encoder, observed)
        h, _ = self.rnn.unroll(features, self.rnn.initial_state(tf.shape(features)[0]))
        before = tf.pad(h[:, :-1], [[0, 0], [1, 0], [0, 0]])
        return self.logit(h)[..., 0], self.critic(tf.stop_gradient(before))[..., 0]


_DISCRIMINATORS = {"cnn": CNN, "recurrent": Recurrent, "causal": Causal}


def make(hparams: HParams, encoder: keras.layers.Layer) -> Discriminator:
    """Returns the discriminator that `hparams.discriminator` names.

    Raises:
      UsageError: if the objective needs a discriminator of prefixes, and this one is not.
    """
    kind = _DISCRIMINATORS[hparams.discriminator]
    for name, value in (("policy_gradient", "stepwise"), ("policy_baseline", "critic")):
        if getattr(hparams, name) == value and not kind.judges_prefixes:
            raise UsageError(
                f"hparams: {name}={value} needs discriminator=causal, not {hparams.discriminator}"
            )
    return kind(hparams, encoder)
