"""ConductedStack: a recurrence in segments, each of which begins anew from an embedding.

The conductor, a recurrence with one step for each segment, makes the embeddings (Roberts, Engel,
Raffel, Hawthorne, Eck 2018, arXiv:1803.05428):

    parts            p_1                     p_2                     ...     of the topic
                      |                       |
    conductor        u_1 ------------------> u_2 ------------------> ...
                      |                       |
    low recurrence   d_1 -> d_2 -> ... d_S   d_S+1 -> ... d_2S       ...     each sees its inputs

A recurrence that sees the same topic at each step must learn to count before it knows what to read
from it, which takes it very long. So each segment k has its own part p_k of the topic, and each
step s of a segment its own linear map W_s u_k of the embedding. u_k is (h_k, p_k) with the output
h_k of the conductor, so that a linear path leads from the topic to each step.

Nothing but the conductor leads from one segment to the next, so all segments of all sequences are
one batch of short sequences.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import concat
from vaeseq.nn.recurrence import make_stack
from vaeseq.nn.sequences import where_row
from vaeseq.nn.stack import RecurrentStack, StackState
from vaeseq.nn.types import Size, Tensor

Items = TypeVar("Items")


class ConductedState(NamedTuple):
    """The state between two steps, [B, ...]; or the states after all steps, [B, T, ...]."""

    low: StackState  # of the low recurrence
    conductor: StackState  # after the embedding of the segment
    topic: tf.Tensor  # p_1:K [B, K P]
    embedding: tf.Tensor  # u_k of the segment [B, H + P]
    place: tf.Tensor  # the number of steps so far, modulo K S, int32 [B, 1]


class ConductedStack(RecurrentStack):
    """A stack (see `make_stack`) in segments of S steps, led by a conductor.

    The conductor is an LSTM. After K segments, the parts of the topic begin again.

    Args:
      hparams: the hyperparameters; `hparams.seqvae_segment` is S and `hparams.seqvae_parts` K.
      embed_inputs: whether W_s u_k is an input of each step, besides the first state of its
        segment, which comes from u_k.
      name: the layer's name.
    """

    def __init__(self, hparams: HParams, embed_inputs: bool = True, name: str | None = None):
        super().__init__(name=name)
        self.segment, self.num_parts = hparams.seqvae_segment, hparams.seqvae_parts
        self.part_size = part_size(hparams)
        self.units = hparams.rnn_hidden_sizes[-1]
        self.conductor = LSTMStack(hparams, name="conductor")
        self.low = make_stack(hparams, name="low")
        self.low_0 = keras.layers.Dense(self.low.state_size, "tanh", name="low_0")
        self.embed_inputs = embed_inputs
        self.of_steps = keras.layers.Dense(  # W_1:S, which keep the size of u_k
            self.segment * self.units, kernel_initializer="lecun_normal", name="of_steps"
        )
        self.state_size = self.conductor.state_size + self.num_parts * self.part_size
        self.built = True  # its layers create their own weights

    def state_from(self, features: Tensor) -> ConductedState:
        """Returns the state before a segment: the conductor's state and topic are the features."""
        sizes = [self.conductor.state_size, self.num_parts * self.part_size]
        conductor, topic = tf.split(features, sizes, axis=-1)
        batch_size = tf.shape(features)[0]
        return ConductedState(
            self.low.initial_state(batch_size),
            self.conductor.state_from(conductor),
            topic,
            tf.zeros([batch_size, self.units + self.part_size]),
            tf.zeros([batch_size, 1], tf.int32),
        )

    def features(self, states: Any) -> tf.Tensor:
        """Returns h_t of the low stack's last layer, [..., H]."""
        return self.low.features(states.low)

    def step(self, inputs: Tensor, state: Any) -> tuple[tf.Tensor, ConductedState]:
        """Computes d_t [B, H] and the next state from inputs [B, X]; begins a segment if due."""
        segment, place = state.place[:, 0] // self.segment, state.place[:, 0] % self.segment
        part = tf.gather(self._parts(state.topic), segment, batch_dims=1)
        embedding, conductor = self._embed(part, state.conductor, self.conductor.step)
        begun = self.low.state_from(self.low_0(embedding)), conductor, embedding
        going_on = state.low, state.conductor, state.embedding
        low, conductor, embedding = where_row(place == 0, begun, going_on)
        if self.embed_inputs:
            inputs = concat((inputs, tf.gather(self._to_steps(embedding), place, batch_dims=1)))
        outputs, low = self.low.step(inputs, low)
        count = (state.place + 1) % (self.num_parts * self.segment)
        return outputs, ConductedState(low, conductor, state.topic, embedding, count)

    def unroll(self, inputs: Tensor, state: Any) -> tuple[tf.Tensor, ConductedState]:
        """Computes d_1:T [B, T, H] and all states from inputs [B, T, X].

        A row may begin within a segment. The rest of that segment is then the first of N segments,
        at whose end places stay empty, so that the others are full. `at` [B, T] is the place of
        each step among N * S.
        """
        steps = tf.shape(inputs)[1]
        segments = (steps + self.segment - 2) // self.segment + 1
        begun = state.place % self.segment
        places = tf.range(segments * self.segment)
        source = tf.where(places < self.segment, places, places - begun)  # [B, N S]
        inputs_at = tf.gather(inputs, tf.minimum(source, steps - 1), batch_dims=1)
        counts = begun + tf.range(1, steps + 1)  # [B, T], of steps since a segment began
        at = tf.where(counts <= self.segment, counts - begun, counts) - 1

        first, conductor, embedding = self._begin_segments(state, segments)
        outputs, low = self._unroll_segments(inputs_at, embedding, begun, first)
        outputs, low = _gather((outputs, low), at)
        conductor, embedding = _gather((conductor, embedding), at // self.segment)
        topic = tf.repeat(state.topic[:, None], steps, axis=1)
        place = (state.place - begun + counts) % (self.num_parts * self.segment)
        return outputs, ConductedState(low, conductor, topic, embedding, place[..., None])

    def _begin_segments(
        self, state: ConductedState, segments: Size
    ) -> tuple[StackState, StackState, tf.Tensor]:
        """Returns the states before N segments, the conductor's after, embeddings: [B, N, ...].

        The first segment of rows that begin within one is that of the state.
        """
        coming = (state.place + self.segment - 1) // self.segment + tf.range(segments)
        parts = tf.gather(self._parts(state.topic), coming % self.num_parts, batch_dims=1)
        embedding, conductor = self._embed(parts, state.conductor, self.conductor.unroll)
        new = self.low.state_from(self.low_0(embedding)), conductor, embedding
        old = state.low, state.conductor, state.embedding
        late = tf.nest.map_structure(
            lambda x, y: tf.concat([x[:, None], y[:, :-1]], axis=1), old, new
        )
        return where_row(state.place[:, 0] % self.segment == 0, new, late)

    def _unroll_segments(
        self, inputs: tf.Tensor, embedding: tf.Tensor, begun: tf.Tensor, first: StackState
    ) -> tuple[tf.Tensor, StackState]:
        """Computes outputs and states [B, N S, ...] as one batch of B * N short sequences."""
        rows, length = tf.unstack(tf.shape(inputs)[:2])

        def apart(x: tf.Tensor) -> tf.Tensor:  # [B, N, ...] to [B N, ...]
            return tf.reshape(x, [-1, *x.shape[2:]])

        if self.embed_inputs:
            inputs = concat((inputs, self._to_places(embedding, begun)))
        inputs = tf.reshape(inputs, [-1, self.segment, inputs.shape[-1]])
        nest = self.low.unroll(inputs, tf.nest.map_structure(apart, first))
        return tf.nest.map_structure(lambda x: tf.reshape(x, [rows, length, x.shape[-1]]), nest)

    def _parts(self, topic: tf.Tensor) -> tf.Tensor:
        """Returns p_1:K [B, K, P]."""
        return tf.reshape(topic, [-1, self.num_parts, self.part_size])

    def _embed(
        self, part: tf.Tensor, state: StackState, run: Callable[..., tuple[tf.Tensor, StackState]]
    ) -> tuple[tf.Tensor, StackState]:
        """Returns u_k and the next state of the conductor, of one segment or of all."""
        outputs, state = run(part, state)
        return concat((outputs, part)), state

    def _to_places(self, embedding: tf.Tensor, begun: tf.Tensor) -> tf.Tensor:
        """Returns W_s u_k [B, N S, H] for embeddings [B, N, H + P]; the first segment is late."""
        own = self._to_steps(embedding)
        late = tf.minimum(begun + tf.range(self.segment), self.segment - 1)
        first = tf.gather(own[:, 0], late, batch_dims=1)
        own = tf.concat([first[:, None], own[:, 1:]], axis=1)
        return tf.reshape(own, [tf.shape(own)[0], -1, self.units])

    def _to_steps(self, embedding: tf.Tensor) -> tf.Tensor:
        """Returns W_s u_k for all steps s of a segment: [..., H + P] to [..., S, H]."""
        shape = tf.concat([tf.shape(embedding)[:-1], [self.segment, self.units]], axis=0)
        return tf.reshape(self.of_steps(embedding), shape)


def part_size(hparams: HParams) -> int:
    """Returns P, the size of the part of z [Z] that each of K segments has: K P is at least Z."""
    return -(-hparams.latent_size // hparams.seqvae_parts)


def _gather(nest: Items, index: tf.Tensor) -> Items:
    """Returns the items of a nest of [B, N, ...] at [B, T]: [B, T, ...]."""
    items: Items = tf.nest.map_structure(lambda x: tf.gather(x, index, batch_dims=1), nest)
    return items
