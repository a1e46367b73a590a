"""The commands of vaeseq-text."""

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging
from tqdm import tqdm

from vaeseq import memory, training, workers
from vaeseq.callbacks import Report
from vaeseq.errors import UsageError
from vaeseq.evaluation import Reader, Score
from vaeseq.examples.text import data
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel
from vaeseq.run import Run

PROGRAM = "vaeseq-text"

_REPORT_STEPS = 500
_VALID_CHARACTERS = 1 << 17  # at most, while training
_SAMPLE_CHARACTERS = 300
_STREAM_CHARACTERS = 4096  # at least; shorter texts are read in fewer streams
_PIECE_CHARACTERS = 500  # generated at once


def train(args: Any) -> None:
    """Begins a run, or goes on with it."""
    with workers.joined(args.workers, args.main) as strategy:
        if workers.is_chief(strategy):
            run = (_resume if Run.exists(args.log_dir) else _begin)(args, strategy)
        workers.agreed(strategy, 0)  # the others wait for the run to begin
        if not workers.is_chief(strategy):
            run = Run.open(args.log_dir, PROGRAM, _ABOUT)
        make = _maker(run)
        with strategy.scope():
            model = make()
            model.compile()
        _train(run, model, args.num_steps)


def _train(run: Run, model: TextModel, num_steps: int) -> None:
    hparams = model.hparams
    ids, held_out = data.load_split(run.file, model.vocabulary)
    valid = held_out[:_VALID_CHARACTERS]
    reader = Reader(model)

    def batch(step: int) -> np.ndarray:
        return data.window_batch(ids, step, hparams.batch_size, hparams.sequence_size, hparams.seed)

    def validate() -> dict[str, float]:
        score = read(reader, valid)
        sums = {"valid_loss": -score.elbo, "valid_elbo": score.elbo, "valid_kl": score.kl}
        return {name: total / len(valid) for name, total in sums.items()}

    def sample() -> str:
        (text,) = write(model, num_samples=1, length=_SAMPLE_CHARACTERS, seed=hparams.seed)
        tf.summary.text("sample", f"```\n{text}\n```")
        return text

    report = Report(run, num_steps, _REPORT_STEPS, validate, "valid_loss", sample)
    if training.train(model, batch, report) and workers.is_chief(model.distribute_strategy):
        print(sample())


def generate(args: Any) -> None:
    """Prints texts."""
    _, model = _trained(args)
    unknown = model.vocabulary.count_oov(model.vocabulary.encode(args.prime))
    if unknown:
        logging.warning("%d characters of --prime are not in the vocabulary", unknown)
    texts = write(
        model, args.prime, args.num_samples, args.length, args.temperature, args.seed, progress=True
    )
    for index, text in enumerate(texts):
        if args.num_samples > 1:
            print(f"#{index + 1:02d}:")
        print(args.prime + text)


def evaluate(args: Any) -> None:
    """Prints how probable a text is, as one JSON object."""
    run, model = _trained(args)
    with tempfile.TemporaryDirectory() as folder:
        if args.eval_corpus:
            text = data.file_text(args.eval_corpus, "--eval-corpus")
            file = Path(folder, "text.ids")
            data.encode_to_file(text, model.vocabulary, file)
            ids = data.IdFile(file, model.vocabulary)
        else:
            _, ids = data.load_split(run.file, model.vocabulary)
        _print_score(model, ids, args)


def _print_score(model: TextModel, ids: data.IdFile, args: Any) -> None:
    reader = Reader(model, args.log_prob_samples or model.hparams.log_prob_samples)
    score = read(reader, ids, seed=args.seed, progress=True)
    nats = -max(score.bound, score.elbo) / len(ids)
    result = {
        "nats_per_char": nats,
        "bits_per_char": nats / math.log(2),
        "perplexity": math.exp(nats),
        "elbo": score.elbo / len(ids),
        "kl": score.kl / len(ids),
        "log_prob": score.bound / len(ids),
        "log_prob_samples": reader.num_samples,
        "num_chars": len(ids),
        "oov_share": model.vocabulary.count_oov(ids) / len(ids),
    }
    print(json.dumps(result, indent=2))


