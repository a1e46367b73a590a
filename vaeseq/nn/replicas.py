"""Functions that let several parts of a batch be computed as one.

The parts are the rows of several replicas of a model (`tf.distribute`), and the micro-batches of
one update. With one replica, and outside of `Strategy.run`, these functions change nothing.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import TypeVar

import tensorflow as tf

from vaeseq.nn.types import Size

Params = TypeVar("Params")
Sampled = TypeVar("Sampled")

_PART: ContextVar[tuple[Size, int]] = ContextVar("part of the batch", default=(0, 1))


@contextlib.contextmanager
def part_of_batch(index: Size, count: int) -> Iterator[None]:
    """Makes `own_rows` return the rows of one micro-batch of `count` equal ones."""
    token = _PART.set((index, count))
    try:
        yield
    finally:
        _PART.reset(token)


def total(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the sum over all replicas of each tensor in a list; None stays None.

    All sums become available together, so an update happens on all replicas or on none.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(values)
    present = [tf.convert_to_tensor(value) for value in values if value is not None]
    sums = context.all_reduce(tf.distribute.ReduceOp.SUM, present)
    with tf.control_dependencies(sums):
        summed = iter([tf.identity(x) for x in sums])
    return [None if value is None else next(summed) for value in values]


def own_rows(
    sample: Callable[[tf.Tensor | list[Size]], tf.Tensor], shape: tf.Tensor | list[Size]
) -> tf.Tensor:
    """Returns the rows that this replica, or this micro-batch, has of a random tensor.

    The noise of a row thus does not depend on the number of replicas or micro-batches that share
    the batch.

    Args:
      sample: returns a random tensor of a given shape.
      shape: the shape of this replica's rows.
    """
    part, parts = _own_part()
    if parts == 1:
        return sample(shape)
    rows, rest = shape[0], shape[1:]
    noise = sample(tf.concat([[rows * parts], rest], 0))
    return noise[part * rows : (part + 1) * rows]


def own_samples(sample: Callable[[Params], Sampled], params: Params) -> Sampled:
    """Returns what this replica, or this micro-batch, has of the samples of the whole batch.

    Args:
      sample: samples an event, a nest of [B, ...], for each row of params; the noise of a row must
        depend on its number and on the shape of the params alone.
      params: nest of [B, ...], of the own rows.
    """
    part, parts = _own_part()
    if parts == 1:
        return sample(params)

    def repeated(x: tf.Tensor) -> tf.Tensor:
        return tf.tile(x, [parts, *[1] * (x.shape.rank - 1)])

    rows = tf.shape(tf.nest.flatten(params)[0])[0]
    samples: Sampled = tf.nest.map_structure(
        lambda x: x[part * rows : (part + 1) * rows],
        sample(tf.nest.map_structure(repeated, params)),
    )
    return samples


def num_parts() -> int:
    """Returns how many replicas and micro-batches share a batch."""
    return _own_part()[1]


def num_replicas() -> int:
    """Returns how many replicas share the work; 1 outside of `Strategy.run`."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else int(context.num_replicas_in_sync)


def all_rows(x: tf.Tensor) -> tf.Tensor:
    """Returns the rows of all replicas, in the order of the batch."""
    if num_replicas() == 1:
        return x
    rows: tf.Tensor = tf.distribute.get_replica_context().all_gather(x, axis=0)
    return rows


def _own_part() -> tuple[Size, int]:
    """Returns the number of this part of the batch, and how many parts there are."""
    part, parts = _PART.get()
    if num_replicas() > 1:
        part = part * num_replicas() + tf.distribute.get_replica_context().replica_id_in_sync_group
    return part, parts * num_replicas()
