"""Sequences with missing elements: imputation and forecasts, against the Kalman smoother.

    python -m benchmarks.quality.gaps

30% of all elements, chosen at random, are missing in training and in testing. Missing elements
inside held-out sequences are imputed, and steps after the end of shortened ones are forecast, with
100 samples each. RMSE is that of their mean; CRPS is the fair one. For a method that gives one
number, CRPS is the mean absolute error.

The data: `linear` are sequences of 40 steps of a known linear-Gaussian system (`kalman` is exact
and knows the system). `power` are 1,096 days of the power demand of Italy by the hour, and
`vowels` 640 utterances of 7 to 29 frames with 12 coefficients; both come with sktime, which must be
installed. Every quarter of the real series is held out, and elements are standardised.

`mean of each step` is the mean of the training series at each step, such as an hour. `Gaussian` is
one normal distribution of all elements of a series, fitted by EM; for series of equal lengths.

The models: `SRNN` is the default, in which x_t depends on x_{t-1}; in `SRNN, states` it depends on
the latent states alone, because the context has no observations.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import vaeseq
from benchmarks.quality import gaussian, kalman
from benchmarks.timing import print_table
from vaeseq import codec, context, metrics

MISSING, SAMPLES = 0.3, 100
HPARAMS = vaeseq.HParams(
    vae_type="SRNN",
    gaps=True,
    latent_size=8,
    rnn_hidden_sizes=(64,),
    obs_encoder_fc_layers=(64,),
    obs_decoder_fc_hidden_layers=(64,),
    latent_decoder_fc_layers=(64,),
    learning_rate=3e-3,
    learning_rate_end=0.01,
    batch_size=32,
)


class Series(NamedTuple):
    """Sequences of real numbers, some of which are missing."""

    observed: np.ndarray  # [B, T, E]
    lengths: np.ndarray  # [B]
    mask: np.ndarray  # bool [B, T, E]: not missing, and before the end

    def shortened(self, steps):
        """Returns the sequences without their last steps, and these steps, [B, steps, E]."""
        lengths = self.lengths - steps
        at = lengths[:, None] + np.arange(steps)
        before = np.arange(self.observed.shape[1])[:, None] < lengths[:, None, None]
        short = Series(self.observed, lengths, self.mask & before)
        short = Series(*(x[:, : lengths.max()] if x.ndim == 3 else x for x in short))
        return short, np.take_along_axis(self.observed, at[..., None], axis=1)

    def batch(self):
        """Returns what the models train on."""
        return {"observed": self.hidden(), "observed_mask": self.mask, "lengths": self.lengths}

    def hidden(self):
        """Returns the observations without those that are missing."""
        return np.where(self.mask, self.observed, 0.0).astype(np.float32)


class Data(NamedTuple):
    """A task: two sets of series, and the number of steps to forecast."""

    train: Series
    test: Series
    ahead: int
    steps: int  # of training
    hparams: str = ""
    system: kalman.System | None = None


def hide(sequences, rng):
    """Returns series of which some elements are missing; `sequences` is a list of [T, E]."""
    lengths = np.array([len(x) for x in sequences])
    observed = np.zeros([len(lengths), lengths.max(), sequences[0].shape[1]])
    for row, x in zip(observed, sequences, strict=True):
        row[: len(x)] = x
    inside = np.arange(lengths.max()) < lengths[:, None]
    mask = (rng.random(observed.shape) >= MISSING) & inside[..., None]
    return Series(observed, lengths, mask)


def make_system():
    """Returns a damped rotation in the plane with states of variance 1, and three noisy views."""
    damping, angle = 0.95, 0.5
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    emission = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, -0.7]])
    noise = np.full(3, 0.3**2)
    return kalman.System(
        np.eye(2), damping * rotation, (1 - damping**2) * np.eye(2), emission, noise
    )


def load_linear(rng):
    system = make_system()
    train, test = (list(kalman.sample(system, rng, n, 40)) for n in (2048, 512))
    return Data(hide(train, rng), hide(test, rng), ahead=10, steps=2000, system=system)


def split(sequences, rng):
    """Returns standardised series to train on, and a quarter of all that is held out."""
    order = rng.permutation(len(sequences))
    held_out = len(order) // 4
    train, test = ([sequences[i] for i in part] for part in (order[held_out:], order[:held_out]))
    steps = np.concatenate(train)
    train, test = ([(x - steps.mean(0)) / steps.std(0) for x in part] for part in (train, test))
    return hide(train, rng), hide(test, rng)


def load_power(rng):
    from sktime.datasets import load_italy_power_demand

    days, _ = load_italy_power_demand(return_X_y=True, return_type="numpy3D")  # [B, 1, T]
    return Data(*split(list(days.swapaxes(1, 2)), rng), ahead=8, steps=1500)


def load_vowels(rng):
    from sktime.datasets import load_japanese_vowels

    frames, _ = load_japanese_vowels(return_X_y=True, return_type="nested_univ")
    utterances = [np.stack(row, axis=1) for row in frames.to_numpy()]
    # The 12 coefficients need more latents, and are nearly linear in them.
    hparams = "latent_size=32,obs_decoder_fc_hidden_layers=[]"
    return Data(*split(utterances, rng), ahead=5, steps=5000, hparams=hparams)


LOADERS = {"linear": load_linear, "power": load_power, "vowels": load_vowels}


class Autoregressive(vaeseq.ModelBase):
    """Real observations [B, T, E]; x_t depends on the latents and on x_1:t-1."""

    def __init__(self, hparams, elements):
        self.elements = elements
        super().__init__(hparams)

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([self.elements]))


class States(Autoregressive):
    """x_t depends on the latents alone."""

    def make_context(self):
        return context.Nothing()


MODELS = {"SRNN": Autoregressive, "SRNN, states": States}


class Method(NamedTuple):
    """Samples of what is missing, [N, B, T, E], and of what comes next, [N, B, steps, E]."""

    impute: Callable
    forecast: Callable


def train(kind, data, args):
    """Trains a model; returns its method."""
    steps = args.steps or data.steps
    hparams = HPARAMS.parse(data.hparams).parse(args.hparams)
    hparams = hparams.replace(seed=args.seed, learning_rate_decay_steps=steps)
    keras.utils.set_random_seed(args.seed)  # of the order of the batches
    model = kind(hparams, data.train.observed.shape[-1])
    model.compile()
    epochs = -(-steps * hparams.batch_size // len(data.train.lengths))
    model.fit(data.train.batch(), batch_size=hparams.batch_size, epochs=epochs, verbose=0)

    def impute(series):
        given = series.hidden(), series.mask
        return np.asarray(model.impute(*given, SAMPLES, lengths=series.lengths))

    def forecast(series, ahead):
        samples = model.forecast(
            series.hidden(), ahead, SAMPLES, lengths=series.lengths, observed_mask=series.mask
        )
        return np.asarray(samples)

    return Method(impute, forecast)


def kalman_method(system, rng):
    """Returns the exact method for sequences of equal lengths."""

    def draw(beliefs):
        means, variances = kalman.observation_moments(system, beliefs)
        return means + np.sqrt(variances) * rng.normal(size=[SAMPLES, *means.shape])

    def impute(series):
        _, filtered = kalman.filter_states(system, series.observed, series.mask)
        return draw(kalman.smooth_states(system, filtered))

    def forecast(series, ahead):
        _, filtered = kalman.filter_states(system, series.observed, series.mask)
        return draw(kalman.forecast_states(system, filtered, ahead))

    return Method(impute, forecast)


def fill(series, inside):
    """Returns [B, T, E]; `inside(t, known, values)` fills one element's series."""
    filled = np.zeros(series.observed.shape)
    t = np.arange(filled.shape[1])
    for b, e in np.ndindex(filled.shape[0], filled.shape[2]):
        known = np.flatnonzero(series.mask[b, :, e])
        if len(known):
            filled[b, :, e] = inside(t, known, series.observed[b, known, e])
    return filled


