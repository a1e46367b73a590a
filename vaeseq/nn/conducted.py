"""ConductedStack: a recurrence in segments, each of which begins anew from an embedding.

The conductor, a recurrence with one step for each segment, makes the embeddings (Roberts, Engel,
Raffel, Hawthorne, Eck 2018, arXiv:1803.05428):

    conductor       u_1 ------------------> u_2 -----------> ...     each sees the topic
                     |                       |
    low recurrence  d_1 -> d_2 -> ... d_S   d_S+1 -> ... d_2S        each sees its inputs and u_k

Nothing but the conductor leads from one segment to the next, so all segments of all sequences are
one batch of short sequences.
"""

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
    topic: tf.Tensor  # what the conductor sees at each segment [B, H]
    embedding: tf.Tensor  # of the segment [B, H]
    place: tf.Tensor  # the number of steps in the segment, 0 if the next begins one, int32 [B, 1]


class ConductedStack(RecurrentStack):
    """A stack (see `make_stack`) in segments of S steps, led by a conductor.

    The conductor is an LSTM, because gates that see its constant inputs alone could not count
    segments.

    Args:
      hparams: the hyperparameters; `hparams.seqvae_segment` is S.
      embed_inputs: whether u_k is an input of each step, besides the first state of its segment.
      name: the layer's name.
    """

    def __init__(self, hparams: HParams, embed_inputs: bool = True, name: str | None = None):
        super().__init__(name=name)
        self.segment, self.embed_inputs = hparams.seqvae_segment, embed_inputs
        self.units = hparams.rnn_hidden_sizes[-1]
        self.conductor = LSTMStack(hparams, name="conductor")
        self.low = make_stack(hparams, name="low")
        self.low_0 = keras.layers.Dense(self.low.state_size, "tanh", name="low_0")
        self.state_size = self.conductor.state_size + self.units
        self.built = True  # its layers create their own weights

    def state_from(self, features: Tensor) -> ConductedState:
        """Returns the state before a segment: the conductor's state and topic are the features."""
        conductor, topic = tf.split(features, [self.conductor.state_size, self.units], axis=-1)
        batch_size = tf.shape(features)[0]
        return ConductedState(
            self.low.initial_state(batch_size),
            self.conductor.state_from(conductor),
            topic,
            tf.zeros_like(topic),
            tf.zeros([batch_size, 1], tf.int32),
        )

    def step(self, inputs: Tensor, state: Any) -> tuple[tf.Tensor, ConductedState]:
        """Computes d_t [B, H] and the next state from inputs [B, X]; begins a segment if due."""
        embedding, conductor = self.conductor.step(state.topic, state.conductor)
        begun = self.low.state_from(self.low_0(embedding)), conductor, embedding
        going_on = state.low, state.conductor, state.embedding
        low, conductor, embedding = where_row(state.place[:, 0] == 0, begun, going_on)
        outputs, low = self.low.step(self._low_inputs(inputs, embedding), low)
        place = (state.place + 1) % self.segment
        return outputs, ConductedState(low, conductor, state.topic, embedding, place)

    def unroll(self, inputs: Tensor, state: Any) -> tuple[tf.Tensor, ConductedState]:
        """Computes d_1:T [B, T, H] and all states from inputs [B, T, X].

        A row may begin within a segment. The rest of that segment is then the first of K segments,
        at whose end places stay empty, so that the others are full. `at` [B, T] is the place of
        each step among K * S.
        """
        steps = tf.shape(inputs)[1]
        segments = (steps + self.segment - 2) // self.segment + 1
        places = tf.range(segments * self.segment)
        source = tf.where(places < self.segment, places, places - state.place)  # [B, K S]
        inputs_at = tf.gather(inputs, tf.minimum(source, steps - 1), batch_dims=1)
        counts = state.place + tf.range(1, steps + 1)  # [B, T], of steps since a segment began
        at = tf.where(counts <= self.segment, counts - state.place, counts) - 1

        first, conductor, embedding = self._begin_segments(state, segments)
        outputs, low = self._unroll_segments(inputs_at, embedding, first)
        outputs, low = _gather((outputs, low), at)
        conductor, embedding = _gather((conductor, embedding), at // self.segment)
        topic = tf.repeat(state.topic[:, None], steps, axis=1)
        place = (counts % self.segment)[..., None]
        return outputs, ConductedState(low, conductor, topic, embedding, place)

    def _begin_segments(
        self, state: ConductedState, segments: Size
    ) -> tuple[StackState, StackState, tf.Tensor]:
        """Returns the states before K segments, the conductor's after, embeddings: [B, K, ...].

        The first segment of rows that begin within one is that of the state.
        """
        topics = tf.repeat(state.topic[:, None], segments, axis=1)
        embedding, conductor = self.conductor.unroll(topics, state.conductor)
        new = self.low.state_from(self.low_0(embedding)), conductor, embedding
        old = state.low, state.conductor, state.embedding
        late = tf.nest.map_structure(
            lambda x, y: tf.concat([x[:, None], y[:, :-1]], axis=1), old, new
        )
        return where_row(state.place[:, 0] == 0, new, late)

    def _unroll_segments(
        self, inputs: tf.Tensor, embedding: tf.Tensor, first: StackState
    ) -> tuple[tf.Tensor, StackState]:
        """Computes outputs and states [B, K S, ...] as one batch of B * K short sequences."""
        rows, length = tf.unstack(tf.shape(inputs)[:2])

        def apart(x: tf.Tensor) -> tf.Tensor:  # [B, K, ...] to [B K, ...]
            return tf.reshape(x, [-1, *x.shape[2:]])

        segments = tf.reshape(inputs, [-1, self.segment, inputs.shape[-1]])
        embeddings = tf.repeat(apart(embedding)[:, None], self.segment, axis=1)
        nest = self.low.unroll(
            self._low_inputs(segments, embeddings), tf.nest.map_structure(apart, first)
        )
        return tf.nest.map_structure(lambda x: tf.reshape(x, [rows, length, x.shape[-1]]), nest)

    def _low_inputs(self, inputs: Tensor, embedding: tf.Tensor) -> tf.Tensor:
        return concat((inputs, embedding) if self.embed_inputs else inputs)


def _gather(nest: Items, index: tf.Tensor) -> Items:
    """Returns the items of a nest of [B, N, ...] at [B, T]: [B, T, ...]."""
    items: Items = tf.nest.map_structure(lambda x: tf.gather(x, index, batch_dims=1), nest)
    return items
