"""Conversion of what users and Keras pass to models: batches, sequences, seeds."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.nn.types import Nest, Seed, Size, Specs, Tensor

WRONG_MASK = "observed_mask must have the shape [B, T] or that of the observations"
"""The message of an error that compiled code raises."""


class Batch(NamedTuple):
    """What a batch of training or test data holds; None for what it does not have."""

    observed: Nest  # nest of [B, T, *event_shape]
    inputs: Nest | None = None  # nest of [B, T, ...]
    lengths: Tensor | None = None  # [B]
    state: Any = None  # the `State` before the first step
    sample_weight: Tensor | None = None  # [B] or [B, T]
    observed_mask: Nest | None = None  # bool [B, T], or a nest of [B, T, *event_shape]


def unpack_batch(data: Nest, event: Nest) -> Batch:
    """Returns the parts of a batch that Keras passes to a step.

    Args:
      data: the observations, or a dict with the names of `Batch`; alone or in a tuple, as in
        `(x,)` or `(x, None, sample_weight)`.
      event: the structure of an observation, such as a tuple for `codec.JointDecoder`.

    Raises:
      ValueError: if the dict has other keys, or if there are targets.
    """
    if isinstance(data, Batch):
        return data
    x, sample_weight = _without_targets(data, event)
    if not isinstance(x, Mapping) or "observed" not in x:
        return Batch(x, sample_weight=sample_weight)
    unknown = x.keys() - set(Batch._fields)
    if unknown:
        names = ", ".join(Batch._fields)
        raise ValueError(f"a batch may have the keys {names}, not {sorted(unknown)}")
    batch = Batch(**x)
    return batch if sample_weight is None else batch._replace(sample_weight=sample_weight)


def _without_targets(data: Nest, event: Nest) -> tuple[Nest, Tensor | None]:
    """Returns x and sample_weight of `x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`."""
    if not isinstance(data, tuple) or (isinstance(event, tuple) and has_structure(data, event)):
        return data, None
    if not 1 <= len(data) <= 3:
        raise ValueError(
            f"a batch must be x, (x,) or (x, None, sample_weight), not a tuple of {len(data)} items"
        )
    x, y, sample_weight = (*data, None, None)[:3]
    if y is not None:
        raise ValueError(
            "a batch has targets (y), but a sequence model learns the distribution of x: pass "
            "what x depends on as {'observed': x, 'inputs': ...}"
        )
    return x, sample_weight


def has_structure(data: Nest, structure: Nest) -> bool:
    """Returns whether data have the structure of another nest."""
    try:
        tf.nest.assert_same_structure(structure, data)
    except (TypeError, ValueError):
        return False
    return True


def as_count(what: str, number: Any) -> int:
    """Returns a number of rows, steps or samples as int.

    Args:
      what: its name, for error messages.
      number: an int, or an integer of NumPy or TensorFlow.

    Raises:
      ValueError: if it is not a whole number of at least 1.
    """
    try:
        count = operator.index(number)
    except TypeError:
        raise ValueError(f"{what} must be a whole number, not {number!r}") from None
    if count < 1:
        raise ValueError(f"{what} must be at least 1, not {count}")
    return count


def as_lengths(lengths: Tensor | Sequence[int], batch_size: Size, steps: Size) -> tf.Tensor:
    """Converts the numbers of steps of each row to int32 [B].

    Raises:
      ValueError: if there are not `batch_size` of them, or if one is not from 1 to `steps`. Values
        that are known only when compiled code runs are not checked here; see
        `vaeseq.nn.finite.assert_lengths`.
    """
    given = tf.convert_to_tensor(lengths)
    if not given.dtype.is_integer:
        raise ValueError(f"lengths must be whole numbers, not {given.dtype.name}")
    lengths = tf.cast(given, tf.int32)
    if lengths.shape.rank is None:  # of a dataset that does not know its shapes
        lengths = tf.ensure_shape(lengths, [None])
    rows = tf.get_static_value(batch_size)
    if lengths.shape.rank != 1 or not lengths.shape.is_compatible_with([rows]):
        raise ValueError(
            f"lengths must have the shape [{'B' if rows is None else rows}], one for each row, not "
            f"{lengths.shape}"
        )
    values, most = tf.get_static_value(lengths), tf.get_static_value(steps)
    if values is not None and most is not None:
        wrong = values[(values < 1) | (values > most)]
        if wrong.size:
            raise ValueError(
                f"lengths must be from 1 to {most}, the number of steps; not {wrong[0]}"
            )
    return lengths


def as_mask(mask: Nest, observed: Nest, elementwise: Nest) -> Nest:
    """Converts a mask of what is observed to a nest of bool tensors with the shapes of `observed`.

    Args:
      mask: bool [B, T]; or a nest like `observed` of [B, T] or [B, T, *event_shape].
      observed: nest of tensors [B, T, *event_shape].
      elementwise: nest of bool like `observed`: whether single elements may be missing.

    Raises:
      ValueError: if a shape or the dtype differs, or if elements are missing where only whole
        steps may be.
    """
    if tf.nest.is_nested(observed) and not tf.nest.is_nested(mask):
        mask = tf.nest.map_structure(lambda _: mask, observed)

    def expand(x: tf.Tensor, each: Tensor, may_be_elementwise: bool) -> tf.Tensor:
        each = tf.convert_to_tensor(each)
        if each.dtype != tf.bool:  # of a weight of 0.5, the cast would make True
            raise ValueError(f"observed_mask must be bool, not {each.dtype.name}")
        if not any(each.shape.is_compatible_with(shape) for shape in (x.shape[:2], x.shape)):
            raise ValueError(
                f"observed_mask must have the shape [B, T] = {x.shape[:2]} or that of the "
                f"observations, {x.shape}, not {each.shape}"
            )
        sizes = tf.unstack(tf.shape(x))
        if each.shape.rank == 2:
            sizes = [*sizes[:2], *[1] * (x.shape.rank - 2)]
        elif not may_be_elementwise:
            raise ValueError(
                "observed_mask must have the shape [B, T]: this decoder's elements depend on each "
                "other, so an observation can only be missing as a whole"
            )
        # Sizes that are known only when compiled code runs must not be broadcast, either.
        is_right = tf.equal(tf.size(each), tf.reduce_prod(sizes))
        with tf.control_dependencies([tf.debugging.Assert(is_right, [WRONG_MASK])]):
            return tf.broadcast_to(tf.reshape(each, sizes), tf.shape(x))

    return tf.nest.map_structure(expand, observed, mask, elementwise)


def assert_equal_sizes(observed: Nest, inputs: Nest) -> None:
    """Raises `ValueError` if known numbers of rows or steps differ within or between the nests."""
    for axis, what in enumerate(("rows", "steps")):
        sizes = {
            name: {x.shape[axis] for x in tf.nest.flatten(nest)} - {None}
            for name, nest in (("observed", observed), ("inputs", inputs))
        }
        if len(sizes["observed"] | sizes["inputs"]) > 1:
            found = [f"{name} {sorted(each)}" for name, each in sizes.items() if each]
            raise ValueError(f"all must have the same number of {what}: {', '.join(found)}")


def as_sequences(what: str, sequences: Nest | None, specs: Specs) -> Nest:
    """Converts a nest of arrays to tensors [B, T, ...] and checks their structure and shapes.

    Args:
      what: the name of the sequences, for error messages.
      sequences: nest of arrays [B, T, ...]; None is the same as ().
      specs: the specs of one time step, a nest of the same structure.

    Raises:
      ValueError: if the structure or a shape differs from `specs`, or if a dtype is not numeric.
    """
    sequences = () if sequences is None else sequences
    check_sequences(what, sequences, specs)

    def convert(spec: tf.TensorSpec, x: Tensor) -> tf.Tensor:
        x = tf.cast(x, spec.dtype)
        return tf.ensure_shape(x, x.shape[:2] + spec.shape)

    return tf.nest.map_structure(convert, specs, sequences)


def check_sequences(what: str, sequences: Nest, specs: Specs) -> None:
    """Raises `ValueError` if structure, shapes or dtypes are not those of sequences [B, T, ...].

    Args:
      what, specs: see `as_sequences`.
      sequences: nest of arrays, or of anything else that has a shape and a dtype.
    """
    if isinstance(sequences, list) and not isinstance(specs, list):
        raise ValueError(
            f"{what} must be an array, not a list: use np.asarray; if the sequences differ in "
            "length, pad them and pass `lengths`"
        )
    if not tf.nest.flatten(specs) and tf.nest.flatten(sequences):
        raise ValueError(f"{what} must be None: the model was made without {what}_spec")

    def check(spec: tf.TensorSpec, x: Any) -> None:
        if isinstance(x, np.ma.MaskedArray):  # TensorFlow forgets the mask
            raise ValueError(
                f"{what} must be an array without a mask: pass x.filled(0) for {what}, and "
                "observed_mask=~np.ma.getmaskarray(x) for a gap in observations"
            )
        if not _is_numeric(x):
            raise ValueError(
                f"{what} must be numbers, such as float32, not an array of dtype {x.dtype}"
            )
        shape = _shape(x)
        if not shape.is_compatible_with([None, None, *spec.shape]):
            expected = ", ".join(["B", "T", *map(str, spec.shape)])
            raise ValueError(f"{what} must have the shape [{expected}], not {shape}")

    try:
        tf.nest.assert_same_structure(specs, sequences)
    except (TypeError, ValueError) as error:
        expected = tf.nest.map_structure(lambda spec: ["B", "T", *spec.shape], specs)
        shapes = tf.nest.map_structure(lambda x: [*_shape(x)], sequences)
        raise ValueError(
            f"{what} must be a nest like {_text(expected)}, not {_text(shapes)}"
        ) from error
    tf.nest.map_structure(check, specs, sequences)


def _is_numeric(x: Any) -> bool:
    try:
        dtype = tf.as_dtype(getattr(x, "dtype", tf.float32))
    except TypeError:  # such as that of dates
        return False
    return bool(dtype.is_floating or dtype.is_integer or dtype.is_bool)


def _shape(x: Any) -> tf.TensorShape:
    return tf.TensorShape(x.shape if hasattr(x, "shape") else np.shape(x))


def _text(shapes: Nest) -> str:
    """Returns a nest of shapes as text without quotes."""
    return str(shapes).replace("'", "")


def stateless_seed(seed: Seed) -> tf.Tensor:
    """Returns a stateless seed, int32 [2]; an int s becomes [s, 0]."""
    seed = tf.cast(seed, tf.int32)
    return tf.stack([seed, 0]) if seed.shape.rank == 0 else seed
