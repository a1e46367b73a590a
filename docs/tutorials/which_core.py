# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Which core?
#
# A small world whose likelihood is known exactly, and seven models of it. It shows when latent
# variables are needed and what else helps; [cores](../cores.md#which-one) has the list by which to
# decide.
#
# ## The data
#
# A hidden switch is up or down, and flips with a probability of 0.1. Two sensors see it, each with
# noise of its own. Before a flip is seen nobody knows of it, so the next observation is near one
# corner or near the other: both numbers change together.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
SEQUENCES, EPOCHS = (24, 1) if SMOKE else (512, 6)
STEPS, FLIP, NOISE = 30, 0.1, 0.3
rng = np.random.default_rng(0)


def make_sequences(count):
    """Returns sequences of two numbers [count, STEPS, 2]."""
    flips = rng.random([count, STEPS]) < np.where(np.arange(STEPS) == 0, 0.5, FLIP)
    switch = 1.0 - 2.0 * (flips.cumsum(axis=1) % 2)
    return (switch[..., None] + NOISE * rng.normal(size=[count, STEPS, 2])).astype(np.float32)


train, test = make_sequences(SEQUENCES), make_sequences(128)
figure, axes = plt.subplots(figsize=(9, 2))
_ = axes.plot(test[0], ".-")

# %% [markdown]
# Given the past, the switch is up with a probability that the forward algorithm computes. So the
# best possible score is known:

# %%


def exact_log_prob(x):
    """Returns log p(x) of sequences [B, T, 2] in nats, [B]."""
    levels = np.array([1.0, -1.0])
    error = (x[..., None, :] - levels[:, None]) / NOISE  # [B, T, 2 levels, 2 sensors]
    density = np.exp(-0.5 * (error**2).sum(-1)) / (2 * np.pi * NOISE**2)
    belief, total = np.full([len(x), 2], 0.5), 0.0
    for t in range(x.shape[1]):
        joint = belief * density[:, t]
        total += np.log(joint.sum(-1))
        belief = joint / joint.sum(-1, keepdims=True)
        belief = belief * (1 - FLIP) + belief[:, ::-1] * FLIP
    return total


best = exact_log_prob(test).mean() / STEPS
print(f"the truth has {best:.3f} nats per step")

# %% [markdown]
# ## The models
#
# Six cores with independent normal sensors, and an `RNN` with a mixture of two normal
# distributions, whose sensors change together.

# %%


class Sensors(vaeseq.ModelBase):
    """Two sensors, independent given the past and the latents."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([2], least_scale=0.05))


class Mixture(Sensors):
    """Two sensors that depend on each other."""

    def make_decoder(self):
        component = codec.NormalDecoder([2], least_scale=0.05)
        return codec.MLPObsDecoder(self.hparams, codec.MixtureDecoder(component, 2))


hparams = vaeseq.HParams(
    latent_size=2,
    rnn_hidden_sizes=(32,),
    obs_encoder_fc_layers=(32,),
    obs_decoder_fc_hidden_layers=(32,),
    latent_decoder_fc_layers=(32,),
    learning_rate=5e-3,
)
models, scores, seconds = {}, {}, {}
for name in (*vaeseq.VAE_TYPES, "RNN, mixture"):
    keras.utils.set_random_seed(0)
    kind = Mixture if "mixture" in name else Sensors
    models[name] = model = kind(hparams.replace(vae_type=name.split(",")[0]))
    model.compile()
    began = time.perf_counter()
    model.fit(train, batch_size=16, epochs=EPOCHS, verbose=0)
    seconds[name] = time.perf_counter() - began
    # Exact for RNN, a bound for the others. Particles make it tight.
    bound = model.smooth(test, num_samples=64).bound
    scores[name] = bound.sum(axis=1).mean() / STEPS
    print(f"{name:13} {scores[name]:7.3f} nats per step, {seconds[name]:4.0f} s")

figure, axes = plt.subplots(figsize=(7, 2.8))
axes.barh(list(scores), list(scores.values()))
axes.axvline(best, color="black", linestyle=":", label="the truth")
axes.set(xlabel="nats per step; higher is better")
_ = axes.legend(loc="lower left")

# %% [markdown]
# ## What the samples say
#
# Samples of the second step, all after the same first one. An `RNN` with independent sensors must
# cover both corners with one broad distribution, and draws points where nothing ever is. A mixture,
# or a latent variable that decides which corner it is, does not.

# %%
shown = ("the truth", "RNN", "RNN, mixture", "SRNN", "VRNN")
start = np.full([1, 1, 2], 1.0, np.float32)
figure, panels = plt.subplots(1, len(shown), figsize=(11, 2.5), sharex=True, sharey=True)
for axes, name in zip(panels, shown, strict=True):
    if name == "the truth":
        switch = np.where(rng.random([400, 1]) < FLIP, -1.0, 1.0)
        points = switch + NOISE * rng.normal(size=[400, 2])
    else:
        points = models[name].forecast(start, 1, 400)[:, 0, 0]
    axes.plot(*points.T, ".", markersize=2)
    axes.set(title=name)

# %% [markdown]
# ## What to conclude
#
# * With a distribution that fits, an `RNN` is enough, exact and fastest.
# * Where it does not fit, a latent variable at each step decides which corner it is, and closes
#   most of the gap. [Cores](../cores.md#which-one) has a comparison of the same kind, trained to
#   the end.
# * `SEQVAE` has one latent for the sequence. Here nothing stays the same, so it has little to say.
#
# [When latents pay](when_latents_pay.py) shows images, and data that does have something that
# stays.
