"""Functions that let several replicas of a model (`tf.distribute`) compute as one.

Each replica has its own rows of the global batch. With one replica, and outside of
`Strategy.run`, these functions change nothing.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from vaeseq.nn.types import Size


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
    """Returns this replica's rows of a random tensor for the global batch.

    The noise of a row thus does not depend on the number of replicas that share the batch.

    Args:
      sample: returns a random tensor of a given shape.
      shape: the shape of this replica's rows.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return sample(shape)
    rows, rest = shape[0], shape[1:]
    noise = sample(tf.concat([[rows * context.num_replicas_in_sync], rest], 0))
    first = context.replica_id_in_sync_group * rows
    return noise[first : first + rows]
