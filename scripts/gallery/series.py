"""Learns series with outages, fills the gaps of held-out ones, and forecasts them.

python -m scripts.gallery.series --out runs/gallery/series.png
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

import vaeseq
from vaeseq import codec, metrics

PAST, FUTURE, OUTAGE, SAMPLES = 72, 24, 8, 200  # hours, hours, hours, and samples
SERIES, HELD_OUT, SHOWN, BATCH = 1024, 64, 3, 16


class Series(vaeseq.ModelBase):
    """Series of one number."""

    def make_encoder(self):
        """Returns an MLP."""
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        """Returns a normal distribution."""
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([1]))


def make_series(count, rng):
    """Returns daily cycles with noise that remembers the hours before, [count, hours, 1]."""
    hours = np.arange(PAST + FUTURE)
    strength, level = rng.uniform(0.5, 1.5, [count, 1]), rng.normal(size=[count, 1])
    noise = rng.normal(size=[count, PAST + FUTURE]) / 10
    for t in range(1, PAST + FUTURE):
        noise[:, t] += 0.9 * noise[:, t - 1]
    cycle = np.sin(2 * np.pi * hours / 24 + rng.uniform(0, 6, [count, 1]))
    return (level + strength * cycle + noise)[..., None].astype(np.float32)


def outages(count, rng):
    """Returns which of the values are observed: bool [count, hours, 1]."""
    starts = rng.random([count, PAST + FUTURE]) < 0.04
    missing = np.copy(starts)
    for hour in range(1, OUTAGE):
        missing[:, hour:] |= starts[:, :-hour]
    return ~missing[..., None]


def train(steps, seed):
    """Returns a trained model, and the minutes that training took."""
    hparams = vaeseq.HParams(
        vae_type="RNN",
        gaps=True,
        rnn_hidden_sizes=(64,),
        obs_encoder_fc_layers=(64,),
        obs_decoder_fc_hidden_layers=(64,),
        learning_rate=8e-3,
        learning_rate_decay_steps=steps,
        seed=seed,
    )
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(seed)
    model = Series(hparams)
    model.compile()
    observed, mask = make_series(SERIES, rng), outages(SERIES, rng)
    start = time.perf_counter()
    batches = {"observed": np.where(mask, observed, 0), "observed_mask": mask}
    model.fit(batches, batch_size=BATCH, epochs=-(-steps * BATCH // SERIES), verbose=0)
    return model, (time.perf_counter() - start) / 60


def main():
    """Trains, plots and prints how good imputations and forecasts of held-out series are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="series.png", help="the picture, a PNG file")
    parser.add_argument("--steps", type=int, default=1500, help="of training")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    model, minutes = train(args.steps, args.seed)
    rng = np.random.default_rng(args.seed + 10**6)
    series = make_series(HELD_OUT, rng)
    past, future = series[:, :PAST], series[:, PAST:]
    mask = outages(HELD_OUT, rng)[:, :PAST]
    seen = np.where(mask, past, 0)
    filled = np.asarray(model.impute(seen, mask, SAMPLES))  # [N, B, PAST, 1]
    futures = np.asarray(model.forecast(seen, FUTURE, SAMPLES, observed_mask=mask))
    print(f"trained for {args.steps} steps, {minutes:.1f} minutes")
    report("imputed", filled[..., ~mask[..., 0], :], past[~mask[..., 0]])
    report("forecast", futures, future)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    plot(np.where(mask, past, np.nan), series, filled, futures).savefig(args.out, dpi=80)


def report(what, samples, truth):
    """Prints the CRPS of samples, and how often what happened is in the interval of 90%."""
    share = metrics.coverage(samples, truth, np.array([0.9]))
    print(f"{what}: CRPS {metrics.crps(samples, truth).mean():.3f}, 90% contains {share[0]:.0%}")


def plot(seen, series, filled, futures):
    """Returns a figure of the first series, a row for each."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    hours = np.arange(PAST)
    for row, axes in enumerate(figure.subplots(SHOWN, sharex=True)):
        vaeseq.plot_fan(axes, seen[row, :, 0], futures[:, row, :, 0], future=series[row, PAST:, 0])
        gaps = np.isnan(seen[row, :, 0])
        gaps[1:-1] |= gaps[2:] | gaps[:-2]  # up to the neighbours of each gap
        low, high = np.quantile(filled[:, row, :, 0], [0.05, 0.95], axis=0)
        style = {"color": "tab:orange", "alpha": 0.4, "label": "gap, 90%"}
        axes.fill_between(hours, low, high, where=gaps, **style)
        axes.plot(hours, np.where(gaps, series[row, :PAST, 0], np.nan), ":", color="black")
        axes.get_legend().remove()
        axes.set(xlabel="")
    axes.set(xlabel="hour")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=6)
    return figure


if __name__ == "__main__":
    main()
