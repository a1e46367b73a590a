"""vaeseq-midi: the files of its training runs, and the command `train`."""

import argparse
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.cli.program import Program, Schema
from vaeseq.errors import UsageError
from vaeseq.examples.midi.collect import (
    Piece,
    collect,
    embedded_chorales,
    embedded_melodies,
    select_fitting,
    warn_refused,
)
from vaeseq.examples.midi.corpus import (
    Corpus,
    choose_format,
    hold_out,
    index_json,
    load_corpora,
    rolls_name,
    window_batch,
    write_rolls,
)
from vaeseq.examples.midi.hparams import MELODY, RATES, MidiHParams
from vaeseq.examples.midi.model import MidiModel, Observed, score_pieces
from vaeseq.examples.midi.music import render
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.render import Statistics
from vaeseq.examples.midi.music.roll import MAX_ENTRIES, RollFormat, to_notes
from vaeseq.model.base import best_metric
from vaeseq.model.sampling import sample
from vaeseq.model.scoring import objective_scorer, validation_metrics
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

HELD_OUT = "held-out pieces"  # the name of their row in tables of statistics

_STEPS_BETWEEN_REPORTS = 500
_MAX_VALID_FRAMES = 1 << 15  # per report
_FRAMES_PER_BEAT = 4.0  # the default for the chorales and for melodies
_INDEX = "corpus/pieces.json"

_PATHS: Schema = {"type": ["array", "null"], "items": {"type": "string"}}
_FLAGS: dict[str, Schema] = {
    "train_files": _PATHS,
    "valid_files": _PATHS,
    "frames_per_beat": {"type": ["number", "null"]},
    "instruments": {"enum": ["merge", "apart", None]},
    "drums": {"type": "boolean"},
    "encoding": {"enum": ["roll", "melody", None]},
}


class Content(NamedTuple):
    """The pieces of a new run, and the reason why each other file was refused."""

    train: list[Piece]
    valid: list[Piece]
    refused: dict[str, str]


class MidiProgram(Program[MidiHParams, RollFormat, Content, MidiModel]):
    """Trains models of MIDI files, which a run stores as piano rolls.

    Args:
      sample_seconds: the length of the sample of each report.
    """

    name = "vaeseq-midi"
    defaults = MidiHParams()
    flags = _FLAGS
    implied: dict[str, object] = {"encoding": "roll", "instruments": "merge"}  # noqa: RUF012

    def __init__(self, sample_seconds: float = 20.0):
        self.sample_seconds = sample_seconds

    def defaults_for(self, args: argparse.Namespace) -> MidiHParams:
        """Returns the default hyperparameters of the encoding."""
        return MELODY if args.encoding == "melody" else self.defaults

    def last_step(self, args: argparse.Namespace, hparams: MidiHParams) -> int:
        """Returns `--num-steps`, or the default of the encoding."""
        by_default = MELODY if hparams.decoder == "melody" else self.defaults
        steps: int = args.num_steps or by_default.learning_rate_decay_steps
        return steps

    def prepare(self, args: argparse.Namespace, hparams: MidiHParams) -> tuple[RollFormat, Content]:
        """Returns the roll format and the pieces of a new run.

        Raises:
          UsageError: if flags contradict each other, or no piece is left.
        """
        frames_per_beat = _frames_per_beat(args, hparams)
        beats = frames_per_beat is not None
        if beats and hparams.rate != self.defaults_for(args).rate:
            raise UsageError(
                "--hparams: rate counts frames per second, but this run counts them per beat; use "
                "--frames-per-beat"
            )
        if args.train_files:
            pieces, refused = collect(args.train_files, "--train-files", beats, args.drums)
        elif hparams.decoder == "melody":
            pieces, refused = embedded_melodies()
        else:
            pieces, refused = embedded_chorales()
        if args.valid_files:
            train = pieces
            valid, others = collect(args.valid_files, "--valid-files", beats, args.drums)
            refused |= others
        else:
            train, valid = hold_out(pieces, hparams.seed)
        form = choose_format(train, hparams, frames_per_beat, args.instruments == "apart")
        train, too_large = warn_refused(select_fitting(train, form), "--train-files")
        refused |= too_large
        held_out = "--valid-files" if args.valid_files else "--train-files"
        valid, too_large = warn_refused(select_fitting(valid, form), held_out)
        refused |= too_large
        return form, Content(train, valid, refused)

    def write(self, run: Run, form: RollFormat, content: Content) -> None:
        """Writes the rolls and their index."""
        train = write_rolls(content.train, form, run.file(rolls_name("train")))
        valid = write_rolls(content.valid, form, run.file(rolls_name("valid")))
        run.write(_INDEX, index_json(form, train, valid, content.refused))

    def read(self, run: Run) -> RollFormat:
        """Returns the format of the run's rolls."""
        return open_corpora(run)[0]

    def make_model(self, hparams: MidiHParams, form: RollFormat) -> MidiModel:
        """Returns a model of rolls in this format."""
        return MidiModel(hparams, form.num_keys)

    def plan(self, run: Run, model: MidiModel, args: argparse.Namespace) -> tuple[Batch, Report]:
        """Returns the batches, which are windows of the training pieces, and the reports."""
        form, train, valid = open_corpora(run)
        valid = valid.head(_MAX_VALID_FRAMES)
        scorer = objective_scorer(model)

        def batch(step: int) -> dict[str, Observed]:
            rolls, lengths = window_batch(train, step, model.hparams, form.pitched)
            return {"observed": model.observe(rolls, strike_first_frame=True), "lengths": lengths}

        def validate() -> dict[str, float]:
            return validation_metrics(model, score_pieces(scorer, model, valid), valid.num_frames)

        def sample() -> dict[str, bytes]:
            return _summarize_sample(sample_roll(model, form, self.sample_seconds), form)

        best = best_metric(model.hparams)
        steps = self.last_step(args, model.hparams)
        report = Report(run, steps, _STEPS_BETWEEN_REPORTS, validate, best, sample)
        return batch, report

    def finish(self, run: Run, model: MidiModel) -> None:
        """Prints statistics of a sample and of the held-out pieces."""
        form, _, valid = open_corpora(run)
        sample = sample_roll(model, form, self.sample_seconds)
        statistics = {
            "sample": render.roll_statistics(sample, form),
            HELD_OUT: corpus_statistics(model, valid, form),
        }
        print(render.format_table(statistics))
        logging.info("samples are in %s", run.file("samples"))


