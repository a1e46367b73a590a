"""A training stops before the update that would make its weights infinite or not a number."""

import functools
import re
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq.errors import Stopped

_MARK = "not finite at step"
_MOST_NAMES = 3


def checked(
    loss: tf.Tensor,
    suspects: dict[str, Any],
    variables: list[Any],
    gradients: list[Any],
    step: tf.Tensor,
) -> tf.Tensor:
    """What to wait for before the update; it fails where the loss or a gradient is not finite.

    One number says whether all is well, so that only a failure looks into the tensors.

    Args:
      loss: the loss.
      suspects: what it is made of: nests of tensors by name, in the order in which they are
        computed.
      variables: the trainable variables.
      gradients: theirs.
      step: to be named.
    """
    norm = tf.linalg.global_norm(gradients)
    well = tf.math.is_finite(loss + norm)

    def fail() -> tf.Tensor:
        pairs = zip(variables, gradients, strict=True)
        named = suspects | {f"the gradient of {x.path}": gradient for x, gradient in pairs}
        named["the norm of all gradients"] = norm
        bad = tf.stack([~_all_finite(x) for x in named.values()])
        names = tf.boolean_mask(list(named), bad)[:_MOST_NAMES]
        words = [_MARK, tf.strings.as_string(step), tf.strings.reduce_join(names, separator=", ")]
        tf.debugging.Assert(False, [tf.strings.join(words, separator=" ")])
        return well

    return tf.cond(well, lambda: well, fail)


def _all_finite(tensors: Any) -> tf.Tensor:
    """Whether all floats in a nest are finite."""
    dense = (x.values if isinstance(x, tf.IndexedSlices) else x for x in tf.nest.flatten(tensors))
    floats = [x for x in dense if x is not None and x.dtype.is_floating]
    return tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(x)) for x in floats)])


def raise_stopped_if_not_finite(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A train function that says in one line (`Stopped`) what TensorFlow says in pages."""

    @functools.wraps(function)
    def told(iterator: Any) -> Any:
        try:
            return function(iterator)
        except tf.errors.InvalidArgumentError as error:
            found = re.search(rf"{_MARK} (\d+) ([^\]'\"\n]*)", error.message)
            if not found:
                raise
            raise Stopped(
                f"step {found[1]}: {found[2]} not finite; nothing was updated. Try a smaller "
                "learning_rate or clip_gradient_norm, and look for such values in the data"
            ) from None

    return told
