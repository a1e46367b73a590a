"""Fold a step function over time."""

from collections.abc import Callable
from typing import Any

import numpy as np
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


def over_time(layer: Callable[[Any], Any], sequence: Any) -> Any:
    """Applies a layer that knows only [N, ...] to a nest of [B, T, ...], as one batch of B * T."""
    batch, time = tf.unstack(tf.shape(tf.nest.flatten(sequence)[0])[:2])
    merged = tf.nest.map_structure(lambda x: tf.reshape(x, [batch * time, *x.shape[2:]]), sequence)
    return tf.nest.map_structure(
        lambda y: tf.reshape(y, [batch, time, *y.shape[1:]]), layer(merged)
    )


def unpack(data: Any) -> tuple[Any, ...]:
    """A batch as Keras hands it over to (observed, inputs, lengths, state)."""
    if isinstance(data, tuple):  # (x,), or (x, None, None) from `train_on_batch`
        data = tuple(x for x in data if x is not None)
        data = data[0] if len(data) == 1 else data
    if not isinstance(data, dict) or "observed" not in data:
        return data, None, None, None
    names = ("observed", "inputs", "lengths", "state")
    unknown = data.keys() - set(names)
    if unknown:
        raise ValueError(f"a batch has {', '.join(names)}, not {sorted(unknown)}")
    return tuple(data.get(name) for name in names)


def stateless_seed(seed: Any) -> tf.Tensor:
    """An int, or a stateless seed as it is, to a stateless seed: int32 [2]."""
    seed = tf.cast(seed, tf.int32)
    return tf.stack([seed, 0]) if seed.shape.rank == 0 else seed


def as_sequences(what: str, sequences: Any, specs: Any) -> Any:
    """Converts a nest to tensors [B, T, ...] and holds them to the specs of one step."""

    sequences = () if sequences is None else sequences

    def convert(spec: tf.TensorSpec, x: Any) -> tf.Tensor:
        x = tf.cast(x, spec.dtype)
        if not x.shape.is_compatible_with([None, None, *spec.shape]):
            wanted = ", ".join(["B", "T", *map(str, spec.shape)])
            raise ValueError(f"{what} must have the shape [{wanted}], not {x.shape}")
        return tf.ensure_shape(x, x.shape[:2] + spec.shape)

    try:
        tf.nest.assert_same_structure(specs, sequences)
    except (TypeError, ValueError) as error:
        shapes = tf.nest.map_structure(np.shape, sequences)
        raise ValueError(f"{what} must be a nest like {specs}, not of shapes {shapes}") from error
    return tf.nest.map_structure(convert, specs, sequences)
