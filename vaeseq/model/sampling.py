"""Sequences of any length, drawn piece by piece."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.model.base import ModelBase, State

_STEPS_AT_ONCE = 500


def draw(
    model: ModelBase,
    state: State,
    num_samples: int,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    update: Callable[[int], Any] = lambda steps: None,
    latents: Any = None,
) -> Any:
    """Draws sequences from a state on, as `ModelBase.extend` does, in bounded memory.

    Args:
      model: what draws.
      state: of `num_samples` rows, or of one for all of them.
      num_samples: how many.
      length: steps of each.
      temperature: draw latents and observations from p^(1 / temperature).
      seed: the same seed, the same sequences.
      update: is told of the steps as they are drawn, all samples together.
      latents: the latent variables [num_samples, length, Z]; by default they are drawn.

    Returns:
      Observations, a nest of arrays [num_samples, length, *event_shape].
    """
    pieces = []
    for start in range(0, length, _STEPS_AT_ONCE):
        size = min(_STEPS_AT_ONCE, length - start)
        part = None if latents is None else latents[:, start : start + size]
        observed, state = model.extend(
            state, num_samples, size, None, temperature, (seed, start), latents=part
        )
        pieces.append(tf.nest.map_structure(lambda x: x.numpy(), observed))
        update(num_samples * size)
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts, axis=1), *pieces)


def draw_with_common_noise(
    model: ModelBase,
    states: State,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    update: Callable[[int], Any] = lambda steps: None,
    latents: Any = None,
) -> Any:
    """Draws a sequence from every row of some states on, all with the same noise.

    Common random numbers: what differs between the sequences is what differs between the states,
    so that a way through latent space is heard note by note, not hidden behind fresh draws.

    Args:
      model, length, temperature, seed, update: see `draw`.
      states: of as many rows as there shall be sequences.
      latents: the latent variables [rows, length, Z]; by default they are drawn, too.

    Returns:
      Observations, a nest of arrays [rows, length, *event_shape].
    """
    given = (states,) if latents is None else (states, latents)
    drawn = []
    for row in range(len(tf.nest.flatten(states)[0])):
        state, *z = tf.nest.map_structure(lambda x: x[row : row + 1], given)  # noqa: B023
        drawn.append(draw(model, state, 1, length, temperature, seed, update, *z))
    return tf.nest.map_structure(lambda *rows: np.concatenate(rows), *drawn)
