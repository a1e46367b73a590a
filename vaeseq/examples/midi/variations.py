"""Variations of a tune, for `generate --like`."""

import argparse

import numpy as np
import tensorflow as tf

from vaeseq.cli.arguments import number_of_samples
from vaeseq.cli.usefulness import warn_of_sequence_latent, warn_of_step_latents
from vaeseq.examples.midi.model import MidiModel, Observed
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import RollFormat, to_notes_in_frames
from vaeseq.examples.midi.tune import Tune, first_seconds, say_what_is_used
from vaeseq.examples.midi.usefulness import warn_of_rolls
from vaeseq.nn.types import Seed

AMOUNT = 0.3
"""The default of --amount."""


def vary(
    model: MidiModel, tune: Tune, performance: Performance, args: argparse.Namespace
) -> list[np.ndarray]:
    """Returns variations of the first seconds of a tune, rolls of its length; see `ModelBase.vary`.

    If one z describes a whole sequence, each window of the tune has its own. Without latents, what
    starts together in the tune is kept or sampled together, up to what starts next.
    """
    roll, form = first_seconds(tune, performance.form, args.length), performance.form
    say_what_is_used(tune, "--like", len(roll), model, form)
    is_doubtful = bool(model.core.latent_size) and _warn_of_latents(model, tune.path, roll)
    amount = AMOUNT if args.amount is None else args.amount
    drawing = (number_of_samples(args), args.temperature, args.seed)
    rolls = list(vary_roll(model, roll, form, amount, *drawing))
    if not is_doubtful:
        warn_of_rolls(rolls, args.temperature)
    return rolls


def vary_roll(
    model: MidiModel,
    roll: np.ndarray,
    form: RollFormat,
    amount: float,
    count: int,
    temperature: float,
    seed: int,
) -> np.ndarray:
    """Returns variations of a roll [T, keys], rolls [count, T, keys]; see `vary`."""
    drawn = [
        _vary_part(model, part, form, amount, count, temperature, (seed, index))
        for index, part in enumerate(_parts(model, roll))
    ]
    # Together, because a melody may hold a note from one part to the next.
    return model.to_rolls(tf.nest.map_structure(lambda *x: np.concatenate(x, axis=1), *drawn))


def _parts(model: MidiModel, roll: np.ndarray) -> list[np.ndarray]:
    """Returns the parts of a roll that have a z of their own, or all of it."""
    size = model.hparams.sequence_size if model.has_sequence_latent else len(roll)
    return [roll[at : at + size] for at in range(0, len(roll), size)]


def _vary_part(
    model: MidiModel,
    roll: np.ndarray,
    form: RollFormat,
    amount: float,
    count: int,
    temperature: float,
    seed: Seed,
) -> Observed:
    """Returns variations of a part of the tune, observations [count, T, ...]."""
    groups = None
    if not model.core.latent_size:
        starts = np.zeros(len(roll), int)
        starts[to_notes_in_frames(roll, form).start] = 1
        groups = (np.cumsum(starts) - starts[0])[None]
    varied = model.vary(
        *(_observe(model, roll), amount, count),
        temperature=temperature,
        seed=seed,
        groups=groups,
    )
    drawn: Observed = tf.nest.map_structure(np.asarray, varied)
    return drawn


def _warn_of_latents(model: MidiModel, path: str, roll: np.ndarray) -> bool:
    """Warns if latents carry little information about the tune; returns whether they do."""
    first = _parts(model, roll)[0]
    kl = float(tf.reduce_sum(model.infer(_observe(model, first))[0].kl))
    if model.has_sequence_latent:
        return warn_of_sequence_latent({path: kl}, "--like")
    return warn_of_step_latents({path: kl / len(first)}, "--like")


def _observe(model: MidiModel, roll: np.ndarray) -> Observed:
    """Returns the observations of one roll, [1, T, ...]."""
    observed: Observed = tf.nest.map_structure(
        lambda x: x[None], model.observe(roll, strike_first_frame=True)
    )
    return observed
