"""Checks in compiled code: of lengths, and of numbers that must be finite."""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import keras
import tensorflow as tf

from vaeseq.errors import Overflow, Stopped, UsageError
from vaeseq.nn.convert import WRONG_MASK
from vaeseq.nn.support import OUT_OF_RANGE
from vaeseq.nn.types import Nest, Size

Data = TypeVar("Data")
Result = TypeVar("Result")

_MOST_NAMES = 3
# Compiled code can raise only errors of TensorFlow, so the step and the names cross it as text.
_MARK = "not finite at step"
_LENGTHS_MARK = "lengths must be from"
_LENGTHS = re.compile(rf"{_LENGTHS_MARK} 1 to \d+, not from -?\d+ to -?\d+")
_MESSAGE = re.compile(rf"{_MARK} (\d+): ([^\]'\"\n]*)")
_OVERFLOW = "a distribution to sample from is not finite"


def assert_finite(
    loss: tf.Tensor,
    suspects: Mapping[str, Nest],
    variables: Sequence[keras.Variable],
    gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
    step: tf.Tensor,
) -> tf.Tensor:
    """Asserts that a loss and its gradients are finite; put it before the update.

    One number decides it. Only a failure looks into the tensors, to name up to three of those
    that are not finite.

    Args:
      loss: the loss.
      suspects: nests of tensors that the loss depends on, by name, in the order in which they are
        computed.
      variables: the trainable variables.
      gradients: those of `variables`; None for none.
      step: the number of the step, to be named.

    Returns:
      A tensor for `tf.control_dependencies`.
    """
    norm = tf.linalg.global_norm(gradients)
    is_finite = tf.math.is_finite(loss + norm)

    def fail() -> tf.Tensor:
        pairs = zip(variables, gradients, strict=True)
        named = {**suspects, **{f"the gradient of {x.path}": gradient for x, gradient in pairs}}
        named["the norm of all gradients"] = norm
        bad = tf.stack([~_all_finite(x) for x in named.values()])
        names = tf.boolean_mask(list(named), bad)[:_MOST_NAMES]
        text = tf.strings.reduce_join(names, separator=", ")
        number = tf.strings.as_string(step)
        tf.debugging.Assert(False, [tf.strings.join([_MARK, " ", number, ": ", text])])
        return is_finite

    return tf.cond(is_finite, lambda: is_finite, fail)


def assert_samplable(params: Nest) -> Any:
    """Returns the parameters of a distribution; asserts that they are neither NaN nor infinite.

    A logit may be -inf, which excludes a value. From other parameters TensorFlow samples nonsense:
    categories that do not exist, or a Bernoulli variable that is always 0.
    """
    floats = [x for x in tf.nest.flatten(params) if x.dtype.is_floating]
    valid = tf.reduce_all([tf.reduce_all(x < math.inf) for x in floats])  # false for NaN, too
    with tf.control_dependencies([tf.debugging.Assert(valid, [_OVERFLOW])]):
        return tf.nest.map_structure(tf.identity, params)


@contextlib.contextmanager
def reraise_overflow() -> Iterator[None]:
    """Raises `Overflow`, a `UsageError`, for the error of `assert_samplable`."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if _OVERFLOW not in error.message:
            raise
        raise Overflow(
            f"{_OVERFLOW}: the weights or the inputs are too large, or the temperature is too low"
        ) from None


def assert_lengths(lengths: tf.Tensor, steps: Size) -> tf.Tensor:
    """Asserts that all lengths [B] are from 1 to `steps`, where they are known only now.

    Returns:
      The lengths.
    """
    is_right = tf.reduce_all((lengths >= 1) & (lengths <= steps))

    def fail() -> tf.Tensor:
        texts = map(tf.strings.as_string, (steps, tf.reduce_min(lengths), tf.reduce_max(lengths)))
        steps_text, low, high = texts
        parts = [_LENGTHS_MARK, " 1 to ", steps_text, ", not from ", low, " to ", high]
        tf.debugging.Assert(False, [tf.strings.join(parts)])
        return is_right

    with tf.control_dependencies([tf.cond(is_right, lambda: is_right, fail)]):
        return tf.identity(lengths)


def _all_finite(tensors: Nest | None) -> tf.Tensor:
    """Returns whether all floats in a nest are finite."""
    dense = (x.values if isinstance(x, tf.IndexedSlices) else x for x in tf.nest.flatten(tensors))
    floats = [x for x in dense if x is not None and x.dtype.is_floating]
    return tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(x)) for x in floats)])


def raise_clear_errors(function: Callable[[Data], Result]) -> Callable[[Data], Result]:
    """Wraps a train or test function; turns the errors of these checks into one line.

    That of `assert_lengths` becomes `ValueError`, that of `vaeseq.nn.support.assert_observed`
    `UsageError`, and the others `Stopped`.
    """

    @functools.wraps(function)
    def wrapped(data: Data) -> Result:
        try:
            return function(data)
        except tf.errors.InvalidArgumentError as error:
            lengths = _LENGTHS.search(error.message)
            if lengths:
                raise ValueError(lengths[0]) from None
            if WRONG_MASK in error.message:
                raise ValueError(WRONG_MASK) from None
            observed = OUT_OF_RANGE.search(error.message)
            if observed:
                raise UsageError(observed[0]) from None
            found = _MESSAGE.search(error.message)
            if _OVERFLOW in error.message:
                raise Stopped(f"{_OVERFLOW}; use a smaller learning_rate") from None
            if not found:
                raise
            raise Stopped(
                f"step {found[1]}: {found[2]} not finite; nothing was updated. {_advice(found[2])}"
            ) from None

    return wrapped


def _advice(names: str) -> str:
    if names.split(",")[0] in ("inputs", "sample_weight"):
        return "The data has such values: replace them, or leave out the sequences that have them"
    return "Use a smaller learning_rate or clip_gradient_norm, and check the data for such values"
