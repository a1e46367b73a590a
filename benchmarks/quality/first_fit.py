"""Which weight of the KL a first, short `fit` needs: val_loss and forecasts by the schedule.

    python -m benchmarks.quality.first_fit

A first `fit` may have eight updates or a thousand. Each model, with the default hyperparameters but
8 latents, is trained on 256 sequences of 50 steps, and measured on 256 others:

* val_loss, the negative ELBO per time step with the full weight of the KL;
* the mean absolute error of the forecast of the last 30 steps from the first 20, the mean of 20
  sampled futures. The row `mean` is the error of the mean of the data, 0 or 1/2.

The tasks: `waves` are three sines of random phases, those of the README; `bits` are the signs of
a sine of random phase, of which 10% are flipped.
"""

import argparse
import os
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import vaeseq
from benchmarks.timing import print_table
from vaeseq import codec

SEQUENCES, STEPS, KNOWN, FUTURES = 256, 50, 20, 20
FLIPPED = 0.1  # of the bits
SCHEDULES = {
    "constant": "divergence_schedule=constant",
    "gompertz 1e-5, 500": (
        "divergence_schedule=gompertz,divergence_strength_start=1e-5,divergence_strength_half=500"
    ),
    "gompertz 0.1, 200": (
        "divergence_schedule=gompertz,divergence_strength_start=0.1,divergence_strength_half=200"
    ),
    "linear 100": "divergence_schedule=linear,divergence_strength_half=100",
}
CORES = ["SRNN", "SEQVAE", "ISEQ"]


class Waves(vaeseq.ModelBase):
    """The model of the README's first example: observations [B, T, 3]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder(event_shape=[3]))


class Bits(vaeseq.ModelBase):
    """Binary observations [B, T]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())


def make_waves(rng):
    """Returns sines of random phases, [B, T, 3]."""
    phases = rng.uniform(0, 2 * np.pi, size=[SEQUENCES, 1, 3])
    return np.sin(phases + np.arange(STEPS)[:, None] / 3)


def make_bits(rng):
    """Returns the signs of sines of random phases, some of them flipped, [B, T]."""
    phases = rng.uniform(0, 2 * np.pi, size=[SEQUENCES, 1])
    signs = np.sin(phases + np.arange(STEPS) / 2) > 0
    return (signs ^ (rng.random(signs.shape) < FLIPPED)).astype(np.int32)


class Task(NamedTuple):
    """A kind of sequences, its model, and the mean of the data."""

    make: Callable
    model: type
    mean: float


TASKS = {"waves": Task(make_waves, Waves, 0.0), "bits": Task(make_bits, Bits, 0.5)}


def forecast_error(model, observed):
    """Returns the mean absolute error of the mean of sampled futures."""
    state = model.prime(observed[:, :KNOWN], FUTURES)
    futures = model.generate(sequence_size=STEPS - KNOWN, state=state).numpy()
    futures = futures.reshape(len(observed), FUTURES, *futures.shape[1:])
    return np.abs(futures.mean(axis=1) - observed[:, KNOWN:]).mean()


def measure(task, hparams, updates):
    """Trains a model; returns val_loss and the error of the forecast after some updates."""
    rng = np.random.default_rng(hparams.seed)
    observed, held_out = task.make(rng), task.make(rng)
    keras.utils.set_random_seed(hparams.seed)
    model = task.model(hparams)
    model.compile()
    losses, errors, epochs = [], [], 0
    for steps in updates:
        until = steps * hparams.batch_size // SEQUENCES
        model.fit(observed, epochs=until, initial_epoch=epochs, verbose=0)
        epochs = until
        losses.append(model.evaluate(held_out, verbose=0, return_dict=True)["loss"])
        errors.append(forecast_error(model, held_out))
    return losses, errors


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--cores", nargs="+", choices=CORES, default=CORES)
    parser.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    parser.add_argument(
        "--steps", nargs="+", type=int, default=[8, 40, 200], help="updates; rising, multiples of 8"
    )
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main():
    args = parse_arguments()
    header = [*(f"val_loss, {n}" for n in args.steps), *(f"error, {n}" for n in args.steps)]
    rows = []
    for name in args.tasks:
        task = TASKS[name]
        observed = task.make(np.random.default_rng(args.seed))
        of_mean = f"{np.abs(task.mean - observed[:, KNOWN:]).mean():.2f}"
        rows.append([name, "-", "mean", *["-"] * len(args.steps), *[of_mean] * len(args.steps)])
        for core in args.cores:
            for schedule in args.schedules:
                hparams = vaeseq.HParams(vae_type=core, latent_size=8, seed=args.seed)
                losses, errors = measure(task, hparams.parse(SCHEDULES[schedule]), args.steps)
                numbers = [f"{x:.2f}" for x in (*losses, *errors)]
                rows.append([name, core, schedule, *numbers])
                print(*rows[-1], flush=True)
    print_table(["task", "core", "schedule", *header], rows)


if __name__ == "__main__":
    main()
