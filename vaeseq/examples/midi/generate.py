"""The command `generate` of vaeseq-midi."""

import argparse
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from vaeseq.cli import desktop
from vaeseq.cli.arguments import number_of_samples
from vaeseq.errors import UsageError
from vaeseq.examples.midi import page
from vaeseq.examples.midi.continuation import continue_roll
from vaeseq.examples.midi.interpolate import interpolate
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import ending, render
from vaeseq.examples.midi.music.instruments import describe_programs, parse_program
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import TEMPOS, RollFormat
from vaeseq.examples.midi.output import OutputFolder
from vaeseq.examples.midi.program import HELD_OUT, MidiProgram, corpus_statistics, open_corpora
from vaeseq.examples.midi.tune import Tune, first_seconds, load_tune, say_what_is_used
from vaeseq.examples.midi.usefulness import warn_of_rolls
from vaeseq.examples.midi.variations import vary
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
    tune = None
    if args.prime or args.like:
        tune = load_tune(args.prime or args.like, form, "--prime" if args.prime else "--like")
    performance = _choose_performance(args, form, tune)
    _check_memory(args, performance, tune)
    folder = OutputFolder(Path(args.out_dir))
    folder.check(_file_names(args), map(Path, [tune.path] if tune else args.interpolate or []))
    rolls = _make_rolls(model, tune, performance, args)
    held_out = corpus_statistics(model, valid, form)
    with folder.replace() as stage:
        samples = [
            _write_sample(stage, _sample_name(index), frames, performance)
            for index, frames in enumerate(rolls, 1)
        ]
        if args.interpolate:
            picture = _plot_path(samples, performance)
            _write_files(stage, _PATH, {".png": picture})
        path = f"{_PATH}.png" if args.interpolate else None
        content = page.render_page(samples, held_out, _settings(args), path)
        _write_files(stage, page.NAME, {page.SUFFIX: content})
    rows = {sample.name: sample.statistics for sample in samples}
    print(render.format_table(rows | {HELD_OUT: held_out}))
    _say_where(folder.path, args)


def _make_rolls(
    model: MidiModel, tune: Tune | None, performance: Performance, args: argparse.Namespace
) -> list[np.ndarray]:
    if args.interpolate:
        return list(interpolate(model, performance, args))
    if args.like and tune:
        return vary(model, tune, performance, args)
    return _continue(model, tune, performance, args)


def _say_where(folder: Path, args: argparse.Namespace) -> None:
    """Prints where the files are, and opens the page if the user asks for it."""
    shown = folder / (page.NAME + page.SUFFIX)
    print(f"wrote each sample to {folder} as .mid, .wav and .png")
    print(f"to see and hear them, open {shown}")
    if args.interpolate:
        where = folder / f"{_PATH}.png"
        print(f"wrote the interpolation, one sample below the other, to {where}")
    failure = desktop.open_file(shown) if args.play else None
    if failure:
        logging.warning("--play: cannot open %s: %s", shown, failure)


def _file_names(args: argparse.Namespace) -> Iterator[str]:
    """Yields the names of the files that will be written."""
    yield page.NAME + page.SUFFIX
    if args.interpolate:
        yield f"{_PATH}.png"
    for index in range(number_of_samples(args)):
        for suffix in _SUFFIXES:
            yield _sample_name(index + 1) + suffix


def _sample_name(index: int) -> str:
    return f"sample-{index:02d}"


def _settings(args: argparse.Namespace) -> dict[str, str]:
    """Returns the values of the flags, without those that were not given and have no default."""
    settings = {}
    for name, value in vars(args).items():
        if name not in _NOT_SETTINGS and value is not None and value is not False:
            words = value if isinstance(value, list) else [value]
            settings[f"--{name.replace('_', '-')}"] = " ".join(map(str, words))
    return settings


def _check_flags(args: argparse.Namespace) -> None:
    given = [f"--{x}" for x in ("interpolate", "like", "prime") if getattr(args, x)]
    if len(given) > 1:
        raise UsageError(f"{given[0]}: cannot be combined with {given[1]}; leave one of them out")
    number_of_samples(args)
    if args.amount is not None and not args.like:
        raise UsageError("--amount: needs --like; give a file, or leave it out")
    if args.amount is not None and not args.amount <= 1:
        raise UsageError(f"--amount: {args.amount:g} is out of range: 0 to 1")
    if args.prime_seconds and not args.prime:
        raise UsageError("--prime-seconds: needs --prime; give a file, or leave it out")
    low, high = TEMPOS
    if args.tempo is not None and not low <= args.tempo <= high:
        raise UsageError(f"--tempo: {args.tempo:g} is out of range: {low:g} to {high:g}")


