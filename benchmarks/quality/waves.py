"""The README's example: how good a first forecast is, as numbers and as a figure.

    python -m benchmarks.quality.waves --figure docs/waves.png

Sine waves of random phases, three in each sequence. A model trains for 5 epochs of 64 steps, and
forecasts the last 30 steps of held-out sequences from their first 20.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

import vaeseq
from benchmarks.timing import print_table
from vaeseq import codec, metrics

PAST, FUTURE, SAMPLES = 20, 30, 20
HPARAMS = vaeseq.HParams(
    vae_type="SRNN", latent_size=8, learning_rate=3e-3, learning_rate_decay_steps=320
)


class Waves(vaeseq.ModelBase):
    """Sequences of three real numbers, [B, T, 3]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder(event_shape=[3]))


def make_data():
    phases = np.random.default_rng(0).uniform(0, 6, size=[576, 1, 3])
    observed = np.sin(phases + np.arange(PAST + FUTURE)[:, None] / 3)
    return observed[:512], observed[512:]


def train(hparams, train_data, test_data):
    """Returns a trained model, and the validation loss after each epoch."""
    keras.utils.set_random_seed(hparams.seed)  # of the order of the rows
    model = Waves(hparams)
    model.compile()
    history = model.fit(
        train_data, batch_size=8, epochs=5, validation_data=test_data, verbose=0
    ).history
    return model, history["val_loss"]


def measure(model, val_loss, test):
    futures = model.forecast(test[:, :PAST], FUTURE, SAMPLES)
    error = np.abs(futures.mean(axis=0) - test[:, PAST:]).mean()
    score = metrics.crps(futures, test[:, PAST:]).mean()
    falls = "yes" if np.all(np.diff(val_loss) < 0) else "no"
    losses = " ".join(f"{x:.2f}" for x in val_loss)
    return futures, [losses, falls, f"{error:.3f}", f"{score:.3f}"]


def draw(path, futures, test):
    """Plots the first component of three sequences."""
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    for row, axes in enumerate(figure.subplots(3, 1, sharex=True)):
        vaeseq.plot_fan(
            axes, test[row, :PAST, 0], futures[:, row, :, 0], future=test[row, PAST:, 0]
        )
        axes.set(ylim=(-1.8, 1.8))
        if row:
            axes.get_legend().remove()
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", help="PNG file to write")
    args = parser.parse_args()
    train_data, test = make_data()
    zeros = np.abs(test[:, PAST:]).mean()
    rows = [["zeros", "", "", f"{zeros:.3f}", f"{zeros:.3f}"]]
    for seed in range(args.seeds):
        model, val_loss = train(HPARAMS.replace(seed=seed), train_data, test)
        futures, row = measure(model, val_loss, test)
        rows.append([f"SRNN, seed {seed}", *row])
        if args.figure and seed == 0:
            draw(args.figure, futures, test)
    print_table(["forecast", "validation loss", "falls", "mean abs. error", "CRPS"], rows)


if __name__ == "__main__":
    main()
