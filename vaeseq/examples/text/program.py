"""The commands of vaeseq-text."""

import itertools
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from vaeseq.cli.program import Program
from vaeseq.errors import UsageError
from vaeseq.examples.text import data
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel
from vaeseq.model import scoring
from vaeseq.model.latent_space import BETWEEN_TEMPERATURE
from vaeseq.model.latent_usage import latent_usage
from vaeseq.model.sampling import draw, draw_with_common_noise
from vaeseq.model.scoring import Score, WindowScorer, windows
from vaeseq.training.array_file import Rows
from vaeseq.training.callbacks import Report, best_metric
from vaeseq.training.loop import Batch
from vaeseq.training.run import Run

_REPORT_STEPS = 500
_VALID_CHARACTERS = 1 << 17  # at most, while training
_SAMPLE_CHARACTERS = 300
_STREAM_CHARACTERS = 4096  # at least; shorter texts are read in fewer streams
_PATH: Any = {"type": ["string", "null"]}


class TextProgram(Program):
    """Corpora are kept as files of ids, in the order of their characters."""

    name = "vaeseq-text"
    inputs = "corpora"
    defaults = TextHParams()
    flags = dict.fromkeys(("train_corpus", "valid_corpus", "vocab_corpus"), _PATH)

    def prepare(self, args: Any, hparams: Any) -> tuple[Vocabulary, dict[str, data.Text]]:
        """The vocabulary, and the texts that a run keeps."""
        texts = {
            name: data.file_text(getattr(args, name), f"--{name.replace('_', '-')}")
            for name in self.flags
            if getattr(args, name)
        }
        texts.setdefault("train_corpus", data.embedded_shakespeare())
        counts = {name: data.count(text) for name, text in texts.items()}
        data.check_length(counts["train_corpus"], hparams.sequence_size, "valid_corpus" in texts)
        known = counts.get("vocab_corpus", counts["train_corpus"])
        texts.pop("vocab_corpus", None)
        return Vocabulary.of_counts(known, hparams.vocab_size, hparams.oov_buckets), texts

    def write(self, run: Run, vocabulary: Vocabulary, texts: dict[str, data.Text]) -> None:
        """The vocabulary, and the texts as ids."""
        run.write("vocabulary.json", vocabulary.to_json())
        for name, text in texts.items():
            data.encode_to_file(text, vocabulary, run.file(data.ids_name(name)))

    def read(self, run: Run) -> Vocabulary:
        """The vocabulary."""
        name = "vocabulary.json"
        return Vocabulary.from_json(run.read(name), str(run.path / name))

    def make_model(self, hparams: Any, vocabulary: Vocabulary) -> TextModel:
        """A model of the vocabulary's symbols."""
        return TextModel(hparams, vocabulary)

    def plan(self, run: Run, model: TextModel, args: Any) -> tuple[Batch, Report]:
        """Windows at random places; the last tenth, or another text, validates."""
        hparams = model.hparams
        ids, held_out = data.load_split(run.file, model.vocabulary)
        valid = held_out[:_VALID_CHARACTERS]
        reader = WindowScorer(model)
        sizes = hparams.batch_size, hparams.sequence_size, hparams.seed

        def validate() -> dict[str, float]:
            score = read(reader, valid)
            sums = {"valid_loss": -score.elbo, "valid_elbo": score.elbo, "valid_kl": score.kl}
            return {name: float(total / len(valid)) for name, total in sums.items()}

        def sample() -> dict[str, bytes]:
            text = sample_text(model)
            tf.summary.text("sample", f"```\n{text}\n```")
            return {".txt": text.encode()}

        report = Report(run, args.num_steps, _REPORT_STEPS, validate, best_metric(hparams), sample)
        return lambda step: data.window_batch(ids, step, *sizes), report

    def finish(self, run: Run, model: TextModel) -> None:
        """Prints what the model has learned to write."""
        print(sample_text(model))


PROGRAM = TextProgram()
train = PROGRAM.train


def sample_text(model: TextModel) -> str:
    """The sample of a report."""
    (text,) = write(model, length=_SAMPLE_CHARACTERS, seed=model.hparams.seed)
    return text


def generate(args: Any) -> None:
    """Prints texts."""
    _, model = _trained(args)
    for flag, text in [
        ("prime", args.prime),
        *(("interpolate", x) for x in args.interpolate or ()),
    ]:
        unknown = model.vocabulary.count_oov(model.vocabulary.encode(text))
        if unknown:
            logging.warning("%d characters of --%s are not in the vocabulary", unknown, flag)
    texts = list(_interpolated(model, args) if args.interpolate else _samples(model, args))
    for index, text in enumerate(texts, 1):
        if len(texts) > 1:
            print(f"#{index:02d}:")
        print(args.prime + text)


