"""The command `generate` of vaeseq-midi."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.cli import desktop
from vaeseq.cli.usefulness import (
    warn_of_samples,
    warn_of_sequence_latents,
    warn_of_step_latents,
)
from vaeseq.errors import UsageError
from vaeseq.examples.midi import page
from vaeseq.examples.midi.collect import parse_files, select_fitting
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import render, roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.output import OutputFolder
from vaeseq.examples.midi.program import HELD_OUT, MidiProgram, corpus_statistics, open_corpora
from vaeseq.model.base import State
from vaeseq.model.latent_space import BETWEEN_TEMPERATURE
from vaeseq.model.sampling import sample, sample_with_common_noise
from vaeseq.nn.types import Tensor
from vaeseq.training import files, memory
from vaeseq.training.progress import bar

_MAX_PLOTTED = 20  # samples of an interpolation in one picture
_PATH = "path"  # the name of that picture
_SUFFIXES = (".mid", ".wav", ".png")
_NOT_SETTINGS = frozenset({"run", "parser", "default_length", "out_dir", "play"})


def generate(args: argparse.Namespace) -> None:
    """Writes samples as .mid, .wav and .png files, and prints their statistics."""
    _check_flags(args)
    run, model = MidiProgram().trained(args.log_dir)
    form, _, valid = open_corpora(run)
    prime = _load_prime(args, form)
    _check_memory(args, form, len(prime))
    folder = OutputFolder(Path(args.out_dir))
    folder.check(_file_names(args))
    rolls = (
        _interpolate(model, form, args) if args.interpolate else _extend(model, prime, form, args)
    )
    start, samples = len(prime) / form.frames_per_second, []
    held_out = corpus_statistics(model, valid, form)
    with folder.replace() as stage:
        for index, frames in enumerate(rolls, 1):
            name, piece = _sample_name(index), np.concatenate([prime, frames])
            _write_files(stage, name, _render(piece, form, start))
            statistics = render.roll_statistics(piece, form)
            samples.append(page.Sample(name, roll.to_notes(piece, form), statistics, start))
        if args.interpolate:
            plotted = np.linspace(0, len(rolls) - 1, min(len(rolls), _MAX_PLOTTED)).astype(int)
            _write_files(stage, _PATH, {".png": render.plot_rolls(rolls[plotted], form)})
        picture = f"{_PATH}.png" if args.interpolate else None
        content = page.render_page(samples, held_out, _settings(args), picture)
        _write_files(stage, page.NAME, {page.SUFFIX: content})
    rows = {sample.name: sample.statistics for sample in samples}
    print(render.format_table(rows | {HELD_OUT: held_out}))
    print(f"wrote each sample to {folder.path} as .mid, .wav and .png")
    shown = folder.path / (page.NAME + page.SUFFIX)
    print(f"to see and hear them, open {shown}")
    if args.interpolate:
        where = folder.path / f"{_PATH}.png"
        print(f"wrote the interpolation, one sample below the other, to {where}")
    failure = desktop.open_file(shown) if args.play else None
    if failure:
        logging.warning("--play: cannot open %s: %s", shown, failure)


def _file_names(args: argparse.Namespace) -> Iterator[str]:
    """Yields the names of the files that will be written."""
    yield page.NAME + page.SUFFIX
    if args.interpolate:
        yield f"{_PATH}.png"
    for index in range(args.steps if args.interpolate else args.num_samples):
        for suffix in _SUFFIXES:
            yield _sample_name(index + 1) + suffix


def _sample_name(index: int) -> str:
    return f"sample-{index:02d}"


def _settings(args: argparse.Namespace) -> dict[str, str]:
    """Returns the values of the flags, without those that were not given and have no default."""
    ignored = _NOT_SETTINGS | {"num_samples" if args.interpolate else "steps"}
    settings = {}
    for name, value in vars(args).items():
        if name not in ignored and value is not None and value is not False:
            words = value if isinstance(value, list) else [value]
            settings[f"--{name.replace('_', '-')}"] = " ".join(map(str, words))
    return settings


def _check_flags(args: argparse.Namespace) -> None:
    if args.interpolate and args.prime:
        raise UsageError("--interpolate: cannot be combined with --prime; leave one of them out")
    if args.prime_seconds and not args.prime:
        raise UsageError("--prime-seconds: needs --prime; give a file, or leave it out")


def _check_memory(args: argparse.Namespace, form: RollFormat, prime_frames: int) -> None:
    """Checks that the samples, and the sound of one of them, fit into memory."""
    number = args.steps if args.interpolate else args.num_samples
    length = prime_frames + (args.length or args.default_length) * form.frames_per_second
    seconds = length / form.frames_per_second
    sound = render.sound_bytes(seconds, len(form.programs))
    rolls = number * length * form.num_keys
    what = f"--length: {number} x {seconds:.0f} seconds of music"
    memory.require(max(sound, rolls), what, "use a shorter --length, or a shorter --prime")


def _render(frames: np.ndarray, form: RollFormat, start: float) -> dict[str, bytes]:
    """Returns a piece, generated from `start` seconds on, as files by suffix."""
    return {
        ".mid": Performance.of_run(form).to_bytes(frames),
        ".wav": render.wav_bytes(render.synthesize(roll.to_notes(frames, form))),
        ".png": render.plot_rolls([frames], form, start),
    }


def _write_files(folder: Path, name: str, contents: Mapping[str, bytes]) -> None:
    """Writes files that have the same name and different suffixes."""
    for suffix, content in contents.items():
        with files.atomic_write(folder / (name + suffix)) as file:
            file.write(content)


def _extend(
    model: MidiModel, prime: np.ndarray, form: RollFormat, args: argparse.Namespace
) -> np.ndarray:
    """Returns rolls that continue from the prime, which may be empty: [samples, T, keys]."""
    length = _num_frames(args, form, args.default_length)
    if len(prime):
        observed = tf.nest.map_structure(lambda x: x[None], model.observe(prime))
        state = model.prime(observed, args.num_samples, seed=args.seed)
    else:
        state = model.initial_state(args.num_samples)
    with bar(total=args.num_samples * length, unit="frame") as shown:
        observed = sample(
            model, state, args.num_samples, length, args.temperature, args.seed, shown.update
        )
    rolls = model.to_rolls(observed)
    _warn_of_rolls(rolls, args.temperature)
    return rolls


def _warn_of_rolls(rolls: np.ndarray, temperature: float, between: bool = False) -> None:
    samples = {f"sample-{index:02d}": frames for index, frames in enumerate(rolls, 1)}
    silent = [name for name, frames in samples.items() if not frames.any()]
    warn_of_samples(samples, temperature, silent, between)


def _interpolate(model: MidiModel, form: RollFormat, args: argparse.Namespace) -> np.ndarray:
    """Returns rolls between two pieces in latent space, [steps, T, keys]."""
    if not model.core.latent_size:
        raise UsageError(
            f"--interpolate: {model.hparams.vae_type} has no latent variables; "
            "train with --hparams vae_type=SRNN, or with --encoding melody"
        )
    ends = [_load_roll(path, form, "--interpolate") for path in args.interpolate]
    if model.has_sequence_latent:
        return _interpolate_by_sequence(model, form, args, ends)
    return _interpolate_by_frame(model, form, args, ends)


def _interpolate_by_sequence(
    model: MidiModel, form: RollFormat, args: argparse.Namespace, ends: list[np.ndarray]
) -> np.ndarray:
    """Interpolates between the z of the first window of each piece."""
    window = model.hparams.sequence_size
    start, end = (model.observe(x[:window], strike_first_frame=True) for x in ends)
    states = model.state_from_latents(model.interpolate_latents(start, end, args.steps))
    length = _num_frames(args, form, window / form.frames_per_second)
    temperature = args.temperature * BETWEEN_TEMPERATURE
    rolls = _draw_path(model, states, length, temperature, args)
    if not warn_of_sequence_latents(model, (start, end)):
        _warn_of_rolls(rolls, temperature, between=True)
    return rolls


def _interpolate_by_frame(
    model: MidiModel, form: RollFormat, args: argparse.Namespace, ends: list[np.ndarray]
) -> np.ndarray:
    """Interpolates between the z of each frame, up to the length of the shorter piece."""
    length = min(_num_frames(args, form, args.default_length), *map(len, ends))
    rolls = np.stack([frames[:length] for frames in ends])
    inference, _ = model.infer(model.observe(rolls), seed=args.seed)
    kl = np.mean(inference.kl, axis=1).tolist()
    is_doubtful = warn_of_step_latents(dict(zip(args.interpolate, kl, strict=True)))
    start, end = inference.steps.latents
    shares = tf.reshape(tf.linspace(0.0, 1.0, args.steps), [-1, 1, 1])
    states = model.initial_state(args.steps)
    latents = start + shares * (end - start)
    drawn = _draw_path(model, states, length, args.temperature, args, latents)
    if not is_doubtful:
        _warn_of_rolls(drawn, args.temperature, between=True)
    return drawn


def _draw_path(
    model: MidiModel,
    states: State,
    length: int,
    temperature: float,
    args: argparse.Namespace,
    latents: Tensor | None = None,
) -> np.ndarray:
    """Returns a roll for each state of an interpolation, all with the same noise."""
    with bar(total=args.steps * length, unit="frame") as shown:
        return model.to_rolls(
            sample_with_common_noise(
                model, states, length, temperature, args.seed, shown.update, latents
            )
        )


def _num_frames(args: argparse.Namespace, form: RollFormat, default_seconds: float) -> int:
    """Returns the number of frames to generate."""
    return max(1, round((args.length or default_seconds) * form.frames_per_second))


def _load_prime(args: argparse.Namespace, form: RollFormat) -> np.ndarray:
    """Returns the frames to continue from; no frames without --prime."""
    if not args.prime:
        return np.zeros([0, form.num_keys], np.uint8)
    frames = _load_roll(args.prime, form, "--prime")
    if args.prime_seconds is None:
        return frames
    return frames[: round(min(len(frames), args.prime_seconds * form.frames_per_second))]


def _load_roll(path: str, form: RollFormat, flag: str) -> np.ndarray:
    """Returns the roll of a MIDI file.

    Raises:
      UsageError: if the file cannot be used; the message names the flag.
    """
    parsed = parse_files([Path(path)], form.beats, DRUMS in form.programs, progress=False)
    fitting = select_fitting(parsed.pieces, form)
    for name, reason in (parsed.refused | fitting.refused).items():
        raise UsageError(f"{flag}: {name} {reason}")
    return roll.to_roll(fitting.pieces[0].notes, form)
