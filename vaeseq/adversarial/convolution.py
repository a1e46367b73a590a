"""The maxima over time of convolutions of several widths, from few matrix products.

A filter of w steps sees the window x_t:t+w-1 from each t on. All windows are copied once, as the
columns of one matrix whose first w E rows are the windows of w steps, so that each width is one
product with a contiguous part of it.

The gradient is written by hand. Only the window that is the maximum has one, the products for the
features come in the order in which they are added up, and no sum depends on how threads take
turns, as it does in the gradient of TensorFlow's convolution on CPU.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from vaeseq.nn.custom_gradient import custom_gradient
from vaeseq.nn.types import Size


def window_maxima(
    features: tf.Tensor,
    kernels: Sequence[tf.Tensor],
    lengths: tf.Tensor | None = None,
    whole: bool = False,
) -> list[tf.Tensor]:
    """Returns the maximum over t of each filter's product with the window from t on, [B, N].

    Args:
      features: of all steps, [B, T, E]; zero after `lengths`.
      kernels: of filters of w steps, [w E, N].
      lengths: steps of each row, [B]; None if all have T.
      whole: whether only windows count that end within the sequence. Otherwise those that run over
        its end count, too, padded with zeros. A sequence shorter than w has one padded window.
    """
    time, size = tf.shape(features)[1], features.shape[2]
    widths = [kernel.shape[0] // size for kernel in kernels]
    ends = [tf.maximum(time - (width - 1 if whole else 0), 1) for width in widths]
    pairs = zip(widths, ends, strict=True)
    masks = [None if lengths is None else _starts(lengths, *x, whole) for x in pairs]

    @custom_gradient
    def maxima(
        features: tf.Tensor, *kernels: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, ...], Callable[..., tuple[tf.Tensor, ...]]]:
        rows = tf.shape(features)[0]
        windows = _windows(features, max(widths))
        products = []
        for kernel, width, end, mask in zip(kernels, widths, ends, masks, strict=True):
            own = windows[: width * size, : end * rows]
            product = tf.matmul(own, kernel, transpose_a=True)
            product = tf.reshape(product, [end, rows, kernel.shape[1]])
            products.append(product if mask is None else tf.where(mask, product, product.dtype.min))
        largest = tuple(tf.reduce_max(product, axis=0) for product in products)

        def gradient(*upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            by_kernel: list[tf.Tensor] = []
            by_offset: list[list[tf.Tensor]] = [[] for _ in range(max(widths))]
            for i, (width, end) in enumerate(zip(widths, ends, strict=True)):
                chosen = tf.cast(products[i] == largest[i], features.dtype)
                share = upstream[i] / tf.reduce_sum(chosen, axis=0)  # equal maxima share it
                d = tf.reshape(chosen * share, [end * rows, kernels[i].shape[1]])
                by_kernel.append(tf.matmul(windows[: width * size, : end * rows], d))
                kernel = tf.reshape(kernels[i], [width, size, -1])
                d_windows = tf.matmul(d[None], kernel, transpose_b=True)  # [w, end B, E]
                d_windows = tf.reshape(d_windows, [width, end, rows, size])
                for offset in range(width):
                    by_offset[offset].append(_padded_to(time, d_windows[offset]))
            return tf.transpose(_added_up(by_offset), [1, 0, 2]), *by_kernel

        return largest, gradient

    found: tuple[tf.Tensor, ...] = maxima(features, *kernels)
    return list(found)


def _starts(lengths: tf.Tensor, width: int, end: Size, whole: bool) -> tf.Tensor:
    """Returns which windows count, [end, B, 1]."""
    last = tf.maximum(lengths - (width if whole else 1), 0)
    return (tf.range(end)[:, None] <= last)[..., None]


def _windows(features: tf.Tensor, width: int) -> tf.Tensor:
    """Returns the windows of [B, T, E], padded with zeros, as columns: [width E, T B]."""
    (rows, time), size = tf.unstack(tf.shape(features)[:2]), features.shape[2]
    steps = tf.pad(tf.transpose(features, [2, 1, 0]), [[0, 0], [0, width - 1], [0, 0]])
    stacked = tf.stack([steps[:, offset : offset + time] for offset in range(width)])
    return tf.reshape(stacked, [width * size, time * rows])


def _padded_to(time: Size, x: tf.Tensor) -> tf.Tensor:
    """Appends zeros to [end, B, E] so that it has T steps."""
    return tf.pad(x, [[0, time - tf.shape(x)[0]], [0, 0], [0, 0]])


def _added_up(by_offset: Sequence[Sequence[tf.Tensor]]) -> tf.Tensor:
    """Returns the sum of [T, B, E], each moved to later steps by its offset."""
    time = tf.shape(by_offset[0][0])[0]

    def moved(offset: int, x: tf.Tensor) -> tf.Tensor:
        offset = tf.minimum(offset, time)
        return tf.pad(x[: time - offset], [[offset, 0], [0, 0], [0, 0]])

    return tf.add_n([moved(i, tf.add_n(parts)) for i, parts in enumerate(by_offset)])
