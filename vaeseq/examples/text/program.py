"""vaeseq-text: the files of its training runs, and the command `train`."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from vaeseq.cli.program import Program, Schema
from vaeseq.errors import UsageError
from vaeseq.examples.text import data
from vaeseq.examples.text.data import Text, Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel, sample_texts, score_text
from vaeseq.model.base import best_metric
from vaeseq.model.scoring import objective_scorer, validation_metrics
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

REPORT_STEPS = 500
_VALID_CHARACTERS = 1 << 17  # validation during training uses at most this much text
_SAMPLE_CHARACTERS = 300
_VOCABULARY = "vocabulary.json"
_CORPORA = ("train_corpus", "valid_corpus", "vocab_corpus")
_PATH: Schema = {"type": ["string", "null"]}


class TextProgram(Program[TextHParams, Vocabulary, Mapping[str, Text], TextModel]):
    """Trains a `TextModel`. A run stores its vocabulary, and its corpora as files of ids.

    Args:
      report_steps: the number of steps between reports.
    """

    name = "vaeseq-text"
    defaults = TextHParams()
    flags = dict.fromkeys(_CORPORA, _PATH)

    def __init__(self, report_steps: int = REPORT_STEPS):
        self.report_steps = report_steps

    def prepare(
        self, args: argparse.Namespace, hparams: TextHParams
    ) -> tuple[Vocabulary, dict[str, Text]]:
        """Returns the vocabulary, and the texts to store in the run."""
        flags = {name: f"--{name.replace('_', '-')}" for name in _CORPORA if getattr(args, name)}
        texts = {name: data.file_text(getattr(args, name), flag) for name, flag in flags.items()}
        for name, flag in flags.items():
            if Path(getattr(args, name)).is_fifo():
                raise UsageError(
                    f"{flag}: {getattr(args, name)} is a pipe, but the text is read twice; write "
                    "it to a file"
                )
        if "train_corpus" not in texts:
            texts["train_corpus"] = data.embedded_shakespeare()
        counts = {name: data.count(text) for name, text in texts.items()}
        data.check_length(counts["train_corpus"], hparams.sequence_size, "valid_corpus" in texts)
        known = counts.get("vocab_corpus", counts["train_corpus"])
        texts.pop("vocab_corpus", None)
        return Vocabulary.from_counts(known, hparams.vocab_size, hparams.oov_buckets), texts

    def write(self, run: Run, vocabulary: Vocabulary, texts: Mapping[str, Text]) -> None:
        """Writes the vocabulary, and the texts as ids."""
        run.write(_VOCABULARY, vocabulary.to_json())
        for name, text in texts.items():
            data.encode_to_file(text, vocabulary, run.file(data.ids_name(name)))

    def read(self, run: Run) -> Vocabulary:
        """Reads the vocabulary."""
        return Vocabulary.from_json(run.read(_VOCABULARY), str(run.path / _VOCABULARY))

    def make_model(self, hparams: TextHParams, vocabulary: Vocabulary) -> TextModel:
        """Returns a model of texts with this vocabulary."""
        return TextModel(hparams, vocabulary)

    def plan(self, run: Run, model: TextModel, args: argparse.Namespace) -> tuple[Batch, Report]:
        """Returns batches of windows at random places, and reports on the validation text."""
        hparams = model.hparams
        ids, held_out = data.load_split(run.file, model.vocabulary)
        if len(ids) < hparams.sequence_size:
            raise UsageError(
                f"--log-dir: the stored training text has {len(ids)} characters, but training "
                f"sequences have {hparams.sequence_size}; {run.path} has been changed"
            )
        sizes = hparams.batch_size, hparams.sequence_size, hparams.seed
        report = Report(
            run,
            args.num_steps,
            self.report_steps,
            _validation(model, held_out[:_VALID_CHARACTERS]),
            best_metric(hparams),
            lambda: _sample_files(model),
        )
        return lambda step: data.window_batch(ids, step, *sizes), report

    def finish(self, run: Run, model: TextModel) -> None:
        """Prints a sample."""
        print(_sample(model))


def train(args: argparse.Namespace) -> None:
    """Starts or resumes a training run, and prints a sample at its end."""
    TextProgram().train(args)


def load_trained(args: argparse.Namespace) -> tuple[Run, TextModel]:
    """Returns the run in `args.log_dir` and its model with the best weights."""
    if args.vocab_corpus:
        logging.info("--vocab-corpus is ignored: the run stores its vocabulary")
    return TextProgram().trained(args.log_dir)


def _validation(model: TextModel, ids: np.ndarray) -> Callable[[], dict[str, float]]:
    """Returns a function that scores a text, in nats per character."""
    scorer = objective_scorer(model)

    def validate() -> dict[str, float]:
        return validation_metrics(model, score_text(scorer, ids), len(ids))

    return validate


def _sample(model: TextModel) -> str:
    """Returns the text that reports show."""
    (text,) = sample_texts(model, length=_SAMPLE_CHARACTERS, seed=model.hparams.seed)
    return text


def _sample_files(model: TextModel) -> dict[str, bytes]:
    """Writes a sample to TensorBoard; returns it as the content of a file, by suffix."""
    text = _sample(model)
    tf.summary.text("sample", f"```\n{text}\n```")
    return {".txt": text.encode()}
