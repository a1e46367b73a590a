"""The command `evaluate` of vaeseq-text."""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np

from vaeseq.cli.results import check_particles, print_json
from vaeseq.examples.text import data
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.model import TextModel, score_text
from vaeseq.examples.text.program import load_trained
from vaeseq.model import scoring
from vaeseq.model.latent_usage import latent_usage
from vaeseq.model.scoring import Score, WindowScorer
from vaeseq.training.array_file import ArrayFile


def evaluate(args: argparse.Namespace) -> None:
    """Prints the scores of a text as one JSON object."""
    run, model = load_trained(args)
    with tempfile.TemporaryDirectory() as folder:
        if args.eval_corpus:
            ids = _encode(args.eval_corpus, model.vocabulary, Path(folder))
        else:
            _, ids = data.load_split(run.file, model.vocabulary)
        print_json(_evaluate(model, ids, args))


def _encode(path: str, vocabulary: Vocabulary, folder: Path) -> ArrayFile:
    """Returns the ids of a text, in a file so that they need not fit into memory."""
    file = folder / "text.ids"
    # Runs of version 0.1 may know carriage returns; they were trained on texts that kept them.
    text = data.file_text(path, "--eval-corpus", keep_returns="\r" in vocabulary.characters)
    data.encode_to_file(text, vocabulary, file)
    return ArrayFile(file, vocabulary.size)


def _evaluate(model: TextModel, ids: ArrayFile, args: argparse.Namespace) -> dict[str, float]:
    """Returns the score of a text, and how much it uses a latent of the whole sequence."""
    hparams = model.hparams
    samples = args.log_prob_samples or hparams.log_prob_samples
    check_particles(samples, hparams.batch_size * hparams.sequence_size, model.core.latent_size)

    def read(scorer: WindowScorer) -> Score:
        return score_text(scorer, ids, args.seed, progress=True)

    result = _summary(scoring.score(model, samples, read), len(ids))
    result["log_prob_samples"] = samples if model.core.latent_size else 1
    result["num_chars"] = len(ids)
    result["oov_share"] = model.vocabulary.count_oov(ids) / len(ids)
    if model.has_sequence_latent:
        width, rows = hparams.sequence_size, hparams.batch_size
        parts = scoring.separate_windows(ids, [(0, len(ids))], width, rows)
        result |= latent_usage(model, parts, args.seed)._asdict()
    return result


def _summary(score: Score, num_chars: int) -> dict[str, float]:
    """Returns a text's score per character, in nats unless its name says otherwise."""
    nats = float(-score.best / num_chars)
    return {
        "nats_per_char": nats,
        "bits_per_char": nats / math.log(2),
        "perplexity": float(np.exp(nats)),
        "elbo": float(score.elbo / num_chars),
        "kl": float(score.kl / num_chars),
        "log_prob": float(score.bound / num_chars),
    }
