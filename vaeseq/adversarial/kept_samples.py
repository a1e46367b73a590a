"""Generated sequences that a discriminator learns from more than once."""

import keras
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn import replicas
from vaeseq.nn.types import DTypes, Nest, Shapes


class KeptSamples(keras.layers.Layer):
    """A number of sequences and their lengths, in parts of one batch each.

    All replicas keep those of all, so that one replica can save them.

    Args:
      hparams: the hyperparameters.
      event_shape: of one observation, a nest.
      event_dtype: a nest like `event_shape`.
    """

    def __init__(self, hparams: HParams, event_shape: Shapes, event_dtype: DTypes):
        super().__init__(name="kept_samples")
        self.rows, self.steps = hparams.batch_size, hparams.sequence_size
        self.event_dtype = event_dtype

        def weight(shape: list[int], dtype: tf.DType) -> keras.Variable:
            return self.add_weight(
                shape=[hparams.discriminator_samples, *shape],
                initializer="zeros",
                dtype=dtype.name,
                trainable=False,
                aggregation="only_first_replica",
            )

        self.lengths = weight([], tf.int32)
        shapes = tf.nest.flatten(event_shape)
        self.arrays = [
            weight([self.steps, *shape], dtype)
            for shape, dtype in zip(shapes, tf.nest.flatten(event_dtype), strict=True)
        ]
        self.built = True

    def keep(self, slot: tf.Tensor, observed: Nest, lengths: tf.Tensor | None) -> None:
        """Keeps a batch, of which each replica has its rows, as the part `slot`.

        Raises:
          ValueError: if the sequences do not have `sequence_size` steps, or if there are not
            `batch_size` of them.
        """
        if lengths is not None:
            self._keep(slot, self.lengths, tf.cast(lengths, tf.int32))
        for array, x in zip(self.arrays, tf.nest.flatten(observed), strict=True):
            if x.shape[1] not in (None, self.steps):
                raise ValueError(
                    f"sequences of {x.shape[1]} steps cannot be kept: with discriminator_samples, "
                    f"all need sequence_size={self.steps} steps"
                )
            self._keep(slot, array, x)

    def _keep(self, slot: tf.Tensor, array: keras.Variable, own: tf.Tensor) -> None:
        rows = replicas.all_rows(own)
        if rows.shape[0] not in (None, self.rows):
            raise ValueError(
                f"a batch of {rows.shape[0]} sequences cannot be kept: with discriminator_samples, "
                f"all batches need batch_size={self.rows}"
            )
        at = slot * self.rows + tf.range(self.rows)
        array.assign(tf.tensor_scatter_nd_update(tf.convert_to_tensor(array), at[:, None], rows))

    def part(self, slot: tf.Tensor, has_lengths: bool) -> tuple[Nest, tf.Tensor | None]:
        """Returns what this replica has of the part `slot`: observations, and lengths or None."""

        def own(array: keras.Variable) -> tf.Tensor:
            def rows(shape: tf.Tensor) -> tf.Tensor:
                return tf.convert_to_tensor(array)[slot * self.rows : (slot + 1) * self.rows]

            own_rows = self.rows // replicas.num_parts()
            return replicas.own_rows(rows, tf.constant([own_rows, *array.shape[1:]]))

        observed = tf.nest.pack_sequence_as(self.event_dtype, [own(x) for x in self.arrays])
        return observed, own(self.lengths) if has_lengths else None