def _samples(model: TextModel, args: Any) -> Iterator[str]:
    """Texts that go on from --prime."""
    how = (args.num_samples, args.length or args.default_length, args.temperature, args.seed)
    return write(model, args.prime, *how, progress=True)


def _interpolated(model: TextModel, args: Any) -> Iterator[str]:
    """Texts on the way from one to another."""
    if args.prime:
        raise UsageError("--interpolate goes from one text to another: leave out --prime")
    if not all(args.interpolate):
        raise UsageError("--interpolate: an empty text is nothing to go from or to")
    start, end = map(model.vocabulary.encode, args.interpolate)
    z = model.interpolate_latents(start, end, args.steps)
    length = args.length or model.hparams.sequence_size
    temperature = args.temperature * BETWEEN_TEMPERATURE
    ids = draw_with_common_noise(model, model.state_from_latents(z), length, temperature, args.seed)
    yield from map(model.vocabulary.decode, ids)


def evaluate(args: Any) -> None:
    """Prints how probable a text is, as one JSON object."""
    run, model = _trained(args)
    with tempfile.TemporaryDirectory() as folder:
        if args.eval_corpus:
            text = data.file_text(args.eval_corpus, "--eval-corpus")
            file = Path(folder, "text.ids")
            data.encode_to_file(text, model.vocabulary, file)
            ids = Rows(file, model.vocabulary.size)
        else:
            _, ids = data.load_split(run.file, model.vocabulary)
        _print_score(model, ids, args)


def _print_score(model: TextModel, ids: Rows, args: Any) -> None:
    samples = args.log_prob_samples or model.hparams.log_prob_samples
    score = scoring.score(
        model, samples, lambda reader: read(reader, ids, args.seed, progress=True)
    )
    nats = -score.best / len(ids)
    result = {
        "nats_per_char": nats,
        "bits_per_char": nats / math.log(2),
        "perplexity": math.exp(nats),
        "elbo": score.elbo / len(ids),
        "kl": score.kl / len(ids),
        "log_prob": score.bound / len(ids),
        "log_prob_samples": samples if model.core.latent_size else 1,
        "num_chars": len(ids),
        "oov_share": model.vocabulary.count_oov(ids) / len(ids),
    }
    if model.has_sequence_latent:
        spans, width = [(0, len(ids))], model.hparams.sequence_size
        parts = scoring.in_windows(ids, spans, width, model.hparams.batch_size)
        result |= latent_usage(model, parts, args.seed)._asdict()
    print(json.dumps(result, indent=2))


def read(
    reader: WindowScorer, ids: np.ndarray | Rows, seed: int = 0, progress: bool = False
) -> Score:
    """Scores every character of a text once.

    A long text is read as several streams side by side. Each carries its state from its first
    character to its last, and begins with the state after the window before its first.
    """
    hparams = reader.model.hparams
    streams = max(1, min(hparams.batch_size, len(ids) // _STREAM_CHARACTERS))
    bounds = [len(ids) * stream // streams for stream in range(streams + 1)]
    spans, width = list(itertools.pairwise(bounds)), hparams.sequence_size
    state = None
    if streams > 1:
        before = [(max(0, begin - width), begin) for begin, _ in spans]
        _, state = reader.read(windows(ids, before, width), seed=seed)
        # Nothing stands before the first stream.
        first = reader.model.initial_state(reader.num_samples)
        state = tf.nest.map_structure(
            lambda x, x0: tf.concat([x0, x[reader.num_samples :]], 0), state, first
        )
    longest = max(end - begin for begin, end in spans)
    bar = tqdm(
        windows(ids, spans, width),
        total=math.ceil(longest / width),
        unit="char",
        unit_scale=streams * width,
        disable=not progress,
    )
    return Score(*map(np.sum, reader.read(bar, state, seed)[0]))


def write(
    model: TextModel,
    prime: str = "",
    num_samples: int = 1,
    length: int = 1000,
    temperature: float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> Iterator[str]:
    """Texts of that length, each going on from `prime`."""
    state = model.initial_state(1)
    if prime:
        _, state = model.infer(model.vocabulary.encode(prime)[None], seed=seed)
    with tqdm(total=num_samples * length, unit="char", disable=not progress) as bar:
        ids = draw(model, state, num_samples, length, temperature, seed, bar.update)
    yield from map(model.vocabulary.decode, ids)


def _trained(args: Any) -> tuple[Run, TextModel]:
    if args.vocab_corpus:
        logging.info("--vocab-corpus is not needed: the run has its vocabulary")
    return PROGRAM.trained(args.log_dir)
