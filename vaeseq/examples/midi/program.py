"""The commands of vaeseq-midi."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from vaeseq.cli.program import Program
from vaeseq.errors import UsageError
from vaeseq.examples.midi import corpus as corpora
from vaeseq.examples.midi.corpus import Collection, Corpus, Piece
from vaeseq.examples.midi.hparams import MELODY, MOST_FRAMES, MidiHParams
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import render, roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.model import scoring
from vaeseq.model.base import State
from vaeseq.model.latent_space import BETWEEN_TEMPERATURE
from vaeseq.model.latent_usage import latent_usage
from vaeseq.model.sampling import draw, draw_with_common_noise
from vaeseq.model.scoring import Score, Span, WindowScorer, windows
from vaeseq.training import files
from vaeseq.training.callbacks import Report, best_metric
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_MOST_SHOWN = 20  # samples of a way on one picture
_REPORT_STEPS = 500
_VALID_FRAMES = 1 << 15  # at most, while training
_SAMPLE_SECONDS = 20.0
_WINDOW_FRAMES = 512  # read at once
_FRAMES_PER_BEAT = 4.0  # of the chorales, and of melodies
_PIECES = "corpus/pieces.json"
_LITTLE = 0.1  # nats a frame that latent variables say of a piece


class Content(NamedTuple):
    """The pieces of a new run, and why other files are none."""

    train: list[Piece]
    valid: list[Piece]
    refused: dict[str, str]


_PATHS = {"type": ["array", "null"], "items": {"type": "string"}}
_FLAGS: dict[str, Any] = {
    "train_files": _PATHS,
    "valid_files": _PATHS,
    "frames_per_beat": {"type": ["number", "null"]},
    "instruments": {"enum": ["merge", "apart", None]},
    "drums": {"type": "boolean"},
    "encoding": {"enum": ["roll", "melody", None]},
}


class MidiProgram(Program):
    """Pieces are kept as rolls, one after another."""

    name = "vaeseq-midi"
    inputs = "files"
    defaults = MidiHParams()
    flags = _FLAGS

    def defaults_for(self, args: Any) -> MidiHParams:
        """Those of melodies, where these are asked for."""
        return MELODY if args.encoding == "melody" else self.defaults

    def prepare(self, args: Any, hparams: Any) -> tuple[RollFormat, Content]:
        """The format, and the pieces that can be read and fit."""
        frames_per_beat = args.frames_per_beat
        if hparams.decoder == "melody" and (args.drums or args.instruments == "apart"):
            raise UsageError("a melody has one voice: leave out --drums and --instruments apart")
        if frames_per_beat is None and (not args.train_files or hparams.decoder == "melody"):
            frames_per_beat = _FRAMES_PER_BEAT
        beats = frames_per_beat is not None
        if beats and frames_per_beat > MOST_FRAMES:
            raise UsageError(f"--frames-per-beat: {frames_per_beat:g} is above {MOST_FRAMES}")
        if args.train_files:
            pieces, refused = _collect(args.train_files, "--train-files", beats, args.drums)
        else:
            pieces, refused = corpora.embedded_chorales(beats)
        if args.valid_files:
            train, found = pieces, _collect(args.valid_files, "--valid-files", beats, args.drums)
            valid, refused = found.pieces, refused | found.refused
        else:
            train, valid = corpora.hold_out(pieces, hparams.seed)
        form = corpora.choose_format(train, hparams, frames_per_beat, args.instruments == "apart")
        for flag, part in {"--train-files": train, "--valid-files": valid}.items():
            part[:], too_large = _told(corpora.fitting(part, form), flag)
            refused |= too_large
        return form, Content(train, valid, refused)

    def write(self, run: Run, form: RollFormat, content: Content) -> None:
        """The rolls, and what they are."""
        train, valid = (
            corpora.write(pieces, form, run.file(corpora.rolls_name(name)))
            for name, pieces in {"train": content.train, "valid": content.valid}.items()
        )
        run.write(_PIECES, corpora.describe(form, train, valid, content.refused))

    def read(self, run: Run) -> RollFormat:
        """The format of its rolls."""
        return _load(run)[0]

    def make_model(self, hparams: Any, form: RollFormat) -> MidiModel:
        """A model of rolls in this format."""
        return MidiModel(hparams, form.num_keys)

    def plan(self, run: Run, model: MidiModel, args: Any) -> tuple[Batch, Report]:
        """Windows at random places of the training pieces; the others validate."""
        form, train, valid = _load(run)
        valid = Corpus(valid.frames, _first(valid.spans, _VALID_FRAMES))
        frames = sum(end - begin for begin, end in valid.spans)
        reader = WindowScorer(model)

        def batch(step: int) -> dict[str, Any]:
            rolls, lengths = corpora.window_batch(train, step, model.hparams, form.pitched)
            return {"observed": model.observe(rolls, begins_within=True), "lengths": lengths}

        def validate() -> dict[str, float]:
            score = read(reader, model, valid)
            means = {"valid_loss": -score.elbo, "valid_elbo": score.elbo, "valid_kl": score.kl}
            return {name: float(np.sum(x) / frames) for name, x in means.items()}

        def sample() -> dict[str, bytes]:
            return _show(sample_roll(model, form), form)

        best = best_metric(model.hparams)
        report = Report(run, args.num_steps, _REPORT_STEPS, validate, best, sample)
        return batch, report

    def finish(self, run: Run, model: MidiModel) -> None:
        """Prints what the music that the model has learned to write is like."""
        form, _, valid = _load(run)
        statistics = render.statistics(sample_roll(model, form), form)
        print(render.table({"sample": statistics, **_data_statistics(model, valid, form)}))
        logging.info("samples are in %s", run.file("samples"))


PROGRAM = MidiProgram()
train = PROGRAM.train


def sample_roll(model: MidiModel, form: RollFormat) -> np.ndarray:
    """The sample of a report."""
    length = max(1, round(_SAMPLE_SECONDS * form.frames_per_second))
    observed = draw(model, model.initial_state(1), 1, length, seed=model.hparams.seed)
    return model.rolls(observed)[0]


def _show(frames: np.ndarray, form: RollFormat) -> dict[str, bytes]:
    """A sample as files, and on TensorBoard."""
    picture, statistics = render.png([frames], form), render.statistics(frames, form)
    sound = render.audio(frames, form)
    tf.summary.audio("sample", sound[None, :, None], render.SAMPLE_RATE)
    tf.summary.image("roll", tf.io.decode_png(picture)[None])
    tf.summary.scalar("sample/notes_per_second", statistics.notes_per_second)
    tf.summary.scalar("sample/polyphony", statistics.polyphony)
    return {".mid": roll.midi_bytes(roll.to_midi(frames, form)), ".png": picture}


def generate(args: Any) -> None:
    """Writes samples as .mid, .wav and .png, and prints what they are like."""
    run, model = PROGRAM.trained(args.log_dir)
    form, _, valid = _load(run)
    if args.prime_seconds and not args.prime:
        raise UsageError("--prime-seconds says how much of --prime, which is not given")
    if args.interpolate:
        if args.prime:
            raise UsageError("--interpolate goes from one piece to another: leave out --prime")
        prime = np.zeros([0, form.num_keys], np.uint8)
        rolls = _interpolated(model, form, args)
    else:
        prime = _prime(args, form)
        state = model.initial_state(1)
        if len(prime):
            _, state = model.infer(
                tf.nest.map_structure(lambda x: x[None], model.observe(prime)), seed=args.seed
            )
        length = _length(args, form, args.default_length)
        rolls = _drawn(model, state, length, args)
    statistics, folder = {}, Path(args.out_dir)
    for index, frames in enumerate(rolls, 1):
        name = f"sample-{index:02d}"
        whole = np.concatenate([prime, frames])
        _write(folder, name, _files(whole, form, len(prime) / form.frames_per_second))
        statistics[name] = render.statistics(whole, form)
    print(render.table({**statistics, **_data_statistics(model, valid, form)}))
    print(f"wrote .mid, .wav and .png of each to {folder}")
    if args.interpolate:
        shown = np.linspace(0, len(rolls) - 1, min(len(rolls), _MOST_SHOWN)).astype(int)
        _write(folder, "path", {".png": render.png(rolls[shown], form)})
        print(f"and the way, one below the other, to {folder / 'path.png'}")


def _files(frames: np.ndarray, form: RollFormat, start: float) -> dict[str, bytes]:
    """A sample, of which what is before `start` was given, as files."""
    return {
        ".mid": roll.midi_bytes(roll.to_midi(frames, form)),
        ".wav": render.wav(render.audio(frames, form)),
        ".png": render.png([frames], form, start),
    }


def _write(folder: Path, name: str, contents: dict[str, bytes]) -> None:
    """Files of one name, by their suffix."""
    try:
        for suffix, content in contents.items():
            with files.atomic_write(folder / (name + suffix)) as file:
                file.write(content)
    except OSError as error:
        where = error.filename or folder
        raise UsageError(f"--out-dir: cannot write {where}: {error.strerror}") from error


def evaluate(args: Any) -> None:
    """Prints how probable pieces are, as one JSON object."""
    run, model = PROGRAM.trained(args.log_dir)
    form, _, corpus = _load(run)
    refused: dict[str, str] = {}
    if args.eval_files:
        pieces, refused = _collect(
            args.eval_files, "--eval-files", form.beats, DRUMS in form.programs
        )
        pieces, too_large = _told(corpora.fitting(pieces, form), "--eval-files")
        refused |= too_large
        rolls = [roll.to_roll(piece.notes, form) for piece in pieces]
        corpus = Corpus(np.concatenate(rolls), corpora.spans(map(len, rolls)))
    samples = args.log_prob_samples or model.hparams.log_prob_samples
    score = scoring.score(
        model, samples, lambda reader: read(reader, model, corpus, args.seed, progress=True)
    )
    samples = samples if model.core.latent_size else 1
    result = summary(score, corpus.spans, samples) | {"refused": refused}
    if model.has_sequence_latent:
        result |= latent_usage(model, _windows(model, corpus), args.seed)._asdict()
    print(json.dumps(result, indent=2))


def _windows(model: MidiModel, corpus: Corpus) -> Iterator[tuple[Any, list[int]]]:
    """The pieces in windows as long as those of training."""
    width, rows = model.hparams.sequence_size, model.hparams.batch_size
    for rolls, lengths in scoring.in_windows(corpus.frames, corpus.spans, width, rows):
        yield model.observe(rolls, begins_within=True), lengths


def summary(score: Score, spans: Sequence[Span], samples: int) -> dict[str, Any]:
    """The figures of an evaluation, in nats a frame.

    By two conventions of the literature: P, the total over all frames divided by their number; S,
    the mean over pieces of their own means. The first frame counts.
    """
    lengths = np.array([end - begin for begin, end in spans])
    best = score.best
    return {
        "nats_per_frame": float(-np.sum(best) / lengths.sum()),
        "nats_per_frame_by_piece": float(-np.mean(best / lengths)),
        "elbo": float(np.sum(score.elbo) / lengths.sum()),
        "elbo_by_piece": float(np.mean(score.elbo / lengths)),
        "kl": float(np.sum(score.kl) / lengths.sum()),
        "log_prob": float(np.sum(score.bound) / lengths.sum()),
        "log_prob_by_piece": float(np.mean(score.bound / lengths)),
        "log_prob_samples": samples,
        "num_frames": int(lengths.sum()),
        "num_pieces": len(lengths),
    }


def read(
    reader: WindowScorer, model: MidiModel, corpus: Corpus, seed: int = 0, progress: bool = False
) -> Score:
    """Scores every frame of every piece once; pieces of about the same length side by side."""
    order = sorted(range(len(corpus.spans)), key=lambda i: np.diff(corpus.spans[i])[0])
    rows = model.hparams.batch_size
    scores = np.zeros([len(Score._fields), len(order)])
    for at in tqdm(range(0, len(order), rows), unit="batch", disable=not progress):
        pieces = order[at : at + rows]
        spans = [corpus.spans[piece] for piece in pieces]
        longest = max(end - begin for begin, end in spans)
        parts = windows(corpus.frames, spans, min(longest, _WINDOW_FRAMES))
        observed = ((model.observe(rolls), lengths) for rolls, lengths in parts)
        scores[:, pieces] = reader.read(observed, seed=seed)[0]
    return Score(*scores)


def _drawn(model: MidiModel, state: State, length: int, args: Any) -> np.ndarray:
    """Rolls that go on from a state."""
    with tqdm(total=args.num_samples * length, unit="frame") as bar:
        how = (args.num_samples, length, args.temperature, args.seed, bar.update)
        return model.rolls(draw(model, state, *how))


def _drawn_alike(
    model: MidiModel, states: State, length: int, temperature: float, args: Any, latents: Any = None
) -> np.ndarray:
    """Rolls that go on from the states on the way of --interpolate."""
    with tqdm(total=args.steps * length, unit="frame") as bar:
        how = (length, temperature, args.seed, bar.update, latents)
        return model.rolls(draw_with_common_noise(model, states, *how))


def _length(args: Any, form: RollFormat, seconds: float) -> int:
    """The frames of a sample."""
    return max(1, round((args.length or seconds) * form.frames_per_second))


def _interpolated(model: MidiModel, form: RollFormat, args: Any) -> np.ndarray:
    """Rolls of latent variables on the way from those of one piece to those of another."""
    if not model.core.latent_size:
        raise UsageError(
            f"--interpolate: {model.hparams.vae_type} has no latent variables; "
            "train with --hparams vae_type=SRNN, or melodies with --encoding melody"
        )
    ends = [_roll(path, form, "--interpolate") for path in args.interpolate]
    if not model.has_sequence_latent:
        return _interpolated_by_step(model, form, args, ends)
    window = model.hparams.sequence_size
    start, end = (model.observe(x[:window], begins_within=True) for x in ends)
    z = model.interpolate_latents(start, end, args.steps)
    length = _length(args, form, window / form.frames_per_second)
    temperature = args.temperature * BETWEEN_TEMPERATURE
    return _drawn_alike(model, model.state_from_latents(z), length, temperature, args)


def _interpolated_by_step(
    model: MidiModel, form: RollFormat, args: Any, ends: list[np.ndarray]
) -> np.ndarray:
    """Of cores with a z for every frame: no longer than the shorter piece."""
    length = min(_length(args, form, args.default_length), *map(len, ends))
    rolls = np.stack([frames[:length] for frames in ends])
    inference, _ = model.infer(model.observe(rolls), seed=args.seed)
    for path, kl in zip(args.interpolate, np.mean(inference.kl, axis=1), strict=True):
        if kl < _LITTLE:
            logging.warning("the latent variables say little of %s: %.3f nats a frame", path, kl)
    start, end = inference.steps.latents
    shares = tf.reshape(tf.linspace(0.0, 1.0, args.steps), [-1, 1, 1])
    latents = start + shares * (end - start)
    states = model.initial_state(args.steps)
    return _drawn_alike(model, states, length, args.temperature, args, latents)


def _prime(args: Any, form: RollFormat) -> np.ndarray:
    """The frames to go on from."""
    if not args.prime:
        return np.zeros([0, form.num_keys], np.uint8)
    frames = _roll(args.prime, form, "--prime")
    seconds = args.prime_seconds or math.inf
    return frames[: round(min(len(frames), seconds * form.frames_per_second))]


def _roll(path: str, form: RollFormat, flag: str) -> np.ndarray:
    """The roll of one file, or UsageError."""
    found = corpora.collect([Path(path)], form.beats, DRUMS in form.programs, progress=False)
    fitting = corpora.fitting(found.pieces, form)
    for name, reason in (found.refused | fitting.refused).items():
        raise UsageError(f"{flag}: {name} {reason}")
    return roll.to_roll(fitting.pieces[0].notes, form)


def _collect(patterns: list[str], flag: str, beats: bool, drums: bool) -> Collection:
    """The pieces of files."""
    return _told(corpora.collect(corpora.find(patterns, flag), beats, drums), flag)


def _told(collection: Collection, flag: str) -> Collection:
    """Names what is refused; UsageError where nothing else is left."""
    for name, reason in collection.refused.items():
        logging.warning("refused: %s %s", name, reason)
    if not collection.pieces:
        reasons = "; ".join(f"{name} {why}" for name, why in list(collection.refused.items())[:3])
        raise UsageError(f"{flag}: no piece is left: {reasons}")
    return collection


def _load(run: Run) -> tuple[RollFormat, Corpus, Corpus]:
    """The format, and the training and the validation pieces of a run."""
    return corpora.load(run.read(_PIECES), str(run.path / _PIECES), run.file)


def _first(spans: Sequence[Span], frames: int) -> list[Span]:
    """The first pieces, as many as have no more frames together, but one at least."""
    ends = np.cumsum([end - begin for begin, end in spans])
    return list(spans[: max(1, int(np.searchsorted(ends, frames, side="right")))])


def _data_statistics(
    model: MidiModel, valid: Corpus, form: RollFormat
) -> dict[str, render.Statistics]:
    """What the validation pieces are like, as the model sees them: the yardstick of its samples."""
    spans = _first(valid.spans, _VALID_FRAMES)
    seen = model.rolls(model.observe(valid.frames[spans[0][0] : spans[-1][1]]))
    return {"the data": render.statistics(seen, form)}