def train(args: argparse.Namespace) -> None:
    """Starts or resumes a training run, and prints statistics of a sample at its end."""
    MidiProgram().train(args)


def open_corpora(run: Run) -> tuple[RollFormat, Corpus, Corpus]:
    """Returns the roll format, the training corpus and the validation corpus of a run."""
    return load_corpora(run.read(_INDEX), str(run.path / _INDEX), run.file)


def sample_roll(model: MidiModel, form: RollFormat, seconds: float) -> np.ndarray:
    """Returns the roll of a sample, always with the random seed of the hyperparameters.

    It is shorter if it would have more frames than any piece of the corpus may have.
    """
    most = MAX_ENTRIES // form.num_keys
    length = min(max(1, round(seconds * form.frames_per_second)), most)
    observed = sample(model, model.initial_state(1), 1, length, seed=model.hparams.seed)
    return model.to_rolls(observed)[0]


def corpus_statistics(model: MidiModel, corpus: Corpus, form: RollFormat) -> Statistics:
    """Computes statistics of the first pieces of a corpus, as the model's encoding shows them.

    The length is the mean of theirs.
    """
    spans = corpus.head(_MAX_VALID_FRAMES).spans
    rolls = corpus.frames[spans[0][0] : spans[-1][1]]
    statistics = render.roll_statistics(model.to_rolls(model.observe(rolls)), form)
    return statistics._replace(seconds=statistics.seconds / len(spans))


def _frames_per_beat(args: argparse.Namespace, hparams: MidiHParams) -> float | None:
    """Returns the number of frames per beat, or None if frames are counted per second.

    Raises:
      UsageError: if it is too large, or the flags do not fit melodies.
    """
    melody = hparams.decoder == "melody"
    if melody and (args.drums or args.instruments == "apart"):
        raise UsageError("a melody has one voice: leave out --drums and --instruments apart")
    frames_per_beat: float | None = args.frames_per_beat
    if frames_per_beat is None:
        return _FRAMES_PER_BEAT if melody or not args.train_files else None
    low, high = RATES
    if not low <= frames_per_beat <= high:
        raise UsageError(
            f"--frames-per-beat: {frames_per_beat:g} is out of range: {low:g} to {high:g}"
        )
    return frames_per_beat


def _summarize_sample(frames: np.ndarray, form: RollFormat) -> dict[str, bytes]:
    """Writes a sample to TensorBoard; returns it as files, by suffix."""
    picture = render.plot_rolls([frames], form)
    statistics = render.roll_statistics(frames, form)
    sound = render.synthesize(to_notes(frames, form))
    tf.summary.audio("sample", sound[None, :, None], render.SAMPLE_RATE)
    tf.summary.image("roll", tf.io.decode_png(picture)[None])
    tf.summary.scalar("sample/notes_per_second", statistics.notes_per_second)
    tf.summary.scalar("sample/polyphony", statistics.polyphony)
    return {".mid": Performance.of_run(form).to_bytes(frames), ".png": picture}