def _choose_performance(
    args: argparse.Namespace, form: RollFormat, tune: Tune | None
) -> Performance:
    """Returns how the samples are played: as the tune, if given, and as the flags say."""
    if tune is None:
        performance = Performance.of_run(form)
    elif args.like:
        performance = Performance.like(tune.midi, form)
    else:
        frames = len(first_seconds(tune, form, args.prime_seconds))
        performance = Performance.after(tune.midi, form, frames)
    if args.program:
        programs = _choose_programs(args.program, form)
        performance = dataclasses.replace(performance, programs=programs)
    return dataclasses.replace(performance, tempo=args.tempo)


def _choose_programs(names: Sequence[str], form: RollFormat) -> tuple[int, ...]:
    """Returns the program of each keyboard, given one for all, or one for each but the drums."""
    try:
        programs = [parse_program(name) for name in names]
    except ValueError as error:
        raise UsageError(f"--program: {error}") from error
    pitched = [program for program in form.programs if program != DRUMS]
    if len(programs) not in (1, len(pitched)):
        names = describe_programs(pitched)
        raise UsageError(
            f"--program: {len(programs)} are given, but the run has {len(pitched)} keyboards "
            f"besides drums ({names}); give one for all, or one for each"
        )
    chosen = iter(programs if len(programs) > 1 else programs * len(pitched))
    return tuple(DRUMS if program == DRUMS else next(chosen) for program in form.programs)


def _check_memory(args: argparse.Namespace, performance: Performance, tune: Tune | None) -> None:
    """Checks that the samples, and the sound of one of them, fit into memory."""
    number = number_of_samples(args)
    length = args.length or args.default_length
    if args.like and tune:
        frames = first_seconds(tune, performance.form, args.length)
        length = len(frames) / performance.frames_per_second
    elif not args.exact_length and not args.interpolate:
        length += ending.most_extra_seconds(length)
    seconds = performance.start_seconds + length
    played = {*performance.programs, *performance.midi.notes.program.tolist()}
    sound = render.sound_bytes(seconds, len(played))
    frames = performance.start + length * performance.frames_per_second
    rolls = number * frames * performance.form.num_keys
    what = f"--length: {number} x {seconds:.0f} seconds of music"
    memory.require(max(sound, rolls), what, "use a shorter --length, or a shorter --prime")


def _write_sample(
    folder: Path, name: str, frames: np.ndarray, performance: Performance
) -> page.Sample:
    """Writes a sample as .mid, .wav and .png; returns what the page shows of it."""
    notes, start = performance.to_notes(frames), performance.start_seconds
    contents = {
        ".mid": performance.to_bytes(frames),
        ".wav": render.wav_bytes(render.synthesize(notes)),
        ".png": render.plot_notes([notes], performance.programs, start),
    }
    _write_files(folder, name, contents)
    return page.Sample(name, notes, render.roll_statistics(frames, performance.form, notes), start)


def _plot_path(samples: Sequence[page.Sample], performance: Performance) -> bytes:
    """Returns a picture of an interpolation, one sample below the other."""
    plotted = np.linspace(0, len(samples) - 1, min(len(samples), _MAX_PLOTTED)).astype(int)
    return render.plot_notes([samples[index].notes for index in plotted], performance.programs)


def _write_files(folder: Path, name: str, contents: Mapping[str, bytes]) -> None:
    """Writes files that have the same name and different suffixes."""
    for suffix, content in contents.items():
        with files.atomic_write(folder / (name + suffix)) as file:
            file.write(content)


def _continue(
    model: MidiModel, tune: Tune | None, performance: Performance, args: argparse.Namespace
) -> list[np.ndarray]:
    """Returns rolls that begin as the tune does, up to the start of the performance."""
    seconds = args.length or args.default_length
    least = performance.start + performance.num_frames(seconds)
    extra = 0 if args.exact_length else ending.most_extra_seconds(seconds)
    most = performance.start + performance.num_frames(seconds + extra)
    if tune is not None:
        say_what_is_used(tune, "--prime", performance.start, model, performance.form)
    given = np.zeros([0, performance.form.num_keys], np.uint8) if tune is None else tune.roll
    given = given[: performance.start]
    count, length = number_of_samples(args), most - len(given)
    with bar(total=count * length, unit="frame") as shown:
        drawing = (count, args.temperature, args.seed, shown.update)
        rolls = list(continue_roll(model, given, length, *drawing))
    if not args.exact_length:
        on_bar_line = performance.on_bar_line(np.arange(most))
        rolls = [x[: ending.find_end(x, performance.form, least, on_bar_line)] for x in rolls]
    warn_of_rolls([roll[len(given) :] for roll in rolls], args.temperature)
    return rolls
