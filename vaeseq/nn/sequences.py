"""Fold a step function over time."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def scan(step: Callable[[Any, Any], tuple[Any, Any]], inputs: Any, state: Any) -> tuple[Any, Any]:
    """Calls `outputs_t, state = step(inputs_t, state)` for every time step.

    Args:
      step: gets nests `inputs_t` [B, ...] and `state`, returns such nests.
      inputs: nest of tensors [B, T, ...], T >= 1; None stays None.
      state: the state before the first step.

    Returns:
      The outputs of all steps, [B, T, ...], and the last state.
    """
    flat_inputs = [None if x is None else swap_time_batch(x) for x in tf.nest.flatten(inputs)]
    steps = tf.shape(next(x for x in flat_inputs if x is not None))[0]

    def step_at(t: Any, state: Any) -> tuple[Any, Any]:
        inputs_t = [None if x is None else x[t] for x in flat_inputs]
        return step(tf.nest.pack_sequence_as(inputs, inputs_t), state)

    # The first step stands before the loop: it tells the structure of the outputs.
    first, state = step_at(0, state)
    flat_first = tf.nest.flatten(first)
    arrays = [
        tf.TensorArray(x.dtype, size=steps, element_shape=x.shape).write(0, x) for x in flat_first
    ]

    def body(t: Any, state: Any, arrays: Any) -> tuple[Any, Any, Any]:
        outputs, state = step_at(t, state)
        tf.nest.assert_same_structure(outputs, first)
        written = [a.write(t, x) for a, x in zip(arrays, tf.nest.flatten(outputs), strict=True)]
        return t + 1, state, written

    _, state, arrays = tf.while_loop(
        lambda t, *_: t < steps, body, (1, state, arrays), maximum_iterations=steps
    )
    outputs = [swap_time_batch(array.stack()) for array in arrays]
    return tf.nest.pack_sequence_as(first, outputs), state


def swap_time_batch(x: tf.Tensor) -> tf.Tensor:
    """[B, T, ...] to [T, B, ...] or back."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def last(states: Any, lengths: tf.Tensor | None = None) -> Any:
    """The last of a nest of states [B, T, ...]; with `lengths` [B], each row's own last."""
    if lengths is None:
        return tf.nest.map_structure(lambda x: x[:, -1], states)
    at = tf.maximum(lengths - 1, 0)
    return tf.nest.map_structure(lambda x: tf.gather(x, at, batch_dims=1), states)
