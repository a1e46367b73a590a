"""Music as points of a latent space, in windows as long as those of training.

One z describes a window. Music that is longer is several windows, one after another, each with a
point of its own; a melody may hold a note from one window to the next.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.model import MidiModel
from vaeseq.model.latent_space import on_great_circle
from vaeseq.nn.types import Seed


class LatentMusic:
    """The latent space of a model in which one z describes a whole sequence.

    Shapes: R pieces, W windows, Z latent units.
    """

    def __init__(self, model: MidiModel):
        self.model, self.window = model, model.hparams.sequence_size

    def sizes(self, frames: int) -> list[int]:
        """Returns the length of each window of music of a length."""
        return [min(self.window, frames - at) for at in range(0, frames, self.window)]

    def drawn_point(self, seed: int, frames: int) -> tf.Tensor:
        """Returns a sample of the prior, the same for all windows, [W, Z]."""
        z = tf.random.stateless_normal([self.model.core.latent_size], [seed, 0])
        return tf.repeat(z[None], len(self.sizes(frames)), axis=0)

    def point_of(self, roll: np.ndarray, frames: int) -> tf.Tensor:
        """Returns the posterior means of the windows of a roll [T, keys], [W, Z].

        If `frames` is more than T, the last window describes what follows.
        """
        sizes = self.sizes(min(len(roll), frames))
        ends = np.cumsum(sizes)
        means = [
            self.encode(roll[None, end - size : end]) for end, size in zip(ends, sizes, strict=True)
        ]
        missing = len(self.sizes(frames)) - len(sizes)
        return tf.concat([*means, *means[-1:] * missing], axis=0)

    def encode(self, rolls: np.ndarray) -> tf.Tensor:
        """Returns the posterior means of windows [R, T, keys], [R, Z]."""
        return self.model.encode(self.model.observe(rolls, strike_first_frame=True)).loc

    def decode(self, points: tf.Tensor, frames: int, temperature: float, seed: int) -> np.ndarray:
        """Returns rolls [R, frames, keys] at points [R, W, Z], all with the same noise."""
        parts = [
            self._decode_window(points[:, index], size, temperature, (seed, index))
            for index, size in enumerate(self.sizes(frames))
        ]
        # Together, because a melody may hold a note from one window to the next.
        return self.model.to_rolls(
            tf.nest.map_structure(lambda *x: np.concatenate(x, axis=1), *parts)
        )

    def _decode_window(self, z: tf.Tensor, size: int, temperature: float, seed: Seed) -> np.ndarray:
        rows = int(z.shape[0])
        state = self.model.state_from_latents(z)
        drawn = self.model.extend(state, rows, size, None, temperature, seed, alike=True)[0]
        return tf.nest.map_structure(np.asarray, drawn)


def square(corners: Sequence[tf.Tensor], size: int) -> tf.Tensor:
    """Returns the points of a square between four corners, on great circles.

    Args:
      corners: points [W, Z]: upper left, upper right, lower left, lower right.
      size: the number of rows and of columns.

    Returns:
      Points [size * size, W, Z], row by row.
    """
    shares = tf.linspace(tf.constant(0.0, tf.float64), 1.0, size)[:, None, None]  # [size, 1, 1]
    upper, lower = (on_great_circle(corners[i][None], corners[i + 1][None], shares) for i in (0, 2))
    points = on_great_circle(upper[None], lower[None], shares[:, None])
    return tf.reshape(points, [size * size, *points.shape[2:]])


def path(start: tf.Tensor, end: tf.Tensor, steps: int) -> tf.Tensor:
    """Returns points between two of [W, Z], on a great circle: [steps, W, Z]."""
    shares = tf.linspace(tf.constant(0.0, tf.float64), 1.0, steps)[:, None, None]
    return on_great_circle(start[None], end[None], shares)
