"""What a model of music does in the studio: a function of the request and the run alone."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.studio import pieces
from vaeseq.examples.midi.studio.latent_music import LatentMusic, path, square
from vaeseq.model.sampling import sample

PAD_SIZE = 11
"""The rows and the columns of a pad."""


class Source(NamedTuple):
    """An end of a path or a corner of a pad: a point drawn from the prior, or a given roll."""

    seed: int | None = None
    roll: np.ndarray | None = None


class Style(NamedTuple):
    """How music is drawn.

    `shift` [Z] is added to all points; None leaves them where they are, and given music as it is.
    """

    frames: int
    temperature: float
    seed: int
    shift: np.ndarray | None = None


class Composer:
    """Draws music from a model.

    All music is rolls, uint8 [T, KEYS], as the model sees them: `see` makes them so.

    Args:
      model: the model.
      form: the format of its rolls, with one keyboard.
    """

    def __init__(self, model: MidiModel, form: RollFormat):
        self.model, self.form = model, form
        self.latent = LatentMusic(model) if model.has_sequence_latent else None

    def see(self, roll: np.ndarray) -> np.ndarray:
        """Returns a roll as the model sees it; a melody has one voice."""
        return self.model.to_rolls(self.model.observe(roll, strike_first_frame=True))

    def draw(self, count: int, style: Style) -> list[np.ndarray]:
        """Draws pieces: the sources with the seeds `style.seed`, `style.seed` + 1, ..."""
        if self.latent is None:
            return [self._draw_freely(style.seed + i, style) for i in range(count)]
        points = [self.latent.drawn_point(style.seed + i, style.frames) for i in range(count)]
        return list(self._decode(tf.stack(points), style))

    def pad(self, corners: Sequence[Source], style: Style) -> np.ndarray:
        """Returns the pieces of a square between four, row by row: [PAD_SIZE ** 2, T, KEYS].

        The corners are the upper left, the upper right, the lower left and the lower right. Those
        that are given music stay exactly what they are, unless it is shifted.
        """
        points = square([self._point(corner, style) for corner in corners], PAD_SIZE)
        places = (0, PAD_SIZE - 1, PAD_SIZE * (PAD_SIZE - 1), PAD_SIZE**2 - 1)
        return _keep(dict(zip(places, corners, strict=True)), self._decode(points, style), style)

    def line(self, start: Source, end: Source, steps: int, style: Style) -> np.ndarray:
        """Returns the pieces of a path from one to another, [steps, T, KEYS]; see `pad`."""
        points = path(self._point(start, style), self._point(end, style), steps)
        return _keep({0: start, steps - 1: end}, self._decode(points, style), style)

    def shape(self, source: Source, style: Style) -> np.ndarray:
        """Returns the piece at the point of a source, [T, KEYS]; see `pad`."""
        points = self._point(source, style)[None]
        rolls: np.ndarray = _keep({0: source}, self._decode(points, style), style)
        return rolls[0]

    def _draw_freely(self, seed: int, style: Style) -> np.ndarray:
        drawn = sample(
            *(self.model, self.model.initial_state(1), 1, style.frames, style.temperature, seed)
        )
        roll: np.ndarray = self.model.to_rolls(drawn)[0]
        return roll

    def _point(self, source: Source, style: Style) -> tf.Tensor:
        """Returns the point [W, Z] of a source, without the shift."""
        assert self.latent is not None
        if source.roll is not None:
            return self.latent.point_of(source.roll, style.frames)
        assert source.seed is not None
        return self.latent.drawn_point(source.seed, style.frames)

    def _decode(self, points: tf.Tensor, style: Style) -> np.ndarray:
        assert self.latent is not None
        if style.shift is not None:
            points = points + style.shift
        return self.latent.decode(points, style.frames, style.temperature, style.seed)


def _keep(given: Mapping[int, Source], rolls: np.ndarray, style: Style) -> np.ndarray:
    """Puts given music in its places, unless all music is shifted."""
    for place, source in given.items():
        if source.roll is not None and style.shift is None:
            rolls[place] = pieces.fit(source.roll, style.frames)
    return rolls
