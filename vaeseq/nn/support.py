"""Support: the numbers that observations can be, and the checks that they are such numbers."""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.nn.types import Nest

# Compiled code can raise only errors of TensorFlow, so the message crosses it as text.
OUT_OF_RANGE = re.compile(r"observed has [^\]'\"\n]*, but \w+ allows [^\]'\"\n]*")


@dataclasses.dataclass(frozen=True)
class Support:
    """The numbers that each element of an observation can be.

    NaN is always allowed, because it stands for no number, as behind the end of a row.

    Attributes:
      decoder: the class of the decoder, for messages.
      low: the lowest number.
      high: the highest number.
      whole: whether only whole numbers are allowed.
    """

    decoder: str
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def __str__(self) -> str:
        limits = ""
        if self.low > -math.inf:
            limits = f" from {self.low:.10g}"
        if self.high < math.inf:
            limits += f" to {self.high:.10g}"
        return f"{self.decoder} allows {'whole numbers' if self.whole else 'numbers'}{limits}"

    @property
    def is_bounded(self) -> bool:
        """Whether there is a number that is not allowed."""
        return self.whole or self.low > -math.inf or self.high < math.inf

    def excludes(self, values: Any) -> Any:
        """Returns which values are outside, a NumPy array or a tensor as `values` is."""
        outside = (values < self.low) | (values > self.high)
        if not self.whole:
            return outside
        with np.errstate(invalid="ignore"):  # of infinity % 1
            return outside | (values % 1 > 0)


def check_observed(support: Nest, observed: Nest, lengths: np.ndarray | None = None) -> None:
    """Raises an error if observed sequences have numbers that their decoder excludes.

    Args:
      support: the decoder's, a nest of `Support`.
      observed: nest of arrays [B, T, ...] of the same structure. Tensors of compiled code, which
        have no values yet, are not checked; see `assert_observed`.
      lengths: int [B]; what is behind the end of a row is not checked. None means T.

    Raises:
      UsageError: names the decoder, the number, its index, and what is allowed.
    """
    for each, values in _bounded(support, observed):
        if tf.is_symbolic_tensor(values) or tf.is_symbolic_tensor(lengths):
            continue
        values = np.asarray(values)
        values = values.astype(np.uint8) if values.dtype == bool else values
        outside = each.excludes(values)
        if lengths is not None:
            outside[np.arange(values.shape[1]) >= np.asarray(lengths)[:, None]] = False
        if outside.any():
            index = tuple(map(int, np.argwhere(outside)[0]))
            raise UsageError(f"observed has {values[index]:g} at {list(index)}, but {each}")


def assert_observed(support: Nest, observed: Nest, lengths: tf.Tensor | None = None) -> tf.Tensor:
    """Asserts in compiled code what `check_observed` checks; its message matches `OUT_OF_RANGE`.

    Returns:
      A tensor for `tf.control_dependencies`.
    """
    checks = [_assert_inside(each, x, lengths) for each, x in _bounded(support, observed)]
    return tf.reduce_all([True, *checks])


def _bounded(support: Nest, observed: Nest) -> Iterator[tuple[Support, Any]]:
    """Yields each support that excludes numbers, with the observations of that part."""
    pairs = zip(tf.nest.flatten(support), tf.nest.flatten(observed), strict=True)
    return ((each, values) for each, values in pairs if each.is_bounded)


def _assert_inside(support: Support, values: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    values = tf.cast(values, tf.float64)  # small integers could not be compared with the limits
    outside = support.excludes(values)
    if lengths is not None:
        valid = tf.sequence_mask(lengths, tf.shape(values)[1])
        outside &= tf.reshape(
            valid, [*tf.unstack(tf.shape(valid)), *[1] * (outside.shape.rank - 2)]
        )
    is_inside = ~tf.reduce_any(outside)

    def fail() -> tf.Tensor:
        value = tf.strings.as_string(tf.boolean_mask(values, outside)[0], shortest=True)
        message = tf.strings.join(["observed has ", value, f", but {support}"])
        tf.debugging.Assert(False, [message])
        return is_inside

    return tf.cond(is_inside, lambda: is_inside, fail)
