"""Support: the numbers that observations can be, and the checks that they are such numbers."""

import dataclasses
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.nn.types import Nest, Tensor

# Compiled code can raise only errors of TensorFlow, so the message crosses it as text.
OUT_OF_RANGE = re.compile(r"observed has [^'\"\n]*, but \w+ allows [^\]'\"\n]*")
_MISSING = "; if something is missing, say so by lengths or observed_mask"


@dataclasses.dataclass(frozen=True)
class Support:
    """The numbers that each element of an observation can be.

    NaN is not a whole number: an integer cannot carry it to the loss, where it would be seen.

    Attributes:
      decoder: the class of the decoder, for messages.
      low: the lowest number.
      high: the highest number.
      whole: whether only whole numbers are allowed.

    Example:
      >>> import vaeseq
      >>> support = vaeseq.Support("Die", low=1, high=6, whole=True)
      >>> print(support)
      Die allows whole numbers from 1 to 6
      >>> import numpy as np
      >>> support.excludes(np.array([1.0, 2.5, 7.0])).tolist()
      [False, True, True]
    """

    decoder: str
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False

    def __str__(self) -> str:
        kind = "whole numbers" if self.whole else "numbers" if self.is_bounded else "finite numbers"
        limits = ""
        if self.low > -math.inf:
            limits = f" from {self.low:.10g}"
        if self.high < math.inf:
            limits += f" to {self.high:.10g}"
        return f"{self.decoder} allows {kind}{limits}"

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
            return outside | (values % 1 != 0)


def check_observed(
    support: Nest,
    observed: Nest,
    lengths: Tensor | None = None,
    observed_mask: Nest | None = None,
) -> None:
    """Raises an error if observed sequences have numbers that their decoder excludes.

    NaN and infinity are always excluded.

    Args:
      support: the decoder's, a nest of `Support`.
      observed: nest of arrays [B, T, ...] of the same structure; the conversion to tensors refuses
        others. Tensors of compiled code, which have no values yet, are not checked; see
        `assert_observed`.
      lengths: int [B]; what is behind the end of a row does not count. None means T.
      observed_mask: bool [B, T], or a nest of [B, T] or [B, T, ...]; where it is False, the
        observation does not count. None means True.

    Raises:
      UsageError: names the decoder, the number, its index, and what is allowed.
    """
    for each, values, mask in _parts(support, observed, observed_mask):
        if any(map(tf.is_symbolic_tensor, (values, lengths, mask))):
            continue
        values = np.asarray(values)
        values = values.astype(np.uint8) if values.dtype == bool else values
        outside = each.excludes(values) | ~np.isfinite(values)
        if lengths is not None:
            outside &= _expand(np.arange(values.shape[1]) < np.asarray(lengths)[:, None], outside)
        if mask is not None:
            outside &= _expand(np.asarray(mask, bool), outside)
        if outside.any():
            index = tuple(map(int, np.argwhere(outside)[0]))
            value = values[index]
            hint = _MISSING if np.isnan(value) else ""
            raise UsageError(f"observed has {value:g} at {list(index)}, but {each}{hint}")


def assert_observed(
    support: Nest,
    observed: Nest,
    lengths: tf.Tensor | None = None,
    observed_mask: Nest | None = None,
) -> tf.Tensor:
    """Asserts in compiled code what `check_observed` checks; its message matches `OUT_OF_RANGE`.

    Returns:
      A tensor for `tf.control_dependencies`.
    """
    parts = _parts(support, observed, observed_mask)
    return tf.reduce_all([True, *(_assert_inside(*part, lengths) for part in parts)])


def _parts(
    support: Nest, observed: Nest, observed_mask: Nest | None
) -> Iterator[tuple[Support, Any, Any]]:
    """Yields each support with the observations of that part and their mask.

    One mask may serve all parts.
    """
    supports, parts = tf.nest.flatten(support), tf.nest.flatten(observed)
    masks = tf.nest.flatten(observed_mask)
    masks = masks * len(parts) if len(masks) == 1 else masks
    if len(supports) == len(parts) == len(masks):
        yield from zip(supports, parts, masks, strict=True)


def _expand(mask: Any, x: Any) -> Any:
    """Appends axes of size 1 to a mask [B, T] until it has as many as `x`."""
    return mask[(..., *[None] * (len(x.shape) - len(mask.shape)))]


def _assert_inside(
    support: Support,
    values: Tensor,
    mask: tf.Tensor | None,
    lengths: tf.Tensor | None,
) -> tf.Tensor:
    values = tf.convert_to_tensor(values)
    values = tf.cast(values, tf.uint8) if values.dtype == tf.bool else values
    outside = _within_dtype(support, values.dtype).excludes(values)
    if values.dtype.is_floating:
        outside |= ~tf.math.is_finite(values)
    if lengths is not None:
        inside = tf.sequence_mask(tf.reshape(lengths, [-1]), tf.shape(values)[1])
        outside &= _expand(inside, outside)
    if mask is not None:
        outside &= _expand(tf.cast(mask, tf.bool), outside)
    is_inside = ~tf.reduce_any(outside)

    def fail() -> tf.Tensor:
        index = tf.where(outside)[0]
        value = tf.cast(tf.gather_nd(values, index), tf.float64)
        place = tf.strings.reduce_join(tf.strings.as_string(index), separator=", ")
        number = tf.strings.as_string(value, shortest=True)
        hint = tf.where(tf.math.is_nan(value), _MISSING, "")
        parts = ["observed has ", number, " at [", place, f"] of a batch, but {support}", hint]
        tf.debugging.Assert(False, [tf.strings.join(parts)])
        return is_inside

    return tf.cond(is_inside, lambda: is_inside, fail)


def _within_dtype(support: Support, dtype: tf.DType) -> Support:
    """Returns the support of numbers of a dtype, whose limits TensorFlow can compare with them."""
    if not dtype.is_integer:
        return support
    low = dtype.min if support.low < dtype.min else math.ceil(support.low)
    high = dtype.max if support.high > dtype.max else math.floor(support.high)
    return Support(support.decoder, low, high)
