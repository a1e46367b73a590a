"""Measures the share of training time that saving checkpoints takes.

    python -m benchmarks.speed.checkpoint_cost

Training runs without reports, which would validate and sample.
"""

import argparse
import os
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.timing import print_table
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel
from vaeseq.examples.text.program import REPORT_STEPS
from vaeseq.training.callbacks import Report
from vaeseq.training.checkpoints import CheckpointStore
from vaeseq.training.loop import train
from vaeseq.training.run import Run


class TimedStore(CheckpointStore):
    """A store that measures how long its saves take."""

    def __init__(self, *args):
        super().__init__(*args)
        self.times = []

    def save(self, model):
        start = time.perf_counter()
        super().save(model)
        self.times.append(time.perf_counter() - start)


def make_batches(hparams):
    """Returns a function from a step to a batch of random characters."""

    def batch(step):
        shape = [hparams.batch_size, hparams.sequence_size]
        return np.random.default_rng(step).integers(65, size=shape, dtype=np.int32)

    return batch


def train_and_measure(hparams, steps):
    """Returns the largest checkpoint in bytes, the seconds of each save, and all seconds."""
    keras.utils.set_random_seed(0)
    model = TextModel(hparams, Vocabulary(map(chr, range(64))))
    model.compile()
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder, {"program": "benchmark", "hparams": {}})
        run.checkpoints = TimedStore(run, run.checkpoints.keep)
        report = Report(run, steps, REPORT_STEPS, lambda: {"valid": 0.0}, "valid", dict)
        train(model, make_batches(hparams), report)
        files = run.file("checkpoints").glob("step-*")
        return max(path.stat().st_size for path in files), run.checkpoints.times, run.seconds


def row(name, hparams, steps):
    """Trains a model; returns its row of the table."""
    size, times, seconds = train_and_measure(hparams, steps)
    return [
        name,
        f"{size / 1e6:.1f}",
        f"{1000 * statistics.median(times):.0f}",
        f"{len(times)}",
        f"{seconds:.0f}",
        f"{sum(times) / seconds:.2%}",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="training steps of the default")
    args = parser.parse_args()
    rows = [
        row("1 x 256 (default)", TextHParams(), args.steps),
        row("3 x 512 (2018)", TextHParams(rnn_hidden_sizes=(512,) * 3), args.steps // 4),
    ]
    print_table(["model", "MB", "ms per save", "saves", "training, s", "share of time"], rows)


if __name__ == "__main__":
    main()
