"""Measures the time to generate 32 x 1000 characters with 3 LSTM layers of 512.

    python -m benchmarks.speed.generate

Yardstick: the matrix products of the same steps, one after another as in the recurrence.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.speed.train_step import HPARAMS_2018
from benchmarks.timing import medians, print_table
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.model import TextModel

BATCH, LENGTH = 32, 1000


def products(model):
    """Returns a function that computes x W for every weight matrix of a step, for all steps."""
    weights = [w.value for w in model.weights if len(w.shape) == 2 and "embeddings" not in w.name]

    @tf.function(autograph=False)
    def run(scale):
        def body(t, total):
            for weight in weights:
                x = tf.fill([BATCH, weight.shape[0]], total)
                total = 1e-3 * (x @ weight)[0, 0]  # each product waits for the one before
            return t + 1, total

        return tf.while_loop(lambda t, _: t < LENGTH, body, (0, scale))[1]

    return lambda: run(tf.constant(1.0)).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each contender")
    args = parser.parse_args()
    model = TextModel(HPARAMS_2018, Vocabulary(map(chr, range(33, 133))))
    contenders = {
        "vaeseq generate": lambda: model.generate(BATCH, LENGTH).numpy(),
        "matrix products alone": products(model),
    }
    seconds = medians(contenders, args.rounds)
    unit = seconds["matrix products alone"]
    rows = [
        [name, f"{s:.2f}", f"{BATCH * LENGTH / s:,.0f}", f"{s / unit:.2f}"]
        for name, s in seconds.items()
    ]
    print_table([f"{BATCH} x {LENGTH} characters", "s", "characters/s", "x products"], rows)


if __name__ == "__main__":
    main()
