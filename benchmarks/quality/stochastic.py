"""Cores on real-valued series whose future is uncertain: likelihood and forecasts.

    python -m benchmarks.quality.stochastic

`wells` are sequences of 40 steps of a particle in a double-well potential, seen by 6 noisy sensors
that each respond to a part of its positions. Noise makes the particle change wells, so its future
has two modes, and its sensors depend on each other. `exact` knows the system: it filters on a grid.
`vowels` and `power` are real: 640 utterances of 7 to 29 frames with 12 coefficients, and 1,096 days
of the power demand of Italy by the hour. Both come with sktime, which must be installed. A quarter
of them is held out, and elements are standardised.

Nats per step of held-out sequences are bounds with 256 samples for cores with latents. The fair
CRPS is that of forecasts of the last steps with 100 samples, mean over elements and steps. Weights
are those after the last training step, because no validation data choose others. All models see the
previous observation and have the same sizes; `RNN, mixture` has 8 Gaussians for each observation
instead of one.
"""

import argparse
import os
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import vaeseq
from benchmarks.quality import gaps
from benchmarks.quality.double_well import DoubleWell
from benchmarks.quality.seeds import mean_and_range
from benchmarks.timing import print_table
from vaeseq import codec, metrics

FORECASTS, PARTICLES = 100, 256
HPARAMS = gaps.HPARAMS.replace(
    gaps=False,
    divergence_schedule="linear",
    divergence_strength_start=0.1,
    divergence_strength_half=200,
)


class Series(NamedTuple):
    """Sequences of real numbers, padded with zeros."""

    observed: np.ndarray  # [B, T, E]
    lengths: np.ndarray  # [B]

    def shortened(self, steps):
        """Returns the sequences without their last steps, and these steps, [B, steps, E]."""
        lengths = self.lengths - steps
        at = lengths[:, None] + np.arange(steps)
        future = np.take_along_axis(self.observed, at[..., None], axis=1)
        return Series(self.observed[:, : lengths.max()], lengths), future


class Data(NamedTuple):
    """A task: two sets of series, the steps to forecast, the training steps, what is known."""

    train: Series
    test: Series
    ahead: int
    steps: int
    system: DoubleWell | None = None


class Model(vaeseq.ModelBase):
    """Real observations [B, T, E], from independent Gaussians or from a mixture of 8."""

    def __init__(self, hparams, elements, mixture):
        self.elements, self.mixture = elements, mixture
        super().__init__(hparams)

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        normal = codec.NormalDecoder([self.elements])
        return codec.MLPObsDecoder(
            self.hparams, codec.MixtureDecoder(normal, 8) if self.mixture else normal
        )


def load_wells():
    system, rng = DoubleWell(), np.random.default_rng(0)
    train, test = (system.sample(rng, n, 40) for n in (2048, 256))
    series = (Series(x.astype(np.float32), np.full(len(x), x.shape[1])) for x in (train, test))
    return Data(*series, ahead=10, steps=2000, system=system)


def load_real(name, steps):
    """Returns series of `benchmarks.quality.gaps` without the gaps."""
    data = gaps.LOADERS[name](np.random.default_rng(0))
    series = (Series(x.observed.astype(np.float32), x.lengths) for x in (data.train, data.test))
    return Data(*series, data.ahead, steps)


LOADERS = {
    "wells": load_wells,
    "vowels": lambda: load_real("vowels", 1500),
    "power": lambda: load_real("power", 1500),
}
MODELS = ("RNN", "RNN, mixture", "ISEQ", "SRNN", "VRNN", "DKF")


def measure(data, name, seed, args):
    """Trains and tests a model; returns nats per step and CRPS."""
    core, *mixture = name.split(", ")
    steps = args.steps or data.steps
    hparams = HPARAMS.parse(args.hparams).replace(vae_type=core, seed=seed)
    hparams = hparams.replace(learning_rate_decay_steps=steps)
    keras.utils.set_random_seed(seed)
    model = Model(hparams, data.train.observed.shape[-1], bool(mixture))
    model.compile()
    per_epoch = -(-len(data.train.lengths) // hparams.batch_size)
    batch = data.train._asdict()
    model.fit(batch, batch_size=hparams.batch_size, epochs=-(-steps // per_epoch), verbose=0)
    log_prob = 0.0
    for start in range(0, len(data.test.lengths), 64):
        rows = Series(*(x[start : start + 64] for x in data.test))
        log_prob += float(
            np.sum(model.log_prob(*rows[:1], lengths=rows.lengths, num_samples=PARTICLES))
        )
    past, future = data.test.shortened(data.ahead)
    futures = model.forecast(past.observed, data.ahead, FORECASTS, lengths=past.lengths)
    crps = float(np.mean(metrics.crps(np.asarray(futures), future, fair=True)))
    return -log_prob / data.test.lengths.sum(), crps


def exact(data):
    """Returns nats per step and CRPS of the exact filter."""
    rng = np.random.default_rng(1)
    nats = -np.mean(data.system.log_prob(data.test.observed)) / data.test.observed.shape[1]
    past, future = data.test.shortened(data.ahead)
    futures = data.system.forecast(rng, past.observed, data.ahead, FORECASTS)
    return nats, float(np.mean(metrics.crps(futures, future, fair=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, help="training steps (default: by the data)")
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    args = parser.parse_args()
    rows = []
    for name in args.data:
        data = LOADERS[name]()
        if data.system:
            rows.append([name, "exact", *(f"{x:.3f}" for x in exact(data))])
            print(*rows[-1], flush=True)
        for model in args.models:
            results = [measure(data, model, seed, args) for seed in args.seeds]
            rows.append([name, model, *map(mean_and_range, zip(*results, strict=True))])
            print(*rows[-1], flush=True)
    print_table(["data", "model", "nats per step", "CRPS"], rows)


if __name__ == "__main__":
    main()
