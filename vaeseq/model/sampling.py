"""Samples of any length, in bounded memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.model.sequence_model import SequenceModel
from vaeseq.model.wiring import State
from vaeseq.nn.sequences import num_rows
from vaeseq.nn.types import Tensor


def sample(
    model: SequenceModel,
    state: State,
    num_samples: int,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    update: Callable[[int], object] | None = None,
    latents: Tensor | None = None,
    steps_at_once: int = 500,
    alike: bool = False,
) -> Any:
    """Samples the continuation of sequences, `steps_at_once` steps at a time.

    Args:
      model: the model.
      state: the state to continue from, of `num_samples` rows.
      num_samples: the number of sequences.
      length: the number of steps of each.
      temperature: latents and observations are sampled from p^(1 / temperature).
      seed: equal seeds give equal sequences.
      update: called with the number of new steps, summed over the sequences, as they are sampled.
      latents: z_1:T to use, [num_samples, length, Z]; None samples them.
      steps_at_once: the largest number of steps that one call of the model samples.
      alike: whether all sequences have the same noise; see `sample_with_common_noise`.

    Returns:
      Observations, a nest of arrays [num_samples, length, *event_shape].
    """
    pieces = []
    for start in range(0, length, steps_at_once):
        size = min(steps_at_once, length - start)
        part = None if latents is None else latents[:, start : start + size]
        observed, state = model.extend(
            state, num_samples, size, None, temperature, (seed, start), latents=part, alike=alike
        )
        pieces.append(tf.nest.map_structure(lambda x: x.numpy(), observed))
        if update is not None:
            update(num_samples * size)
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts, axis=1), *pieces)


def sample_with_common_noise(
    model: SequenceModel,
    states: State,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    update: Callable[[int], object] | None = None,
    latents: Tensor | None = None,
) -> Any:
    """Samples one sequence for each row of `states`, all with the same noise.

    With common random numbers, the sequences differ only because their states differ. An
    interpolation in latent space then changes gradually, instead of at random.

    Args:
      model, length, temperature, seed, update: see `sample`.
      states: the states to continue from, one row for each sequence.
      latents: z_1:T to use, [rows, length, Z]; None samples them, with the same noise.

    Returns:
      Observations, a nest of arrays [rows, length, *event_shape].
    """
    rows = num_rows(states)
    return sample(model, states, rows, length, temperature, seed, update, latents, alike=True)
