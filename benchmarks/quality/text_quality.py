"""Measures validation nats per character against training time, with the defaults of vaeseq-text.

    python -m benchmarks.quality.text_quality --data tinyshakespeare.txt

The last tenth of the text is held out, as in the literature. Each model is first timed, to set the
number of steps that fits the budget, because the learning rate decays over all steps. The time
shown includes tracing but not validation. Cores with latents show a bound and the ELBO.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from benchmarks.timing import print_table
from vaeseq.examples.text import data
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel, score_text
from vaeseq.model import scoring
from vaeseq.training.loop import batches_by_step

_CALIBRATION_STEPS = 40


def make(hparams, vocabulary):
    """Returns a compiled model."""
    keras.utils.set_random_seed(hparams.seed)
    model = TextModel(hparams, vocabulary)
    model.compile()
    return model


def fit(model, ids, steps):
    """Trains for a number of steps; returns the seconds it took."""
    hparams = model.hparams
    sizes = hparams.batch_size, hparams.sequence_size

    def batch(step):
        return data.window_batch(ids, step, *sizes, hparams.seed)

    start = time.perf_counter()
    model.fit(batches_by_step(batch, 0, steps), shuffle=False, verbose=0)
    return time.perf_counter() - start


def row(hparams, vocabulary, train, valid, seconds):
    """Trains a model for about that many seconds; returns its row of the table."""
    model = make(hparams, vocabulary)
    tracing = fit(model, train, 1)
    per_step = fit(model, train, _CALIBRATION_STEPS) / _CALIBRATION_STEPS
    steps = max(1, int((seconds - tracing) / per_step))
    model = make(hparams.replace(learning_rate_decay_steps=steps), vocabulary)
    took = fit(model, train, steps)
    samples = hparams.log_prob_samples
    score = scoring.score(model, samples, lambda scorer: score_text(scorer, valid))
    return [
        hparams.vae_type,
        f"{seconds}",
        f"{took:.0f}",
        f"{steps}",
        f"{-score.bound / len(valid):.4f}",
        f"{-score.elbo / len(valid):.4f}",
        f"{score.kl / len(valid):.4f}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="tinyshakespeare.txt, or another text")
    parser.add_argument(
        "--runs",
        nargs="+",
        default=["RNN:95", "RNN:600", "ISEQ:600", "SRNN:600"],
        metavar="VAE_TYPE:SECONDS",
        help="the cores to train, each with its budget",
    )
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    args = parser.parse_args()
    text = data.file_text(args.data, "--data")
    vocabulary = data.Vocabulary.from_counts(data.count(text), 5000, 1)
    ids = vocabulary.encode("".join(text()))
    train, valid = ids[: len(ids) * 9 // 10], ids[len(ids) * 9 // 10 :]
    rows = []
    for run in args.runs:
        vae_type, _, seconds = run.partition(":")
        hparams = TextHParams().parse(args.hparams).replace(vae_type=vae_type)
        rows.append(row(hparams, vocabulary, train, valid, int(seconds)))
        print(rows[-1], flush=True)
    header = ["core", "budget, s", "training, s", "steps", "bound, nats/char", "-ELBO", "KL"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
