"""Warnings about samples that are valid but of no use."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.model.latent_space import LatentSpaceModel
from vaeseq.nn.types import Nest

_LOW_DIVERGENCE = 0.5  # nats between two posteriors
_LOW_KL = 0.1  # nats per time step
_TAIL_STEPS = (32, 512)  # the least and the most steps in which repetitions are looked for
_REPETITIONS = 4


def warn_of_sequence_latents(model: LatentSpaceModel, ends: Sequence[Nest]) -> bool:
    """Warns if the z of two sequences are too similar for an interpolation.

    Args:
      model: a model with one z for a whole sequence.
      ends: the observations of the two sequences, nests of [T, *event_shape].

    Returns:
      Whether there was a warning.
    """
    start, end = (model.encode(tf.nest.map_structure(lambda x: x[None], x)).dist() for x in ends)
    divergence = (start.kl_divergence(end) + end.kl_divergence(start)) / 2
    nats = float(tf.reduce_mean(divergence))
    if nats < _LOW_DIVERGENCE:
        logging.warning(
            "--interpolate: z hardly tells the two apart (their posteriors differ by %.2g nats), "
            "so the samples may resemble neither; train with a lower divergence_strength_end, or "
            "with word_dropout",
            nats,
        )
    return nats < _LOW_DIVERGENCE


def warn_of_sequence_latent(kl: Mapping[str, float], flag: str) -> bool:
    """Warns if the z of whole sequences carries little information about them.

    Args:
      kl: the KL in nats, by the name of the sequence.
      flag: the flag that named the sequences.

    Returns:
      Whether there was a warning.
    """
    return _warn_of_kl(kl, _LOW_DIVERGENCE, "nats", flag)


def warn_of_step_latents(kl: Mapping[str, float], flag: str = "--interpolate") -> bool:
    """Warns if the z of single time steps carry little information about sequences.

    Args:
      kl: the KL in nats per time step, by the name of the sequence.
      flag: the flag that named the sequences.

    Returns:
      Whether there was a warning.
    """
    return _warn_of_kl(kl, _LOW_KL, "nats per step", flag)


def _warn_of_kl(kl: Mapping[str, float], least: float, unit: str, flag: str) -> bool:
    low = {name: value for name, value in kl.items() if value < least}
    if low:
        names = ", ".join(f"{name} ({value:.3f} {unit})" for name, value in low.items())
        logging.warning(
            "%s: the latent variables carry little information about %s, so the samples may not "
            "resemble it",
            flag,
            names,
        )
    return bool(low)


def warn_of_samples(
    samples: Mapping[str, Sequence[object]],
    temperature: float,
    silent: Collection[str] = (),
    between: bool = False,
) -> None:
    """Warns if samples are silent, all the same, or repeat themselves: one line at most.

    Args:
      samples: the time steps of each sample, by its name.
      temperature: the temperature at which they were sampled.
      silent: the names of the samples in which nothing sounds.
      between: whether they were decoded from latents between two sequences.
    """
    remedy = "use a higher --temperature" if temperature < 1 else "train the model longer"
    repeating = [name for name, steps in samples.items() if repeats_itself(steps)]
    first, *others = samples.values()
    if silent:
        logging.warning("nothing sounds in %s: %s, or try another --seed", _list(silent), remedy)
    elif others and all(np.array_equal(_array(first), _array(x)) for x in others):
        remedy = "the model does not use z" if between else remedy
        logging.warning("all %d samples are the same: %s", len(samples), remedy)
    elif repeating:
        logging.warning("the end of %s repeats itself: %s", _list(repeating), remedy)


def repeats_itself(steps: Sequence[object]) -> bool:
    """Returns whether the second half of a sequence, or its last 512 steps, is one repeated part.

    Args:
      steps: the steps of the sequence. A sequence of less than 64 does not count as repetitive.
    """
    least, most = _TAIL_STEPS
    size = min(len(steps) // 2, most)
    if size < least:
        return False
    tail = _array(steps[-size:])
    periods = range(1, size // _REPETITIONS + 1)
    return any(np.array_equal(tail[period:], tail[:-period]) for period in periods)


def _array(steps: Any) -> np.ndarray:
    return np.array(list(steps)) if isinstance(steps, str) else np.asarray(steps)


def _list(names: Collection[str], most: int = 3) -> str:
    shown, more = ", ".join(list(names)[:most]), len(names) - most
    return f"{shown} and {more} more" if more > 0 else shown
