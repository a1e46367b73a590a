"""What a run writes for TensorBoard."""

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from vaeseq.errors import Stopped
from vaeseq.training.files import Folder


class TensorBoard:
    """Scalars of the metrics, histograms of the weights, and what the samples add."""

    def __init__(self, folder: Folder):
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None

    def write(
        self,
        step: int,
        metrics: Mapping[str, float],
        weights: Sequence[keras.Variable],
        sample: Callable[[], Mapping[str, bytes]],
    ) -> Mapping[str, bytes]:
        """Writes a report; returns the value of `sample()`, which may write `tf.summary`s.

        Raises:
          Stopped: if the file cannot be written.
        """
        if self._writer is None:  # a new file of events
            self._writer = tf.summary.create_file_writer(str(self._folder.file("tensorboard")))
        try:
            with self._writer.as_default(step):
                for name, value in metrics.items():
                    tf.summary.scalar(name, value)
                for weight in weights:
                    tf.summary.histogram(weight.path, weight.value)
                samples = sample()
            self._writer.flush()
        except (tf.errors.ResourceExhaustedError, tf.errors.UnknownError) as error:
            raise Stopped(f"cannot write TensorBoard's file: {error.message}") from error
        return samples

    def close(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None
