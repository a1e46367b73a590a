"""Continuations of a given beginning."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from vaeseq.examples.midi.model import MidiModel
from vaeseq.model.sampling import sample


def continue_roll(
    model: MidiModel,
    given: np.ndarray,
    length: int,
    count: int,
    temperature: float,
    seed: int,
    update: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Returns rolls that continue given frames by others, with the given ones: [count, T, keys].

    Args:
      model: the model.
      given: the roll to continue, uint8 [T, keys]; T may be 0.
      length: the number of frames to sample.
      count: the number of continuations.
      temperature, seed, update: see `sample`.
    """
    state = model.initial_state(count)
    if len(given):
        observed = tf.nest.map_structure(
            lambda x: x[None], model.observe(given, strike_first_frame=True)
        )
        state = model.prime(observed, count, seed=seed)
    drawn = sample(model, state, count, length, temperature, seed, update)
    if not len(given):
        return model.to_rolls(drawn)
    # Together, because a melody may hold the last note that was given.
    joined = tf.nest.map_structure(
        lambda x, y: np.concatenate([np.repeat(x, count, axis=0), y], axis=1), observed, drawn
    )
    rolls = model.to_rolls(joined)
    rolls[:, : len(given)] = given
    return rolls
