# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tight bounds: ELBO, IWAE, FIVO
#
# The likelihood of a model with latent variables is an integral that nobody can compute. What is
# trained and reported is a lower bound. Here the data come from a system whose likelihood *is*
# known, so we can see how far below it the bounds are.
#
# With $K$ samples $z^{(k)}$ of the posterior $q$ and the weights
# $w_k = p(x, z^{(k)}) / q(z^{(k)} | x)$, the bound of IWAE is
#
# $$\log \frac{1}{K} \sum_{k=1}^{K} w_k$$
#
# and $K = 1$ gives the ELBO. FIVO multiplies the means of the weights of *single steps*, and drops
# samples with small weights on the way: a particle filter.
# [Training](../training.md#tighter-bounds) has the details.
#
# ## The data
#
# A hidden position drifts, and is measured with noise. Its likelihood is that of a Kalman filter.

# %%
import os
import time

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec, context

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
SERIES, EPOCHS = (24, 1) if SMOKE else (512, 8)
STEPS, KEEP, DRIFT, NOISE = 40, 0.95, 0.3, 0.5
rng = np.random.default_rng(0)


def make_series(count):
    """Returns measurements [count, STEPS, 1]."""
    position = [rng.normal(size=count)]
    for _ in range(STEPS - 1):
        position.append(KEEP * position[-1] + DRIFT * rng.normal(size=count))
    position = np.stack(position, axis=1)
    return (position + NOISE * rng.normal(size=position.shape))[..., None].astype(np.float32)


def exact_log_prob(x):
    """Returns log p(x) of measurements [B, T, 1] in nats, [B], by a Kalman filter."""
    mean, variance, total = np.zeros(len(x)), 1.0, 0.0
    for t in range(x.shape[1]):
        spread = variance + NOISE**2
        error = x[:, t, 0] - mean
        total += -0.5 * (error**2 / spread + np.log(2 * np.pi * spread))
        gain = variance / spread
        mean, variance = mean + gain * error, variance * (1 - gain)
        mean, variance = KEEP * mean, KEEP**2 * variance + DRIFT**2
    return total


train, test = make_series(SERIES), make_series(64)
best = exact_log_prob(test).mean() / STEPS
print(f"the truth has {best:.3f} nats per step")

# %% [markdown]
# ## Three trainings
#
# A deep Markov model: all that one step knows of another is in its latents (`context.Nothing`).
# With four samples, trained by each of the three bounds.

# %%


class Positions(vaeseq.ModelBase):
    """Series of one number, explained by latents alone."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([1], least_scale=0.05))

    def make_context(self):
        return context.Nothing()


hparams = vaeseq.HParams(
    vae_type="DKF",
    latent_size=2,
    rnn_hidden_sizes=(32,),
    obs_encoder_fc_layers=(32,),
    obs_decoder_fc_hidden_layers=(32,),
    latent_decoder_fc_layers=(32,),
    learning_rate=5e-3,
    divergence_schedule="linear",
    divergence_strength_half=20 if SMOKE else 60,
)
models = {}
for objective in ("elbo", "iwae", "fivo"):
    keras.utils.set_random_seed(0)
    particles = 1 if objective == "elbo" else 4
    models[objective] = model = Positions(
        hparams.replace(objective=objective, num_particles=particles)
    )
    model.compile()
    began = time.perf_counter()
    model.fit(train, batch_size=16, epochs=EPOCHS, verbose=0)
    print(f"{objective}: trained in {time.perf_counter() - began:.0f} s")

# %% [markdown]
# ## How tight are they?
#
# Two bounds of each trained model, with more and more samples: of whole sequences
# (`log_prob(num_samples=K)`), and of a particle filter (`smooth(num_samples=K).bound`).

# %%
numbers = [1, 4] if SMOKE else [1, 4, 16, 64, 256]
figure, panels = plt.subplots(1, 3, figsize=(11, 3), sharey=True)
for axes, (name, model) in zip(panels, models.items(), strict=True):
    whole = [np.mean(model.log_prob(test, num_samples=k)) / STEPS for k in numbers]
    steps = [model.smooth(test, num_samples=k).bound.sum(axis=1).mean() / STEPS for k in numbers]
    axes.semilogx(numbers, whole, "o-", label="whole sequences")
    axes.semilogx(numbers, steps, "s-", label="particle filter")
    axes.axhline(best, color="black", linestyle=":", label="the truth")
    axes.set(title=f"trained by {name}", xlabel="samples")
    print(f"{name}: ELBO {whole[0]:.3f}, whole {whole[-1]:.3f}, particle filter {steps[-1]:.3f}")
panels[0].set(ylabel="nats per step")
_ = panels[0].legend()

# %% [markdown]
# With one sample both are the ELBO, up to noise. More samples raise both, on average. That of whole
# sequences needs many, because one of $K$ weights soon decides; that of the particle filter needs
# few. What then is left of the gap to the truth is the model's own error.
#
# ## What to conclude
#
# * **Compare models by the particle filter's bound**, `smooth(...).bound`, with equally many
#   samples.
# * **Train with the ELBO first.** If its latents are ignored, or samples matter more than time,
#   train with `objective="fivo"` and a few particles;
#   [benchmarks](../benchmarks/quality.md#tighter-bounds) say where it was worth it.
# * `iwae` is for short sequences.
