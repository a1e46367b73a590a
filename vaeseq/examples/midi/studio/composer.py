"""What a model of music does in the studio: a function of the request and the run alone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.continuation import continue_roll
from vaeseq.examples.midi.interpolate import path_by_frame
from vaeseq.examples.midi.model import MidiModel, Observed
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.studio import pieces
from vaeseq.examples.midi.studio.latent_music import LatentMusic, path, square
from vaeseq.examples.midi.variations import vary_roll
from vaeseq.model.latent_space import on_great_circle
from vaeseq.model.sampling import sample

PAD_SIZE = 11
"""The rows and the columns of a pad."""
_CANDIDATES = 32  # of which the best is chosen
_ROUNDS = 2
_SEEDS = 2**31


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

    @property
    def can_fill(self) -> bool:
        """Whether the model tells how probable locked music is, with one z or none."""
        return self.latent is not None or not self.model.core.latent_size

    @property
    def can_draw_lines(self) -> bool:
        """Whether the model has latent variables between whose values there are others."""
        is_categorical = self.model.hparams.latent_kind == "categorical"
        return self.model.core.latent_size > 0 and not is_categorical

    def draw(self, count: int, style: Style) -> list[np.ndarray]:
        """Draws pieces: the sources with the seeds `style.seed`, `style.seed` + 1, ..."""
        if self.latent is None:
            return [self._draw_freely((style.seed + i) % _SEEDS, style) for i in range(count)]
        points = [
            self.latent.drawn_point((style.seed + i) % _SEEDS, style.frames) for i in range(count)
        ]
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
        if self.latent is None:
            return self._line_by_frame(start, end, steps, style)
        points = path(self._point(start, style), self._point(end, style), steps)
        return _keep({0: start, steps - 1: end}, self._decode(points, style), style)

    def shape(self, source: Source, style: Style) -> np.ndarray:
        """Returns the piece at the point of a source, [T, KEYS]; see `pad`."""
        points = self._point(source, style)[None]
        rolls: np.ndarray = _keep({0: source}, self._decode(points, style), style)
        return rolls[0]

    def extend(self, roll: np.ndarray, frames: int, temperature: float, seed: int) -> np.ndarray:
        """Returns a roll, as it is, and frames that continue it.

        A model of windows reads the last one, and continues it, again and again.
        """
        if self.latent is None:
            whole = continue_roll(self.model, roll, frames, 1, temperature, seed)[0]
        else:
            whole, most = roll, self.latent.most_continued
            for index, at in enumerate(range(0, frames, most)):
                size = min(most, frames - at)
                given = whole[self.latent.last_window(len(whole), size) :]
                number = (seed + index) % _SEEDS
                drawn = self.latent.continue_window(given, size, temperature, number)
                whole = np.concatenate([whole, drawn[len(given) :]])
        return pieces.without_ringing(whole, len(roll), self.form)

    def vary(
        self, roll: np.ndarray, amount: float, count: int, temperature: float, seed: int
    ) -> np.ndarray:
        """Returns variations of a roll, [count, T, KEYS].

        With one z for a window, they lie on the way from the roll's points to drawn ones, which are
        those of `draw`; otherwise see `ModelBase.vary`.
        """
        if self.latent is None:
            return vary_roll(self.model, roll, self.form, amount, count, temperature, seed)
        ends = [self.latent.drawn_point((seed + i) % _SEEDS, len(roll)) for i in range(count)]
        start = self.latent.point_of(roll, len(roll))
        points = on_great_circle(start[None], tf.stack(ends), amount)
        return self.latent.decode(points, len(roll), temperature, seed, alike=False)

    def fill(
        self, roll: np.ndarray, locked: np.ndarray, temperature: float, seed: int
    ) -> np.ndarray:
        """Returns a roll whose locked frames stay, and whose others are drawn anew.

        Of several that are drawn given what comes before, it is the one that makes what is locked
        most probable, so that it also fits what comes after. A note that rings from other frames
        into locked ones is struck there.

        Args:
          roll: the roll; its frames that are not locked do not matter.
          locked: which frames stay, bool [T].
          temperature, seed: of what is drawn.
        """
        begins = locked & ~np.pad(locked[:-1], (1, 0))
        given = pieces.strike(roll, begins, self.form) * locked[:, None]
        sizes = self.latent.sizes(len(roll)) if self.latent else [len(roll)]
        filled = []
        for index, at in enumerate(np.cumsum([0, *sizes[:-1]]).tolist()):
            part = slice(at, at + sizes[index])
            filled.append(self._fill_part(given[part], locked[part], temperature, (seed, index)))
        joined = tf.nest.map_structure(lambda *x: np.concatenate(x), *filled)
        whole = self.model.to_rolls(joined)
        whole[locked] = given[locked]
        return whole

    def _fill_part(
        self, roll: np.ndarray, locked: np.ndarray, temperature: float, seed: tuple[int, int]
    ) -> Any:
        """Returns observations [T, ...] of a window whose other frames are new.

        The latents of the first candidates come from the prior, those of the others from the
        posterior of the best of these, which knows what is locked.
        """
        observed = self.model.observe(roll, strike_first_frame=True)
        if locked.all():
            return observed
        best, best_score = None, -np.inf
        for number in range(_ROUNDS if self.latent else 1):
            noise = (seed[0], _ROUNDS * seed[1] + number)
            if self.latent is None:
                drawn, scores = self._fill_without_latents(observed, locked, temperature, noise)
            else:
                shape = [_CANDIDATES, self.model.core.latent_size]
                z = tf.random.stateless_normal(shape, noise)
                if best is not None:
                    q = self.latent.encode(self.model.to_rolls(best)[None])
                    z = q.loc + q.scale * z
                drawn, scores = self.latent.fill(z, observed, locked, temperature, noise)
            chosen = int(np.argmax(scores))
            if scores[chosen] > best_score:
                best_score = scores[chosen]
                best = tf.nest.map_structure(lambda x, i=chosen: np.asarray(x[i]), drawn)
        return best

    def _fill_without_latents(
        self, observed: Observed, locked: np.ndarray, temperature: float, seed: tuple[int, int]
    ) -> tuple[Any, np.ndarray]:
        """Does what `LatentMusic.fill` does, without latents."""
        mask = tf.repeat(tf.constant(locked)[None], _CANDIDATES, axis=0)
        given = tf.nest.map_structure(
            lambda x: tf.repeat(tf.constant(x)[None], _CANDIDATES, axis=0), observed
        )
        state, size = self.model.initial_state(_CANDIDATES), (_CANDIDATES, len(locked))
        drawn = self.model.extend(state, *size, None, temperature, seed, given=(given, mask))[0]
        log_prob = self.model.infer(drawn)[0].log_prob
        return drawn, np.sum(np.where(locked, log_prob, 0.0), axis=1)

    def _line_by_frame(self, start: Source, end: Source, steps: int, style: Style) -> np.ndarray:
        ends = [self._heard(source, style) for source in (start, end)]
        drawn, _ = path_by_frame(self.model, np.stack(ends), steps, style.temperature, style.seed)
        drawn[0], drawn[-1] = ends
        return drawn

    def _heard(self, source: Source, style: Style) -> np.ndarray:
        if source.roll is not None:
            return pieces.fit(source.roll, style.frames)
        assert source.seed is not None
        return self._draw_freely(source.seed, style)

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
