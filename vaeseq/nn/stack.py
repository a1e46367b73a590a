"""RecurrentStack: the contract of a stack of recurrent layers."""

import abc
from typing import Any, TypeAlias

import keras
import tensorflow as tf

from vaeseq.nn.types import Size, Tensor

StackState: TypeAlias = tuple[Any, ...]
"""The state of a stack: for each layer a tensor [B, H], or a named tuple of such tensors."""


class RecurrentStack(keras.layers.Layer, abc.ABC):
    """Recurrent layers of which each takes the outputs of the one before.

    You write:

    * `state_size` and `state_from`: the numbers in a state, and a state made of them.
    * `step`: one time step.
    * `unroll`: all steps of `step`, faster.

    You get `initial_state`, `features` and `unroll_backward`.
    """

    state_size: int  # the number of features that `state_from` takes

    @abc.abstractmethod
    def state_from(self, features: Tensor) -> StackState:
        """Returns a state whose numbers are the features [B, state_size]."""

    @abc.abstractmethod
    def step(self, inputs: Tensor, state: StackState) -> tuple[tf.Tensor, StackState]:
        """Computes the outputs [B, H] and the next state from inputs [B, X] and a state."""

    @abc.abstractmethod
    def unroll(self, inputs: Tensor, state: StackState) -> tuple[tf.Tensor, StackState]:
        """Computes the outputs [B, T, H] and all states [B, T, H_l] from inputs [B, T, X]."""

    def initial_state(self, batch_size: Size) -> StackState:
        """Returns zeros."""
        return self.state_from(tf.zeros([batch_size, self.state_size]))

    def features(self, states: StackState) -> tf.Tensor:
        """Returns h_t of the last layer, [..., H], of one state or of all.

        These are the outputs of an LSTM; those of a minGRU also depend on the inputs of the step.
        """
        h: tf.Tensor = tf.nest.flatten(states[-1])[0]
        return h

    def unroll_backward(self, inputs: Tensor, lengths: Tensor | None = None) -> tf.Tensor:
        """Computes outputs [B, T, H] that summarise the inputs [B, T, X] from each step on.

        With `lengths` [B], each row starts at its own end, so that padding does not affect it.
        """
        initial = self.initial_state(tf.shape(inputs)[0])
        outputs, _ = self.unroll(_reverse(inputs, lengths), initial)
        return _reverse(outputs, lengths)


def _reverse(sequence: tf.Tensor, lengths: Tensor | None) -> tf.Tensor:
    if lengths is None:
        return tf.reverse(sequence, [1])
    return tf.reverse_sequence(sequence, lengths, seq_axis=1)
