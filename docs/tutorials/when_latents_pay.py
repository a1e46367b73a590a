# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # When latents pay
#
# Two examples where a latent variable does what an `RNN` cannot. The first is that of VAE-Seq
# (2018): what does a sequence of images begin with? The second has a source that stays the same.
#
# ## The first frame
#
# Small images of a box or a cross, at a random place, that moves to the right. Before the first
# frame a model has seen nothing. If its pixels are independent, the best it can say is how often
# each pixel is black.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
VIDEOS, EPOCHS = (64, 1) if SMOKE else (4096, 8)
SIZE, STEPS = 8, 3
rng = np.random.default_rng(0)
BOX = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


def make_videos(count):
    """Returns binary videos [count, STEPS, SIZE, SIZE]."""
    videos = np.zeros([count, STEPS, SIZE, SIZE], np.int32)
    for video in videos:
        shape = (BOX, CROSS)[rng.integers(2)]
        y, x = rng.integers([SIZE - 2, SIZE - 2 - STEPS + 1])
        for t in range(STEPS):
            video[t, y : y + 3, x + t : x + t + 3] = shape
    return videos


class Videos(vaeseq.ModelBase):
    """Videos with independent pixels, given the past and the latents."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder([SIZE, SIZE]))


train, test = make_videos(VIDEOS), make_videos(64)
hparams = vaeseq.HParams(
    latent_size=8,
    rnn_hidden_sizes=(64,),
    obs_encoder_fc_layers=(64,),
    obs_decoder_fc_hidden_layers=(128,),
    latent_decoder_fc_layers=(64,),
    learning_rate=5e-3,
)
models = {}
for name in ("RNN", "SRNN"):
    keras.utils.set_random_seed(0)
    models[name] = model = Videos(hparams.replace(vae_type=name))
    model.compile()
    model.fit(train, batch_size=32, epochs=EPOCHS, verbose=0)
    bound = model.smooth(test, num_samples=32).bound.mean()
    print(f"{name:5} {-bound:.2f} nats per frame")
truth = np.log(2 * (SIZE - 2) * (SIZE - 2 - STEPS + 1))  # of the first frame, which decides all
print(f"truth {truth / STEPS:.2f} nats per frame")

figure, panels = plt.subplots(3, 8, figsize=(8, 3.2))
rows = {"data": test[:8, 0], **{name: m.generate(8, 1)[:, 0] for name, m in models.items()}}
for row, (name, frames) in zip(panels, rows.items(), strict=True):
    for axes, frame in zip(row, frames, strict=True):
        axes.imshow(frame, cmap="Greys")
        axes.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)

# %% [markdown]
# The frames of the `RNN` are dust: each pixel decides for itself. `SRNN` first draws $z_1$, which
# says what it is and where, and then pixels that agree. A decoder whose pixels depend on each other
# is the other way out; [images](../images.md) compares all three on a ball that bounces.
#
# ## A source that stays
#
# Sequences of symbols from one of four sources. Each source is a table of what follows what. An
# `RNN` has to find out, in every sequence anew, which source it is; `SEQVAE` has one latent for it.

# %%
SOURCES, SYMBOLS, LENGTH = 4, 6, 30
tables = rng.dirichlet(np.full(SYMBOLS, 0.4), [SOURCES, SYMBOLS])  # [source, from, to]


def make_symbols(count):
    """Returns sequences [count, LENGTH], and the source of each."""
    source = rng.integers(SOURCES, size=count)
    symbols = [rng.integers(SYMBOLS, size=count)]
    for _ in range(LENGTH - 1):
        steps = tables[source, symbols[-1]].cumsum(axis=1)
        symbols.append((rng.random([count, 1]) > steps).sum(axis=1).clip(max=SYMBOLS - 1))
    return np.stack(symbols, axis=1).astype(np.int32), source


class Symbols(vaeseq.ModelBase):
    """Sequences of symbols."""

    def make_encoder(self):
        return keras.layers.Embedding(SYMBOLS, 8)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(SYMBOLS))


train, _ = make_symbols(VIDEOS)
test, source = make_symbols(64 if SMOKE else 400)
known = tables[source[:, None], test[:, :-1], test[:, 1:]]
best = (np.log(known).sum(axis=1).mean() - np.log(SYMBOLS)) / LENGTH
small = hparams.replace(latent_size=2, rnn_hidden_sizes=(24,), obs_decoder_fc_hidden_layers=(32,))
for name in ("RNN", "SEQVAE"):
    keras.utils.set_random_seed(0)
    models[name] = model = Symbols(small.replace(vae_type=name))
    model.compile()
    model.fit(train, batch_size=32, epochs=EPOCHS, verbose=0)
    bound = np.mean(model.log_prob(test, num_samples=32)) / LENGTH
    print(f"{name:7} {-bound:.3f} nats per symbol")
print(f"who is told the source: {-best:.3f}")

means = models["SEQVAE"].encode(test).loc.numpy()
figure, axes = plt.subplots(figsize=(4, 3.5))
for number in range(SOURCES):
    axes.plot(*means[source == number].T, ".", label=f"source {number}")
_ = axes.legend()

# %% [markdown]
# Nobody told the model that there are sources. Where points of one colour lie together, it has
# found them: the map is worth having even where the likelihood is no better than that of an `RNN`.
# [The benchmark](../benchmarks/seqvae.md#a-mixture-of-sources) has eight sources and more training.
#
# ## When they do not pay
#
# Where the decoder can represent the next observation, such as [text](text.py). And where they are
# ignored: [my KL is zero](../kl_is_zero.md).
