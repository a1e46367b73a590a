"""What lets several replicas of a model (`tf.distribute`) compute as one.

Each replica has its own rows of the global batch. With one replica, and outside of
`Strategy.run`, these functions change nothing.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def total(values: list[Any]) -> list[Any]:
    """The sum over all replicas of each tensor of a list; None stays None.

    No sum is there before all are: what is done with them is done in all replicas or in none.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    present = [tf.convert_to_tensor(value) for value in values if value is not None]
    sums = context.all_reduce(tf.distribute.ReduceOp.SUM, present)
    with tf.control_dependencies(sums):
        whole = iter([tf.identity(x) for x in sums])
    return [None if value is None else next(whole) for value in values]


def own_rows(draw: Callable[[Any], tf.Tensor], shape: Any) -> tf.Tensor:
    """This replica's rows of the random tensor that `draw` makes for the global batch.

    So the noise of a row does not depend on how many replicas share the batch.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return draw(shape)
    rows, rest = shape[0], shape[1:]
    drawn = draw(tf.concat([[rows * context.num_replicas_in_sync], rest], 0))
    first = context.replica_id_in_sync_group * rows
    return drawn[first : first + rows]