def last_value(t, known, values):
    """Returns the last known value, or 0, the mean, before the first one."""
    at = np.searchsorted(known, t, side="right")
    return np.concatenate([[0.0], values])[at]


def baseline(inside):
    """Returns a method that fills gaps by a function, and forecasts the last known value."""

    def forecast(series, ahead):
        return np.repeat(fill(series, last_value)[None, :, -1:], ahead, axis=2)

    return Method(lambda series: fill(series, inside)[None], forecast)


BASELINES = {
    "mean": Method(
        lambda series: np.zeros([1, *series.observed.shape]),
        lambda series, ahead: np.zeros([1, len(series.lengths), ahead, series.observed.shape[2]]),
    ),
    "last value": baseline(last_value),
    "linear interpolation": baseline(np.interp),
}


def step_means(train):
    """Returns a method that gives the mean of the training series at each step."""
    means = np.ma.masked_array(train.observed, ~train.mask).mean(axis=0).filled(0.0)  # [T, E]

    def at(steps):
        return means[np.minimum(steps, len(means) - 1)]

    return Method(
        lambda series: np.repeat(
            at(np.arange(series.observed.shape[1]))[None, None], len(series.lengths), axis=1
        ),
        lambda series, ahead: at(series.lengths[:, None] + np.arange(ahead))[None],
    )


