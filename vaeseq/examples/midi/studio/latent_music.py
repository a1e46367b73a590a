"""Music as points of a latent space, in windows as long as those of training.

One z describes a window. Music that is longer is several windows, one after another, each with a
point of its own; a melody may hold a note from one window to the next.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.model import MidiModel, Observed
from vaeseq.model.latent_space import on_great_circle
from vaeseq.nn.sequences import repeat_rows
from vaeseq.nn.types import Nest
from vaeseq.vae.latent import Gaussian


class LatentMusic:
    """The latent space of a model in which one z describes a whole sequence.

    What is computed is compiled once, for all shapes, so that no earlier request changes how a
    result is rounded.

    Shapes: R pieces, W windows, Z latent units.
    """

    def __init__(self, model: MidiModel):
        self.model, self.window = model, model.hparams.sequence_size
        self.shortest = min(model.hparams.shortest_window or self.window, self.window)
        self.segment = model.hparams.seqvae_segment
        # In segments, parts of z say what is in which: what continues a piece must have its own.
        self.most_continued = self.window // 2 if self.segment else self.window
        decoder = model.decoder
        observed = tf.nest.map_structure(
            lambda shape, dtype: tf.TensorSpec([None, None, *shape], dtype),
            *(decoder.event_shape, decoder.event_dtype),
        )
        z = tf.TensorSpec([None, model.core.latent_size])
        steps, seed = tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32)
        temperature, locked = tf.TensorSpec([]), tf.TensorSpec([None], tf.bool)

        def compiled(function: Any, *signature: Nest) -> Any:
            return tf.function(function, input_signature=signature, autograph=False)

        self._encode = compiled(model.encode, observed)
        self._decode = {
            alike: compiled(
                functools.partial(self._decode_eagerly, alike=alike), z, steps, temperature, seed
            )
            for alike in (False, True)
        }
        self._continue = compiled(self._continue_eagerly, observed, steps, temperature, seed)
        self._fill = compiled(self._fill_eagerly, z, observed, locked, temperature, seed)
        self._compiled = (self._encode, *self._decode.values(), self._continue, self._fill)

    def compile(self) -> Iterator[Callable[[], object]]:
        """Yields calls, each of which compiles something that is otherwise compiled when needed."""
        return (function.get_concrete_function for function in self._compiled)

    def sizes(self, frames: int) -> list[int]:
        """Returns the length of each window of music of a length."""
        return [min(self.window, frames - at) for at in range(0, frames, self.window)]

    def last_window(self, frames: int, more: int) -> int:
        """Returns the first frame to read of music of a length, to continue it by `more` frames.

        In segments, a segment begins there, and one window holds what is read and what continues
        it. The last segment is always read.
        """
        if not self.segment:
            return max(0, frames - self.window)
        segments = -(-max(0, frames + more - self.window) // self.segment)
        return min(segments, (frames - 1) // self.segment) * self.segment

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
            self.encode(roll[None, end - size : end]).loc
            for end, size in zip(ends, sizes, strict=True)
        ]
        missing = len(self.sizes(frames)) - len(sizes)
        return tf.concat([*means, *means[-1:] * missing], axis=0)

    def encode(self, rolls: np.ndarray) -> Gaussian:
        """Returns the posteriors of windows [R, T, keys], [R, Z]."""
        return Gaussian(*self._encode(self.observe(rolls)))

    def observe(self, rolls: np.ndarray) -> Any:
        """Returns windows [R, T, keys] as the model observes them."""
        return tf.nest.map_structure(
            tf.constant, self.model.observe(rolls, strike_first_frame=True)
        )

    def decode(
        self, points: tf.Tensor, frames: int, temperature: float, seed: int, alike: bool = True
    ) -> np.ndarray:
        """Returns music at points, rolls [R, frames, keys].

        Args:
          points: the points, [R, W, Z].
          frames: the length of the music.
          temperature, seed: of what is sampled.
          alike: whether all pieces have the same noise, and differ by their points only.
        """
        parts = [
            self._decode[alike](points[:, i], size, temperature, [seed, i])
            for i, size in enumerate(self.sizes(frames))
        ]
        # Together, because a melody may hold a note from one window to the next.
        joined = tf.nest.map_structure(lambda *x: np.concatenate(x, axis=1), *parts)
        return self.model.to_rolls(joined)

    def continue_window(
        self, roll: np.ndarray, frames: int, temperature: float, seed: int
    ) -> np.ndarray:
        """Returns a roll [T, keys] and frames that continue it, [T + frames, keys]."""
        given = self.observe(roll[None])
        drawn = self._continue(given, frames, temperature, [seed, 0])
        joined = tf.nest.map_structure(lambda *x: np.concatenate(x, axis=1), given, drawn)
        whole: np.ndarray = self.model.to_rolls(joined)[0]
        return whole

    def fill(
        self,
        z: tf.Tensor,
        given: Observed,
        locked: np.ndarray,
        temperature: float,
        seed: tuple[int, int],
    ) -> tuple[Any, np.ndarray]:
        """Draws the steps of a window that are not locked.

        Args:
          z: points, [R, Z].
          given: the observations of the window, [T, ...].
          locked: which steps stay, bool [T].
          temperature, seed: of what is drawn.

        Returns:
          Observations [R, T, ...], and the log-likelihood of the locked ones in nats, [R].
        """
        observed = tf.nest.map_structure(lambda x: tf.constant(x)[None], given)
        drawn, scores = self._fill(z, observed, locked, temperature, seed)
        return drawn, scores.numpy()

    def _decode_eagerly(
        self, z: tf.Tensor, steps: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor, alike: bool
    ) -> Any:
        return self._generate(self.model.state_from_latents(z), steps, temperature, seed, alike)[0]

    def _continue_eagerly(
        self, observed: Nest, steps: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor
    ) -> Any:
        _, state = self.model.infer_prepared(observed, (), None, None, seed)
        return self._generate(state, steps, temperature, seed)[0]

    def _fill_eagerly(
        self,
        z: tf.Tensor,
        observed: Nest,
        locked: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[Any, tf.Tensor]:
        rows = tf.shape(z)[0]
        state, steps = self.model.state_from_latents(z), tf.shape(locked)[0]
        given = repeat_rows((observed, locked[None]), rows)
        drawn, _ = self._generate(state, steps, temperature, seed, given=given)
        log_prob = self.model.infer_prepared(drawn, (), None, state, seed)[0].log_prob
        return drawn, tf.reduce_sum(tf.where(locked, log_prob, 0.0), axis=1)

    def _generate(
        self,
        state: Any,
        steps: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
        alike: bool = False,
        given: tuple[Nest, tf.Tensor] | None = None,
    ) -> tuple[Any, Any]:
        """Samples from states that have a z, as `model.extend` does."""
        model = self.model
        rows = tf.shape(tf.nest.flatten(state)[0])[0]
        nothing = tf.zeros([rows, steps, model.core.latent_size])
        _, seed = model.split_seed(seed)
        return model.core.generate(
            *(model.context, (), state, nothing, seed, temperature), given=given, alike=alike
        )


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
