"""Conversion of what users and Keras pass to models: batches, sequences, seeds."""

import numpy as np
import tensorflow as tf

from vaeseq.nn.types import Nest, Seed, Specs, Tensor

Batch = tuple[Nest, Nest | None, Tensor | None, Nest | None]


def unpack_batch(data: Nest) -> Batch:
    """Returns (observed, inputs, lengths, state) of a batch; None for what it does not have.

    Args:
      data: the observations, or a dict with `observed` and optionally the others; alone or in a
        tuple, as Keras passes it to `train_step`.

    Raises:
      ValueError: if the dict has other keys.
    """
    if isinstance(data, tuple):  # (x,), or (x, None, None) from `train_on_batch`
        data = tuple(x for x in data if x is not None)
        data = data[0] if len(data) == 1 else data
    if not isinstance(data, dict) or "observed" not in data:
        return data, None, None, None
    names = ("observed", "inputs", "lengths", "state")
    unknown = data.keys() - set(names)
    if unknown:
        raise ValueError(f"a batch may have the keys {', '.join(names)}, not {sorted(unknown)}")
    observed, inputs, lengths, state = (data.get(name) for name in names)
    return observed, inputs, lengths, state


def as_sequences(what: str, sequences: Nest | None, specs: Specs) -> Nest:
    """Converts a nest of arrays to tensors [B, T, ...] and checks their structure and shapes.

    Args:
      what: the name of the sequences, for error messages.
      sequences: nest of arrays [B, T, ...]; None is the same as ().
      specs: the specs of one time step, a nest of the same structure.

    Raises:
      ValueError: if the structure or a shape differs from `specs`.
    """
    sequences = () if sequences is None else sequences

    def convert(spec: tf.TensorSpec, x: Tensor) -> tf.Tensor:
        x = tf.cast(x, spec.dtype)
        if not x.shape.is_compatible_with([None, None, *spec.shape]):
            expected = ", ".join(["B", "T", *map(str, spec.shape)])
            raise ValueError(f"{what} must have the shape [{expected}], not {x.shape}")
        return tf.ensure_shape(x, x.shape[:2] + spec.shape)

    try:
        tf.nest.assert_same_structure(specs, sequences)
    except (TypeError, ValueError) as error:
        expected = tf.nest.map_structure(lambda spec: ["B", "T", *spec.shape], specs)
        shapes = tf.nest.map_structure(lambda x: list(np.shape(x)), sequences)
        raise ValueError(
            f"{what} must be a nest like {_text(expected)}, not {_text(shapes)}"
        ) from error
    return tf.nest.map_structure(convert, specs, sequences)


def _text(shapes: Nest) -> str:
    """Returns a nest of shapes as text without quotes."""
    return str(shapes).replace("'", "")


def stateless_seed(seed: Seed) -> tf.Tensor:
    """Returns a stateless seed, int32 [2]; an int s becomes [s, 0]."""
    seed = tf.cast(seed, tf.int32)
    return tf.stack([seed, 0]) if seed.shape.rank == 0 else seed