def gaussian_method(train, rng):
    """Returns the method of one Gaussian of all elements of a series; all have equal lengths."""
    steps, elements = train.observed.shape[1:]
    fitted = gaussian.fit(*(x.reshape([len(x), -1]) for x in (train.observed, train.mask)))

    def impute(series):
        samples = []
        for x, known in zip(series.observed, series.mask, strict=True):
            given = gaussian.conditional(fitted, x.ravel(), known.ravel())
            samples.append(rng.multivariate_normal(*given, size=SAMPLES))
        return np.stack(samples, axis=1).reshape([SAMPLES, -1, steps, elements])

    def forecast(series, ahead):
        behind = [(0, 0), (0, ahead), (0, 0)]
        padded = Series(
            np.pad(series.observed, behind), series.lengths, np.pad(series.mask, behind)
        )
        return impute(padded)[:, :, -ahead:]

    return Method(impute, forecast)


def score(samples, truth, mask):
    """Returns RMSE, CRPS and the coverage of the 90% interval as text."""
    errors = (samples.mean(axis=0) - truth)[mask]
    crps = np.nanmean(metrics.crps(samples, truth, mask=mask, fair=len(samples) > 1))
    cells = [f"{np.sqrt(np.mean(errors**2)):.3f}", f"{crps:.3f}"]
    if len(samples) == 1:
        return [*cells, "-"]
    return [*cells, f"{metrics.coverage(samples, truth, 0.9, mask=mask):.0%}"]


def measure(method, data):
    """Returns the scores of imputations and forecasts of the held-out series."""
    test = data.test
    inside = np.arange(test.observed.shape[1]) < test.lengths[:, None]
    imputed = score(method.impute(test), test.observed, inside[..., None] & ~test.mask)
    short, future = test.shortened(data.ahead)
    return imputed + score(method.forecast(short, data.ahead), future, np.ones(future.shape, bool))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=LOADERS, default=list(LOADERS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=list(MODELS))
    parser.add_argument("--steps", type=int, help="training steps (default: by the data)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hparams", default="", help="hyperparameters to change")
    return parser.parse_args()


def main():
    args = parse_arguments()
    rows = []
    for name in args.data:
        rng = np.random.default_rng(args.seed)
        data = LOADERS[name](rng)
        methods = BASELINES | {"mean of each step": step_means(data.train)}
        if data.system:
            methods["Kalman"] = kalman_method(data.system, rng)
        elif len(set(data.train.lengths)) == 1:
            methods["Gaussian"] = gaussian_method(data.train, rng)
        rows += [[name, label, *measure(each, data), "-"] for label, each in methods.items()]
        for label in args.models:
            start = time.perf_counter()
            method = train(MODELS[label], data, args)
            seconds = time.perf_counter() - start
            rows.append([name, label, *measure(method, data), f"{seconds:.0f}"])
            print(*rows[-1], flush=True)
    figures = [f"{what} {x}" for what in ("imputed:", "forecast:") for x in ("RMSE", "CRPS", "90%")]
    print_table(["data", "method", *figures, "training, s"], rows)


if __name__ == "__main__":
    main()
