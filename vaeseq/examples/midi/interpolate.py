"""Interpolation between two pieces, for `generate --interpolate`."""

import argparse
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.cli.arguments import number_of_samples
from vaeseq.cli.usefulness import (
    warn_of_sequence_latents,
    warn_of_step_latents,
)
from vaeseq.errors import UsageError
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.tune import load_tune
from vaeseq.examples.midi.usefulness import warn_of_rolls
from vaeseq.model.base import State
from vaeseq.model.latent_space import BETWEEN_TEMPERATURE
from vaeseq.model.sampling import sample_with_common_noise
from vaeseq.training.progress import bar


def interpolate(model: MidiModel, performance: Performance, args: argparse.Namespace) -> np.ndarray:
    """Returns rolls between two pieces in latent space, [steps, T, keys]."""
    if not model.core.latent_size:
        raise UsageError(
            f"--interpolate: {model.hparams.vae_type} has no latent variables; "
            "train with --hparams vae_type=SRNN,decoder=keys, or with --encoding melody"
        )
    if model.hparams.latent_kind == "categorical":
        raise UsageError(
            "--interpolate: there is nothing between the values of categorical latents; use --like "
            "TUNE --amount X, or train with --hparams latent_kind=gaussian"
        )
    form = performance.form
    ends = [load_tune(path, form, "--interpolate").roll for path in args.interpolate]
    if model.has_sequence_latent:
        return _interpolate_by_sequence(model, performance, args, ends)
    return _interpolate_by_frame(model, performance, args, ends)


def _interpolate_by_sequence(
    model: MidiModel, performance: Performance, args: argparse.Namespace, ends: list[np.ndarray]
) -> np.ndarray:
    """Interpolates between the z of the first window of each piece, by default as far as both go.

    What lies beyond the end of a piece, its z does not tell.
    """
    window = model.hparams.sequence_size
    start, end = (model.observe(x[:window], strike_first_frame=True) for x in ends)
    z = model.interpolate_latents(start, end, number_of_samples(args))
    states = model.state_from_latents(z)
    length = performance.num_frames(args.length) if args.length else min(window, *map(len, ends))
    logging.info(
        "--interpolate: %d frames%s",
        *(length, ", in C major or A minor" if performance.form.common_key else ""),
    )
    temperature = args.temperature * BETWEEN_TEMPERATURE
    rolls = _draw_path(model, states, length, temperature, args)
    if not warn_of_sequence_latents(model, (start, end)):
        warn_of_rolls(rolls, temperature, between=True)
    return rolls


def _interpolate_by_frame(
    model: MidiModel, performance: Performance, args: argparse.Namespace, ends: list[np.ndarray]
) -> np.ndarray:
    """Interpolates between the z of each frame, up to the length of the shorter piece."""
    length = min(performance.num_frames(args.length or args.default_length), *map(len, ends))
    rolls = np.stack([frames[:length] for frames in ends])
    steps = number_of_samples(args)
    with bar(total=steps * length, unit="frame") as shown:
        drawn, kl = path_by_frame(model, rolls, steps, args.temperature, args.seed, shown.update)
    if not warn_of_step_latents(dict(zip(args.interpolate, kl.tolist(), strict=True))):
        warn_of_rolls(drawn, args.temperature, between=True)
    return drawn


def path_by_frame(
    model: MidiModel,
    ends: np.ndarray,
    steps: int,
    temperature: float,
    seed: int,
    update: Callable[[int], object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolates between the z of each frame of two rolls.

    Args:
      model: a model with a z for each frame.
      ends: the rolls, uint8 [2, T, keys].
      steps: the number of rolls of the path.
      temperature, seed, update: see `sample`.

    Returns:
      Rolls [steps, T, keys], and the KL of each end in nats per frame, [2].
    """
    inference, _ = model.infer(model.observe(ends), seed=seed)
    start, end = inference.steps.latents
    shares = tf.reshape(tf.linspace(0.0, 1.0, steps), [-1, 1, 1])
    drawn = sample_with_common_noise(
        *(model, model.initial_state(steps), ends.shape[1], temperature, seed, update),
        latents=start + shares * (end - start),
    )
    return model.to_rolls(drawn), np.mean(inference.kl, axis=1)


def _draw_path(
    model: MidiModel,
    states: State,
    length: int,
    temperature: float,
    args: argparse.Namespace,
) -> np.ndarray:
    """Returns a roll for each state of an interpolation, all with the same noise."""
    with bar(total=number_of_samples(args) * length, unit="frame") as shown:
        return model.to_rolls(
            sample_with_common_noise(model, states, length, temperature, args.seed, shown.update)
        )
