"""Measures a training step of piano rolls by the distribution of a frame.

    python -m benchmarks.speed.midi_decoders

Sequences of 32 x 64 frames of 88 keys, an LSTM of 256 units, 2 to 8 notes in each frame. Yardstick:
the same model with independent keys, whose step is in the same table.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.timing import medians, print_table
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel

KEYS = 88
HPARAMS = MidiHParams(
    batch_size=32,
    sequence_size=64,
    rnn_hidden_sizes=(256,),
    obs_encoder_fc_layers=(256,),
    velocity_levels=0,
    check_numerics=False,
)
CONTENDERS = {
    "independent keys": "decoder=keys",
    "NADE": "decoder=nade,interval_units=0",
    "NADE with intervals and recalls": "decoder=nade",
}


def random_rolls(batch, time):
    """Returns frames of 2 to 8 notes, most of them of 4."""
    rng = np.random.default_rng(0)
    counts = rng.choice(
        [2, 3, 4, 5, 6, 8], p=[0.05, 0.15, 0.7, 0.06, 0.03, 0.01], size=batch * time
    )
    rolls = np.zeros([batch * time, KEYS], np.uint8)
    for frame, count in zip(rolls, counts, strict=True):
        frame[rng.choice(np.arange(20, 60), count, replace=False)] = 1
    return rolls.reshape(batch, time, KEYS)


def step_of(hparams):
    """Returns a function that trains a model for one step."""
    model = MidiModel(hparams, KEYS)
    model.compile()
    observed = tf.constant(random_rolls(hparams.batch_size, hparams.sequence_size))
    step = tf.function(model.train_step, autograph=False)
    return lambda: step(observed)["loss"].numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of each contender")
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    args = parser.parse_args()
    contenders = {
        name: step_of(HPARAMS.parse(text).parse(args.hparams)) for name, text in CONTENDERS.items()
    }
    seconds = medians(contenders, args.rounds)
    independent = seconds["independent keys"]
    rows = [[name, f"{s:.3f}", f"{s / independent:.2f}"] for name, s in seconds.items()]
    print_table(["one training step", "s", "x independent keys"], rows)


if __name__ == "__main__":
    main()
