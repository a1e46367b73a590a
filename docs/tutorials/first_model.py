# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your first model: series with gaps
#
# Real-valued series of which a fifth is missing: we train a model, forecast, and ask whether the
# forecasts are honest.
#
# ## The data
#
# Each series is a daily cycle with a strength, a time and a level of its own, and noise that
# remembers the hours before. Outages of a few hours are missing.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec, metrics

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
SERIES, HELD_OUT, EPOCHS, SAMPLES = (32, 8, 1, 10) if SMOKE else (704, 64, 25, 100)
PAST, FUTURE = 72, 24
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)


def make_series(count):
    """Returns series [count, PAST + FUTURE, 1]."""
    hours = np.arange(PAST + FUTURE)
    strength, level = rng.uniform(0.5, 1.5, [count, 1]), rng.normal(size=[count, 1])
    noise = rng.normal(size=[count, PAST + FUTURE]) / 10
    for t in range(1, PAST + FUTURE):
        noise[:, t] += 0.9 * noise[:, t - 1]
    cycle = np.sin(2 * np.pi * hours / 24 + rng.uniform(0, 6, [count, 1]))
    return (level + strength * cycle + noise)[..., None].astype(np.float32)


def with_outages(series):
    """Returns the series with NaN where outages of four hours are."""
    starts = rng.random(series.shape[:2]) < 0.055
    missing = np.copy(starts)
    for hours in range(1, 4):
        missing[:, hours:] |= starts[:, :-hours]
    return np.where(missing[..., None], np.nan, series)


complete = make_series(SERIES)
observed = with_outages(complete)
train, test = observed[:-HELD_OUT], observed[-HELD_OUT:]
print(f"{np.isnan(observed).mean():.0%} of the values are missing")

figure, axes = plt.subplots(figsize=(9, 2.5))
axes.plot(test[:3, :, 0].T, ".-", markersize=3)
_ = axes.set(xlabel="hour")

# %% [markdown]
# ## The model
#
# You write an encoder and a decoder. The decoder says which distribution an observation has: here a
# normal one for each number. `gaps=True` shows the model what is missing, so that no zero is
# mistaken for a measurement. `RNN` is the core to start with: it has no latent variables, and its
# likelihood is exact.

# %%


class Series(vaeseq.ModelBase):
    """Series of one number."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([1]))


hparams = vaeseq.HParams(
    vae_type="RNN",
    rnn_hidden_sizes=(64,),
    obs_encoder_fc_layers=(64,),
    obs_decoder_fc_hidden_layers=(64,),
    gaps=True,
    learning_rate=8e-3,
    learning_rate_decay_steps=EPOCHS * len(train) // 16,
)
model = Series(hparams)
model.compile()


def as_batch(series):
    """Returns what `fit` takes."""
    return {"observed": series, "observed_mask": ~np.isnan(series)}


history = model.fit(
    as_batch(train), batch_size=16, epochs=EPOCHS, validation_data=as_batch(test), verbose=0
).history
figure, axes = plt.subplots(figsize=(6, 2.5))
axes.plot(history["loss"], label="training")
axes.plot(history["val_loss"], label="held-out series")
axes.set(xlabel="epoch", ylabel="nats per hour")
_ = axes.legend()

# %% [markdown]
# The loss is -log p(x) of what was observed, in nats per hour. That of held-out series falls with
# that of the training: the model has learned what all series have in common.
#
# ## Forecasts
#
# `forecast` samples futures of series of which a part is missing. Its score is the CRPS, the
# absolute error of a forecast that is a distribution ([definition](../api/vaeseq.metrics.crps)):
# lower is better. Compare with what you can say in a line: the same hour of yesterday, or the mean
# of the series, each with the errors that it has in the training series.

# %%
past, future = test[:, :PAST], complete[-HELD_OUT:, PAST:]
forecast = model.forecast(past, FUTURE, SAMPLES, observed_mask=~np.isnan(past))  # [N, B, 24, 1]
yesterday = complete[:, PAST - FUTURE : PAST]  # as if nothing were missing
mean = np.nanmean(observed[:, :PAST], axis=1, keepdims=True)
print(f"CRPS of the model        {metrics.crps(forecast, future).mean():.3f}")
for name, guess in (("yesterday       ", yesterday), ("the series' mean", mean)):
    errors = (complete[:, PAST:] - guess)[:-HELD_OUT]
    spread = np.quantile(errors, np.linspace(0.005, 0.995, 100))
    naive = guess[-HELD_OUT:] + spread[:, None, None, None]  # [100, B, 24 or 1, 1]
    score = metrics.crps(np.broadcast_to(naive, [100, *future.shape]), future).mean()
    print(f"CRPS of {name} {score:.3f}")

figure, panels = plt.subplots(3, sharex=True, figsize=(9, 6))
for row, axes in enumerate(panels):
    vaeseq.plot_fan(axes, past[row, :, 0], forecast[:, row, :, 0], future=future[row, :, 0])

# %% [markdown]
# ## Are they honest?
#
# Of a calibrated forecast, the interval of level p contains a share of p of what happens. Below the
# diagonal the model is too certain, above it too careful. This one is honest:

# %%
levels = np.array([0.2, 0.4, 0.6, 0.8])
shares = metrics.coverage(forecast, future, levels)
figure, axes = plt.subplots(figsize=(3.5, 3.5))
axes.plot([0, 1], [0, 1], ":", color="grey")
axes.plot(levels, shares, "o-")
axes.set(xlabel="level of the interval", ylabel="share that it contains")
print({float(level): f"{share:.0%}" for level, share in zip(levels, shares, strict=True)})

# %% [markdown]
# ## Next
#
# * Another distribution: [write your own](own_distribution.py).
# * Another core: [which core?](which_core.py)
# * Filling gaps: `impute`, and which models are good at it
#   ([gaps](../trained_models.md#gaps)).
# * Your own CSV file: [quick start](../quickstart.md).
