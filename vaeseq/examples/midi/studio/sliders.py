"""Directions of the latent space along which music changes by meaning, and what they really do.

The direction of an attribute is that from training pieces with little of it to those with much,
which Roberts et al. (2018, arXiv:1803.05428) call an attribute vector. What it does to music is
measured by decoding.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.music.attributes import ATTRIBUTES, measure
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.studio.composer import Composer
from vaeseq.examples.midi.studio.latent_music import LatentMusic
from vaeseq.model.scoring import separate_windows
from vaeseq.nn.conducted import part_size

_MAX_WINDOWS = 1024  # of the training pieces
_AT_ONCE = 128
_SEED = 0
_PIECES = 48  # that are moved
_AMOUNTS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_TEMPERATURE = 0.7

InTurns = Callable[[Callable[[], np.ndarray]], np.ndarray]
"""Calls a function of the model when it is its turn."""


class Slider(NamedTuple):
    """A direction, and what one standard deviation of the prior along it changes."""

    vector: np.ndarray  # [Z], of length 1
    effect: float  # the change of the attribute
    correlation: float  # of the amount with the attribute
    others: Mapping[str, float]  # the changes of the other attributes


def learn(composer: Composer, corpus: Corpus, in_turns: InTurns) -> dict[str, Slider]:
    """Returns a slider for each of the `ATTRIBUTES` that differs between training pieces.

    Args:
      composer: the model, with one z for a window.
      corpus: the training pieces.
      in_turns: calls what needs the model.
    """
    vectors = _directions(composer, _windows(composer, corpus), in_turns)
    return {name: _try(composer, name, vector, in_turns) for name, vector in vectors.items()}


def _windows(composer: Composer, corpus: Corpus) -> np.ndarray:
    """Returns whole windows of the training pieces, chosen at random, as the model sees them."""
    assert composer.latent is not None
    width = composer.latent.shortest
    spans = [
        (at, at + width)
        for begin, end in corpus.spans
        for at in range(begin, end - width + 1, width)
    ]
    if not spans:  # all pieces are short
        spans = list(corpus.spans)
    order = np.random.default_rng(_SEED).permutation(len(spans))[:_MAX_WINDOWS]
    chosen = [spans[index] for index in sorted(order.tolist())]
    batches = separate_windows(corpus.frames, chosen, width, _AT_ONCE)
    return composer.see(np.concatenate([rolls for rolls, _ in batches]))


def _directions(composer: Composer, rolls: np.ndarray, in_turns: InTurns) -> dict[str, np.ndarray]:
    """Returns the direction of each attribute: its covariance with the posterior means."""
    latent = composer.latent
    assert latent is not None
    batches = (rolls[at : at + _AT_ONCE] for at in range(0, len(rolls), _AT_ONCE))
    encoded = [in_turns(functools.partial(_means, latent, batch)) for batch in batches]
    means, values = np.concatenate(encoded), _values(rolls, composer.form)
    directions = {}
    for name, column in zip(ATTRIBUTES, values.T, strict=True):
        known = np.isfinite(column)
        if known.sum() < 2:
            continue
        centred = means[known] - means[known].mean(axis=0)
        vector = centred.T @ (column[known] - column[known].mean())
        if vector.any() and (direction := _for_all_segments(vector, latent)).any():
            directions[name] = direction
    return directions


def _for_all_segments(vector: np.ndarray, latent: LatentMusic) -> np.ndarray:
    """Returns a direction [Z] of length 1.

    If each segment has a part of z, all parts have the direction that those of short windows have
    on average, because longer music has them all. The length is that of what short windows have.
    """
    if not latent.segment:
        return vector / np.linalg.norm(vector)
    size = part_size(latent.model.hparams)
    parts = latent.model.hparams.seqvae_parts
    used = min(parts, -(-latent.shortest // latent.segment))
    own = np.resize(vector, used * size).reshape(used, size).mean(axis=0)
    length = np.linalg.norm(own) * np.sqrt(used)
    return np.tile(own, parts)[: len(vector)] / length if length else vector * 0


def _means(latent: LatentMusic, rolls: np.ndarray) -> np.ndarray:
    return latent.encode(rolls).loc.numpy()


def _try(composer: Composer, name: str, vector: np.ndarray, in_turns: InTurns) -> Slider:
    """Moves drawn pieces along a direction, and measures what it does to them."""
    latent = composer.latent
    assert latent is not None
    drawn = np.stack([latent.drawn_point(_SEED + i, latent.shortest) for i in range(_PIECES)])
    values = []
    for amount in _AMOUNTS:
        points = tf.constant(drawn + amount * vector, tf.float32)
        decode = functools.partial(latent.decode, points, latent.shortest, _TEMPERATURE, _SEED)
        rolls = in_turns(decode)
        values.append(_values(rolls, composer.form))
    amounts = np.repeat(_AMOUNTS, _PIECES)
    columns = dict(zip(ATTRIBUTES, np.concatenate(values).T, strict=True))
    slopes = {other: _slope(amounts, column) for other, column in columns.items()}
    return Slider(
        vector,
        slopes.pop(name),
        _correlation(amounts, columns[name]),
        slopes,
    )


def _values(rolls: Sequence[np.ndarray] | np.ndarray, form: RollFormat) -> np.ndarray:
    """Returns the attributes of rolls, [N, attributes]; NaN where one does not exist."""
    return np.array([list(measure(roll, form).values()) for roll in rolls], float)


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the slope of the line of least squares, 0 if there is none."""
    known = np.isfinite(y)
    x, y = x[known] - x[known].mean() if known.any() else x[known], y[known]
    square = float(x @ x)
    return float(x @ (y - y.mean())) / square if square else 0.0


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Returns the correlation, 0 if there is none."""
    known = np.isfinite(y)
    if known.sum() < 2 or not x[known].std() or not y[known].std():
        return 0.0
    return float(np.corrcoef(x[known], y[known])[0, 1])
