"""Operations over time on nests of sequences [B, T, ...]."""

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf

from vaeseq.nn.types import Nest, Size

Inputs = TypeVar("Inputs")
Outputs = TypeVar("Outputs")
State = TypeVar("State")


def scan(
    step: Callable[[Inputs, State], tuple[Outputs, State]], inputs: Inputs, state: State
) -> tuple[Outputs, State]:
    """Calls `outputs_t, state = step(inputs_t, state)` for each time step.

    Args:
      step: takes nests `inputs_t` of [B, ...] and `state`, returns nests like them.
      inputs: nest of tensors [B, T, ...], T >= 1; None stays None.
      state: the state before the first step.

    Returns:
      The outputs of all steps, a nest of [B, T, ...], and the last state.
    """
    flat_inputs = [None if x is None else _by_step(x) for x in tf.nest.flatten(inputs)]
    steps = next(x for x in flat_inputs if x is not None).size()

    def step_at(t: Size, state: State) -> tuple[Outputs, State]:
        inputs_t = [None if x is None else x.read(t) for x in flat_inputs]
        return step(tf.nest.pack_sequence_as(inputs, inputs_t), state)

    # The first step runs before the loop and defines the structure of the outputs.
    first, state = step_at(0, state)
    arrays = [
        tf.TensorArray(x.dtype, size=steps, element_shape=x.shape).write(0, x)
        for x in tf.nest.flatten(first)
    ]

    def body(
        t: tf.Tensor, state: State, arrays: list[tf.TensorArray]
    ) -> tuple[tf.Tensor, State, list[tf.TensorArray]]:
        outputs, state = step_at(t, state)
        tf.nest.assert_same_structure(outputs, first)
        written = [a.write(t, x) for a, x in zip(arrays, tf.nest.flatten(outputs), strict=True)]
        return t + 1, state, written

    _, state, arrays = tf.while_loop(
        lambda t, *_: t < steps, body, (1, state, arrays), maximum_iterations=steps
    )
    outputs = [swap_time_batch(array.stack()) for array in arrays]
    return tf.nest.pack_sequence_as(first, outputs), state


def _by_step(x: tf.Tensor) -> tf.TensorArray:
    """Returns the steps of a tensor [B, T, ...].

    The gradient of reading a step from a `TensorArray` writes a step; that of indexing a tensor
    adds a whole sequence of zeros at each step.
    """
    steps = swap_time_batch(x)
    array = tf.TensorArray(
        x.dtype, tf.shape(steps)[0], element_shape=steps.shape[1:], clear_after_read=False
    )
    return array.unstack(steps)


def over_time(layer: Callable[[Inputs], Outputs], sequence: Inputs) -> Outputs:
    """Applies a layer that takes [N, ...] to a nest of [B, T, ...], with N = B * T.

    Example:
      >>> import keras
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> vaeseq.over_time(keras.layers.Dense(8), tf.zeros([4, 10, 3])).shape
      TensorShape([4, 10, 8])
    """
    batch, time = tf.unstack(tf.shape(tf.nest.flatten(sequence)[0])[:2])
    merged = tf.nest.map_structure(lambda x: tf.reshape(x, [batch * time, *x.shape[2:]]), sequence)
    return tf.nest.map_structure(
        lambda y: tf.reshape(y, [batch, time, *y.shape[1:]]), layer(merged)
    )


def last(sequence: State, lengths: tf.Tensor | None = None) -> State:
    """Returns the last step of a nest of [B, T, ...]; with `lengths` [B], step lengths[b] - 1."""
    if lengths is None:
        return tf.nest.map_structure(lambda x: x[:, -1], sequence)
    index = tf.maximum(lengths - 1, 0)
    return tf.nest.map_structure(lambda x: tf.gather(x, index, batch_dims=1), sequence)


def where_row(chosen: tf.Tensor, first: Inputs, second: Inputs) -> Inputs:
    """Returns the rows of one nest of [B, ...] where `chosen`, bool [B], and else of the other."""

    def choose(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.where(tf.reshape(chosen, [-1, *[1] * (x.shape.rank - 1)]), x, y)

    chosen_rows: Inputs = tf.nest.map_structure(choose, first, second)
    return chosen_rows


def replace_padding(sequence: Inputs, lengths: tf.Tensor, value: Inputs) -> Inputs:
    """Replaces the steps after the end of each row, so that nothing there reaches a gradient.

    A gradient through `tf.where` is NaN if the branch that it does not take is not finite, so the
    padding must go before anything is computed from it.

    Args:
      sequence: nest of [B, T, ...].
      lengths: [B].
      value: nest of what stands for a step, [1, ...].
    """

    def replace(x: tf.Tensor, padding: tf.Tensor) -> tf.Tensor:
        is_valid = tf.sequence_mask(lengths, tf.shape(x)[1])
        is_valid = tf.reshape(
            is_valid, [*tf.unstack(tf.shape(is_valid)), *[1] * (len(x.shape) - 2)]
        )
        return tf.where(is_valid, x, padding[:, None])

    return tf.nest.map_structure(replace, sequence, value)


def repeat_rows(nest: Outputs, times: Size) -> Outputs:
    """Repeats each row of a nest of [B, ...]: [B * times, ...]; None stays None."""
    return tf.nest.map_structure(lambda x: None if x is None else tf.repeat(x, times, axis=0), nest)


def num_rows(nest: Nest) -> int:
    """Returns B of a nest of tensors [B, ...]; 1 if the nest is empty."""
    return next((int(x.shape[0]) for x in tf.nest.flatten(nest)), 1)


def swap_time_batch(x: tf.Tensor) -> tf.Tensor:
    """Transposes [B, T, ...] to [T, B, ...], or back."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
