# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write your own core
#
# A core says how x_t depends on the past. We write one that is not in the library: it looks back by
# a convolution over the last K contexts, instead of a recurrent state. It has no latent variables;
# [cores](../cores.md#a-core-of-your-own) has one with them.
#
# Two methods are the whole definition: `initial_state` and `step`. `unroll` is for speed.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import vaeseq
from vaeseq import codec
from vaeseq.context import core_part

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
SERIES, EPOCHS = (24, 1) if SMOKE else (512, 6)
LOOK_BACK = 16


class LookBack(vaeseq.VAECore):
    """p(x_t | c_{t-K+1}, ..., c_t): dense layers on a window of contexts."""

    def __init__(self, hparams, encoder, decoder, name=None):
        super().__init__(hparams, encoder, decoder, name=name)
        self.latent_size = 0
        units = hparams.rnn_hidden_sizes[-1]
        self.window = keras.layers.Conv1D(units, LOOK_BACK, activation="relu")
        self.mix = keras.layers.Dense(units, activation="relu")
        self.context_size = hparams.obs_encoder_fc_layers[-1]  # without inputs and gaps

    def initial_state(self, batch_size):
        """Returns the K - 1 contexts before the first, zeros."""
        return tf.zeros([batch_size, LOOK_BACK - 1, self.context_size])

    def step(self, context, state, noise, *, evidence=None, latents=None):
        """Computes one step: the definition of the core."""
        c = vaeseq.concat(core_part(context))  # [B, C]
        window = tf.concat([state, c[:, None]], axis=1)  # [B, K, C]
        d = self.mix(self.window(window))[:, 0]
        return self._explain(self.decoder, context, d, noise), window[:, 1:]

    def _explain(self, decode, context, d, noise):
        empty = vaeseq.Gaussian.standard_like(noise)  # no latents
        params = decode(self.decoder_features(d, context))
        return vaeseq.Step(params, noise, empty, empty)


vaeseq.VAE_TYPES["LOOKBACK"] = LookBack

# %% [markdown]
# ## It already works
#
# `step` is enough: the library scans it over time to train, generates by it, and forecasts.

# %%


class Series(vaeseq.ModelBase):
    """Series of one number."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([1]))


rng = np.random.default_rng(0)
time_steps = np.arange(60)
phase, period = rng.uniform(0, 6, [SERIES, 1]), rng.uniform(8, 14, [SERIES, 1])
clean = np.sin(2 * np.pi * time_steps / period + phase)
series = (clean + 0.2 * rng.normal(size=clean.shape))[..., None].astype(np.float32)
train, test = series[:-8], series[-8:]

hparams = vaeseq.HParams(
    vae_type="LOOKBACK",
    rnn_hidden_sizes=(64,),
    obs_encoder_fc_layers=(16,),
    obs_decoder_fc_hidden_layers=(64,),
    learning_rate=4e-3,
)
keras.utils.set_random_seed(0)
scanned = Series(hparams)
print(scanned.log_prob(test).numpy().round(1))

# %% [markdown]
# ## Faster: `unroll`
#
# Nothing here waits for a sample, so all windows of a sequence are one convolution. `unroll`
# returns what scanning `step` returns, and a test should hold it to that.

# %%


class FastLookBack(LookBack):
    """The same model, all steps at once."""

    def unroll(self, contexts, state, noise, evidence=None, latents=None):
        c = vaeseq.concat(core_part(contexts))  # [B, T, C]
        padded = tf.concat([state, c], axis=1)  # [B, K - 1 + T, C]
        d = self.mix(self.window(padded))  # [B, T, D]
        starts = tf.range(tf.shape(c)[1])[:, None] + tf.range(1, LOOK_BACK)
        states = tf.gather(padded, starts, axis=1)  # after each step, [B, T, K - 1, C]
        return self._explain(self.decode, contexts, d, noise), states


vaeseq.VAE_TYPES["FASTLOOKBACK"] = FastLookBack
keras.utils.set_random_seed(0)
fused = Series(hparams.replace(vae_type="FASTLOOKBACK"))
np.testing.assert_allclose(scanned.log_prob(test), fused.log_prob(test), rtol=1e-4)


def seconds_per_step(model):
    """Returns the time of a training step, after compilation."""
    model.compile()
    model.fit(train[:16], batch_size=16, verbose=0)
    began = time.perf_counter()
    model.fit(train[:16], batch_size=16, epochs=5, verbose=0)
    return (time.perf_counter() - began) / 5


times = {"step, scanned": seconds_per_step(scanned), "unroll": seconds_per_step(fused)}
print({name: f"{1000 * value:.0f} ms" for name, value in times.items()})

# %% [markdown]
# ## Is it any good?
#
# Beside an `RNN` of as many units, with the same data, encoder and decoder:

# %%
models = {}
for name in ("FASTLOOKBACK", "RNN"):
    keras.utils.set_random_seed(0)
    models[name] = Series(hparams.replace(vae_type=name))
    models[name].compile()
    models[name].fit(train, batch_size=16, epochs=EPOCHS, verbose=0)
    print(f"{name:13} {-np.mean(models[name].log_prob(test)) / 60:.3f} nats per step")

figure, panels = plt.subplots(2, sharex=True, figsize=(9, 4))
for axes, (name, model) in zip(panels, models.items(), strict=True):
    forecast = model.forecast(test[:1, :36], 24, 20 if SMOKE else 200)
    vaeseq.plot_fan(axes, test[0, :36, 0], forecast[:, 0, :, 0], future=test[0, 36:, 0])
    axes.set_title(name, loc="left")
figure.tight_layout()

# %% [markdown]
# Nearly: from its window it has to find out the period, which a recurrent network may remember.
#
# ## Next
#
# `tests/vae/test_cores.py` in the repository holds every entry of `VAE_TYPES` to the laws of a
# core: causality, equal results of `step` and `unroll`, finite gradients, and more. Add yours
# there. [The reference](../api/vaeseq.VAECore) has all methods that a core can override.
