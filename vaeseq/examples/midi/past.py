r"""Past: what each key did in earlier frames, and what followed similar passages.

    c_t = sum_{s < t} w_h(t, s) x_s    for several weightings h of the frames before t

* The last frames: w is 1 for one of them.
* Averages: w decays exponentially with t - s.
* Recalls: w is high if the frames before s are like those before t,

      w_h(t, s) = softmax_s(sum_i a_hi m(t - i, s - i) + b_h(t - s)),
      m(t, s) = |x_t and x_s| / |x_t or x_s|, the share of the sounding keys that two frames have
      in common,

  with one more place for "nothing is like it", of logit n_h. 1 - w_h(t, nothing) tells the model
  how far it can rely on a recall.

Music repeats itself. A recurrent network would have to store a passage to say it again; a recall
looks it up, as a cache of words does for text (Grave, Joulin, Usunier 2016, arXiv:1612.04426; the
place for nothing: Merity, Xiong, Bradbury, Socher 2016, arXiv:1609.07843). What a recall gives is
the same in all transpositions of a piece.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from vaeseq import Context
from vaeseq.context import Split
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.nn.dropout import Dropout
from vaeseq.nn.masked import Masked
from vaeseq.nn.mlp import MLP, concat
from vaeseq.nn.types import Nest, Size

_LAGS = 2  # the last frames
_DECAYS = (0.5, 0.8, 0.95)  # of the averages
RECALLS = 3
_WEIGHTINGS = _LAGS + len(_DECAYS) + RECALLS
_PASSAGE = 16  # the frames of a passage that are compared
_PART = 512  # the frames whose pasts are computed together


class PastState(NamedTuple):
    """The state before a frame."""

    base: Nest  # of the context that `Past` adds to
    frames: tf.Tensor  # the last frames, oldest first, uint8 [B, _PASSAGE + M, K]
    seen: tf.Tensor  # how many of the last M there were, int32 [B, 1]


class Past(Context):
    """`base`, and weighted sums of the last `hparams.past_size` frames.

    c_t is a `Split`. The core sees c_t of `base` and a summary of the recalls; the decoder sees, in
    this order, how far it can rely on each recall [B, RECALLS], and the sums
    [B, K, num_features(num_states)], flattened.

    Args:
      hparams: the hyperparameters.
      base: the context to add to.
      num_keys: K.
      num_states: the number of states of a key.
    """

    def __init__(self, hparams: MidiHParams, base: Context, num_keys: int, num_states: int):
        super().__init__()
        self.base, self.num_keys, self.size = base, num_keys, hparams.past_size
        self.num_channels = _num_channels(num_states)
        self.summarise = MLP(hparams, hparams.obs_encoder_fc_layers)
        self.dropout = Dropout(hparams.dropout)
        self.a = self.add_weight(
            shape=(_PASSAGE, RECALLS),
            initializer=keras.initializers.RandomUniform(0.5, 1.5),
            name="passage",
        )
        self.b = self.add_weight(shape=(self.size, RECALLS), initializer="zeros", name="lag")
        self.n = self.add_weight(
            shape=(RECALLS,), initializer=keras.initializers.Constant(5.0), name="nothing"
        )

    def initial_state(self, batch_size: Size) -> PastState:
        """Returns the state without any frame."""
        frames = tf.zeros([batch_size, _PASSAGE + self.size, self.num_keys], tf.uint8)
        return PastState(
            self.base.initial_state(batch_size), frames, tf.zeros([batch_size, 1], tf.int32)
        )

    def call(self, inputs: Nest, state: Any) -> Split:
        """Returns c_t."""
        frames = tf.pad(state.frames, [[0, 0], [0, 1], [0, 0]])  # x_t is unknown, and has no weight
        sums, reliance = self._look_back(frames, state.seen)
        return self._split(self.base(inputs, state.base), sums[:, 0], reliance[:, 0])

    def observe(self, observed: Nest, state: Any) -> PastState:
        """Appends x_t to the frames."""
        frames = tf.concat([state.frames[:, 1:], _values(observed)[:, None]], axis=1)
        seen = tf.minimum(state.seen + 1, self.size)
        return PastState(self.base.observe(observed, state.base), frames, seen)

    def from_observations(
        self, observed: Nest, inputs: Nest, state: Any
    ) -> tuple[Split, PastState]:
        """Computes all c_t of a known sequence at once, in parts if it is long."""
        base, base_states = self.base.from_observations(observed, inputs, state.base)
        frames = tf.concat([state.frames, _values(observed)], axis=1)
        contexts = self._split(base, *self._look_back_in_parts(frames, state.seen))
        kept = _PASSAGE + self.size
        steps = tf.range(1, tf.shape(frames)[1] - kept + 1)
        windows = tf.gather(frames, steps[:, None] + tf.range(kept), axis=1)
        seen = tf.minimum(state.seen + steps, self.size)[..., None]
        return contexts, PastState(base_states, windows, seen)

    def _split(self, base: Nest, sums: tf.Tensor, reliance: tf.Tensor) -> Split:
        """Returns c_t from sums [..., K, weightings, channels]."""
        recalls = _flatten(sums[..., -RECALLS:, :], 3)
        summary = self.dropout(self.summarise((recalls, reliance)))
        return Split((base, summary), concat((reliance, _flatten(sums, 3))))

    def _look_back_in_parts(
        self, frames: tf.Tensor, seen: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what `_look_back` does, with memory that is linear in T.

        The parts of a sequence are rows of a batch; each has the frames of a state before it.
        """
        batch, total = tf.unstack(tf.shape(frames)[:2])
        kept = _PASSAGE + self.size
        steps = total - kept
        part = tf.minimum(steps, _PART)
        starts = tf.range(0, steps, part)
        padded = tf.pad(frames, [[0, 0], [0, part], [0, 0]])
        parts = tf.gather(padded, starts[:, None] + tf.range(kept + part), axis=1)
        parts = tf.reshape(parts, [-1, kept + part, self.num_keys])
        seen = tf.reshape(tf.minimum(seen + starts, self.size), [-1, 1])
        sums, reliance = (
            tf.reshape(x, [batch, -1, *x.shape[2:]])[:, :steps]
            for x in self._look_back(parts, seen)
        )
        return sums, reliance

    def _look_back(self, frames: tf.Tensor, seen: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the sums for the last T frames, and how far to rely on each recall.

        Args:
          frames: the frames of a state and T more, uint8 [B, _PASSAGE + M + T, K].
          seen: how many of the M frames before the last T there were, [B, 1].

        Returns:
          [B, T, K, weightings, channels] and [B, T, RECALLS].
        """
        steps = tf.shape(frames)[1] - _PASSAGE - self.size
        x = tf.cast(frames[..., None] > np.arange(self.num_channels, dtype=np.uint8), tf.float32)
        x = _flatten(x, 2)  # [B, _PASSAGE + M + T, K channels]
        # u counts the places of a window of M frames; the last place is the frame before t.
        place = tf.range(steps)[:, None] + tf.range(self.size)
        was_there = place >= self.size - seen[:, :, None]  # [B, T, M]
        recalls = tf.transpose(self._recalls(x, was_there), [0, 3, 1, 2])  # [B, RECALLS, T, M]
        fixed = tf.repeat(tf.constant(_fixed_weights(self.size))[None, :, None], steps, axis=2)
        # Two products, because the fixed weights need no gradient.
        x = x[:, None, _PASSAGE:]
        sums = tf.concat([tf.matmul(_from_places(w), x) for w in (fixed, recalls)], axis=1)
        split = [*tf.unstack(tf.shape(sums)[:3]), self.num_keys, self.num_channels]
        sums = tf.transpose(tf.reshape(sums, split), [0, 2, 3, 1, 4])
        sums = tf.ensure_shape(sums, [None, None, self.num_keys, _WEIGHTINGS, self.num_channels])
        return sums, tf.transpose(tf.reduce_sum(recalls, axis=-1), [0, 2, 1])

    def _recalls(self, x: tf.Tensor, was_there: tf.Tensor) -> tf.Tensor:
        """Returns w_h(t, s) for each place of each window, [B, T, M, RECALLS]."""
        rows, columns = x[:, self.size : -1], x[:, :-1]  # all t - i, and all s - i
        common = tf.matmul(rows, columns, transpose_b=True)
        counts = [tf.reduce_sum(sound, axis=-1) for sound in (rows, columns)]
        either = counts[0][:, :, None] + counts[1][:, None] - common
        m = (common + 0.5) / (either + 0.5)  # 1 if both are silent
        m = _to_places(m, self.size)  # [B, _PASSAGE - 1 + T, M]
        kernel = tf.reverse(tf.convert_to_tensor(self.a), [0])[:, None, None]
        logits = tf.nn.conv2d(m[..., None], kernel, strides=1, padding="VALID") + self.b
        logits = tf.where(was_there[..., None], logits, -1e9)
        nothing = tf.zeros_like(logits[:, :, :1]) + self.n
        return tf.nn.softmax(tf.concat([logits, nothing], axis=2), axis=2)[:, :, :-1]


def num_features(num_states: int) -> int:
    """Returns the number of sums for each key, given the number of its states."""
    return _WEIGHTINGS * _num_channels(num_states)


def _num_channels(num_states: int) -> int:
    """Returns 1 for whether a key sounds; 2 if the model also knows whether it is struck."""
    return min(2, num_states - 1)


def _values(observed: Nest) -> tf.Tensor:
    """Returns frames; keys that are not observed are silent."""
    values: tf.Tensor = observed.values if isinstance(observed, Masked) else observed
    return values


def _flatten(x: tf.Tensor, axes: int) -> tf.Tensor:
    """Joins the last axes of a tensor, whose sizes are known."""
    size = int(np.prod(x.shape[-axes:]))
    return tf.reshape(x, tf.concat([tf.shape(x)[:-axes], [size]], 0))


def _fixed_weights(size: int) -> np.ndarray:
    """Returns the weights of the last frames and of the averages at each place, [weightings, M]."""
    lag = np.arange(size, 0, -1)
    last = lag == np.arange(1, _LAGS + 1)[:, None]
    decays = np.array(_DECAYS)[:, None]
    return np.concatenate([last, (1 - decays) * decays ** (lag - 1)]).astype(np.float32)


def _from_places(weights: tf.Tensor) -> tf.Tensor:
    """Moves row r of [..., T, M] to the right by r places: [..., T, M + T]."""
    steps, size = tf.unstack(tf.shape(weights)[-2:])
    leading, total = tf.shape(weights)[:-2], size + steps
    padded = tf.pad(weights, [[0, 0]] * (len(weights.shape) - 1) + [[0, steps + 1]])
    flat = tf.reshape(padded, tf.concat([leading, [steps * (total + 1)]], 0))
    return tf.reshape(flat[..., : steps * total], tf.concat([leading, [steps, total]], 0))


def _to_places(matrix: tf.Tensor, size: int) -> tf.Tensor:
    """Moves row r of [B, R, L] to the left by r places and cuts it: [B, R, size]."""
    batch, rows, total = tf.unstack(tf.shape(matrix))
    flat = tf.reshape(matrix, [batch, rows * total])
    padded = tf.pad(flat, [[0, 0], [0, rows]])
    return tf.reshape(padded, [batch, rows, total + 1])[..., :size]