def read(
    reader: Reader, ids: np.ndarray | data.IdFile, seed: int = 0, progress: bool = False
) -> Score:
    """Scores every character of a text once.

    A long text is read as several streams side by side. Each carries its state from its first
    character to its last, and begins with the state after the window before its first.
    """
    hparams = reader.model.hparams
    streams = max(1, min(hparams.batch_size, len(ids) // _STREAM_CHARACTERS))
    bounds = [len(ids) * stream // streams for stream in range(streams + 1)]
    longest, width = max(np.diff(bounds)), hparams.sequence_size

    def window(offset: int) -> tuple[np.ndarray, list[int]]:
        observed = np.zeros([streams, width], np.int32)
        lengths = []
        for row, begin, end in zip(observed, bounds[:-1], bounds[1:], strict=True):
            characters = ids[max(0, begin + offset) : end][:width]
            row[: len(characters)] = characters
            lengths.append(len(characters))
        return observed, lengths

    state = None
    if streams > 1:
        _, state = reader.read([window(-width)], seed=seed)
        # Nothing stands before the first stream.
        first = reader.model.initial_state(reader.num_samples)
        state = tf.nest.map_structure(
            lambda x, x0: tf.concat([x0, x[reader.num_samples :]], 0), state, first
        )
    windows = tqdm(
        map(window, range(0, longest, width)),
        total=math.ceil(longest / width),
        unit="char",
        unit_scale=streams * width,
        disable=not progress,
    )
    return reader.read(windows, state, seed)[0]


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
    pieces = []
    with tqdm(total=num_samples * length, unit="char", disable=not progress) as bar:
        for start in range(0, length, _PIECE_CHARACTERS):
            size = min(_PIECE_CHARACTERS, length - start)
            ids, state = model.extend(
                state, num_samples, size, temperature=temperature, seed=(seed, start)
            )
            pieces.append(ids.numpy())
            bar.update(num_samples * size)
    yield from map(model.vocabulary.decode, np.concatenate(pieces, axis=1))


def _begin(args: Any, strategy: tf.distribute.Strategy) -> Run:
    """A new run. Nothing is written before all that the user gave has been checked."""
    hparams = TextHParams().parse(args.hparams)
    if args.seed is not None:
        hparams = hparams.replace(seed=args.seed)
    workers.share(strategy, hparams.batch_size)
    texts = {
        name: data.file_text(getattr(args, name), f"--{name.replace('_', '-')}")
        for name in _CORPORA
        if getattr(args, name)
    }
    texts.setdefault("train_corpus", data.embedded_shakespeare())
    counts = {name: data.count(text) for name, text in texts.items()}
    data.check_length(counts["train_corpus"], hparams.sequence_size, "valid_corpus" in texts)
    vocabulary = Vocabulary.of_counts(
        counts.get("vocab_corpus", counts["train_corpus"]), hparams.vocab_size, hparams.oov_buckets
    )
    memory.check(lambda: TextModel(hparams, vocabulary))
    if hparams.learning_rate_decay_steps not in (0, args.num_steps):
        logging.info(
            "the learning rate falls until step %d; where the training is to end at step %d, "
            "--hparams learning_rate_decay_steps=%d does better",
            *(hparams.learning_rate_decay_steps, args.num_steps, args.num_steps),
        )
    about = {"program": PROGRAM, "hparams": dataclasses.asdict(hparams)}
    about |= {name: getattr(args, name) for name in _CORPORA}
    run = Run(args.log_dir, about, args.keep)
    with run.beginning():
        run.write("vocabulary.json", vocabulary.to_json())
        for name in texts.keys() - {"vocab_corpus"}:
            data.encode_to_file(texts[name], vocabulary, run.file(data.ids_name(name)))
    return run


_CORPORA = ("train_corpus", "valid_corpus", "vocab_corpus")
_ABOUT = {name: {"type": ["string", "null"]} for name in _CORPORA}


def _resume(args: Any, strategy: tf.distribute.Strategy) -> Run:
    """A run that has begun, unless the user now asks for something else."""
    run = Run.open(args.log_dir, PROGRAM, _ABOUT, args.keep)
    hparams = _hparams(run)
    workers.share(strategy, hparams.batch_size)
    wanted = hparams.parse(args.hparams)
    if args.seed is not None:
        wanted = wanted.replace(seed=args.seed)
    asked = {name: getattr(args, name) or run.about.get(name) for name in _CORPORA}
    if wanted != hparams or any(run.about.get(name) != asked[name] for name in _CORPORA):
        raise UsageError(
            f"--log-dir: the run in {args.log_dir} began with other hparams, seed or corpora (see "
            "its run.json); leave them out to go on with it, or choose another directory"
        )
    return run


def _trained(args: Any) -> tuple[Run, TextModel]:
    """A run and its best model."""
    if args.vocab_corpus:
        logging.info("--vocab-corpus is not needed: the run has its vocabulary")
    run = Run.open(args.log_dir, PROGRAM, _ABOUT)
    model = _maker(run)()
    run.restore_best(model)
    return run, model


def _maker(run: Run) -> Callable[[], TextModel]:
    """Makes the run's model, which fits into memory."""
    hparams, vocabulary = _hparams(run), _vocabulary(run)

    def make() -> TextModel:
        keras.utils.set_random_seed(hparams.seed)
        return TextModel(hparams, vocabulary)

    memory.check(make)
    return make


def _hparams(run: Run) -> TextHParams:
    return TextHParams().replace(**run.about["hparams"])


def _vocabulary(run: Run) -> Vocabulary:
    return Vocabulary.from_json(run.read("vocabulary.json"), str(run.path / "vocabulary.json"))
