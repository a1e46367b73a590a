# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Melodies: encode, interpolate, change
#
# `SEQVAE` has one latent vector for a sequence. With it, melodies become points: we look at the
# map, walk between two of them, and add "minor" to one that is major. The melodies are made here,
# so that we know what the model should find; [vaeseq-midi](../music.md) learns real ones, and [the
# studio](../studio.md) plays with them.
#
# ## The data
#
# Sixteen notes of a scale, major or minor, on C, C sharp or D. They go up, down, or in waves. A
# symbol is the number of semitones above the lowest note.

# %%
import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
MELODIES, EPOCHS = (64, 1) if SMOKE else (4096, 10)
NOTES, SYMBOLS = 16, 32
MAJOR, MINOR = np.array([0, 2, 4, 5, 7, 9, 11]), np.array([0, 2, 3, 5, 7, 8, 10])
rng = np.random.default_rng(0)
keras.utils.set_random_seed(0)


def make_melodies(count):
    """Returns melodies [count, NOTES], and whether each is minor and which shape it has."""
    minor, shape = rng.integers(2, size=count), rng.integers(3, size=count)
    tonic = rng.integers(3, size=count)
    steps = rng.choice([-1, 1], [count, NOTES])  # waves
    steps = np.where(shape[:, None] == 0, rng.choice([0, 1], [count, NOTES]), steps)
    steps = np.where(shape[:, None] == 1, -rng.choice([0, 1], [count, NOTES]), steps)
    start = np.choose(shape, [2, 12, 7])
    degrees = np.clip(start[:, None] + steps.cumsum(axis=1), 0, 14)
    scales = np.where(minor[:, None], MINOR, MAJOR)
    pitches = np.take_along_axis(scales, degrees % 7, axis=1) + 12 * (degrees // 7)
    return (tonic[:, None] + pitches).astype(np.int32), minor.astype(bool), shape


melodies, minor, shape = make_melodies(MELODIES)
figure, axes = plt.subplots(figsize=(9, 2.5))
axes.step(np.arange(NOTES), melodies[:3].T, where="post")
_ = axes.set(xlabel="note", ylabel="semitones")

# %% [markdown]
# ## The model

# %%


class Melodies(vaeseq.ModelBase):
    """Sequences of notes."""

    def make_encoder(self):
        return keras.layers.Embedding(SYMBOLS, 32)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(SYMBOLS))


hparams = vaeseq.HParams(
    vae_type="SEQVAE",
    latent_size=8,
    rnn_hidden_sizes=(128,),
    obs_decoder_fc_hidden_layers=(),
    word_dropout=0.3,  # some notes are hidden, so that z has to know them
    divergence_schedule="linear",
    divergence_strength_half=200,
    divergence_strength_end=0.3,  # a larger KL: what z knows is worth more than the bound
    learning_rate=5e-3,
)
model = Melodies(hparams)
model.compile()
history = model.fit(melodies, batch_size=32, epochs=EPOCHS, verbose=0).history
print(f"z knows {history['kl'][-1] * NOTES:.1f} nats of a melody")

# %% [markdown]
# ## The map
#
# `encode` returns the posterior of z. Its means are a map of melodies. We look at it along two
# directions, from melodies that go down to those that go up, and from major to minor:

# %%
upwards = model.attribute_vector(having=melodies[shape == 0], lacking=melodies[shape == 1])  # [Z]
to_minor = model.attribute_vector(having=melodies[minor], lacking=melodies[~minor])
directions = np.stack([upwards, to_minor])
held_out, minor, shape = make_melodies(64 if SMOKE else 600)
means = model.encode(held_out).loc.numpy()  # [B, Z]
figure, panels = plt.subplots(1, 2, figsize=(9, 3.5))
for axes, values, names in (
    (panels[0], shape, ("up", "down", "waves")),
    (panels[1], minor.astype(int), ("major", "minor")),
):
    for value, name in enumerate(names):
        axes.plot(*(means[values == value] @ directions.T).T, ".", markersize=3, label=name)
    axes.legend()

# %% [markdown]
# z has to know the shape first, because it decides most notes. The scale changes three notes of
# seven, so it is harder to see, and the key only moves all of them.
#
# ## From one to another
#
# `interpolate` walks along the great circle between two points, and decodes each greedily:

# %%
up, down = held_out[shape == 0][0], held_out[shape == 1][0]
path = model.interpolate(up, down, steps=5).numpy()
figure, panels = plt.subplots(1, 5, figsize=(11, 2), sharey=True)
for axes, notes in zip(panels, path, strict=True):
    axes.step(np.arange(NOTES), notes, where="post")

# %% [markdown]
# ## Attribute vectors
#
# The mean of z over minor melodies, minus that over major ones, is a direction: add it, and a
# melody becomes more minor. We count the samples whose notes fit a minor scale better than a major
# one.

# %%


def is_minor(notes):
    """Returns whether each melody [B, NOTES] fits some minor scale better than any major one."""
    fits = []
    for scale in (MAJOR, MINOR):
        keys = [np.isin((notes - tonic) % 12, scale).mean(axis=1) for tonic in range(3)]
        fits.append(np.max(keys, axis=0))
    return fits[1] > fits[0]


print(f"held-out minor melodies that fit minor better: {is_minor(held_out[minor]).mean():.0%}")
print(f"held-out major melodies that fit minor better: {is_minor(held_out[~minor]).mean():.0%}")
majors = model.encode(held_out[~minor]).loc  # [B, Z]
amounts = np.arange(6.0)
shares = [is_minor(model.decode(majors + a * to_minor, NOTES).numpy()).mean() for a in amounts]
figure, axes = plt.subplots(figsize=(4, 2.5))
axes.plot(amounts, shares, "o-")
_ = axes.set(xlabel="how much of the direction is added", ylabel="share of minor")

# %% [markdown]
# ## Next
#
# * [One latent variable for a sequence](../cores.md#one-latent-variable-for-a-sequence): what the
#   methods do, and for longer sequences, segments.
# * Melodies of chorales and of your own files: [music](../music.md).
