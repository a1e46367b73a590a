# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Write your own distribution
#
# Wind directions are angles: 359 degrees and 1 degree are close. No decoder of the library knows
# that, so we write one, with the von Mises distribution, the normal distribution of the circle.
#
# ## The data
#
# A wind that turns slowly, with gusts. The best possible score is known: it is the entropy of the
# gusts.

# %%
import math
import os

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

import vaeseq
from vaeseq import codec

SMOKE = bool(os.environ.get("VAESEQ_SMOKE"))  # set by the tests: small sizes, poor results
SERIES, EPOCHS = (24, 1) if SMOKE else (512, 8)
STEPS, TURN, CONCENTRATION = 40, 0.3, 20.0
rng = np.random.default_rng(0)
turns = TURN + rng.vonmises(0, CONCENTRATION, [SERIES, STEPS])
angles = turns.cumsum(axis=1) + rng.uniform(-np.pi, np.pi, [SERIES, 1])
angles = ((angles + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)  # [B, T], from -pi to pi
train, test = angles[: -SERIES // 8], angles[-SERIES // 8 :]

gusts = tfd.VonMises(0.0, CONCENTRATION)
best = float(-gusts.entropy()) * (STEPS - 1) / STEPS - math.log(2 * math.pi) / STEPS
print(f"the truth has {best:.3f} nats per step")
figure, axes = plt.subplots(figsize=(9, 2))
axes.plot(test[0], ".-")
_ = axes.set(xlabel="time step", ylabel="radians")

# %% [markdown]
# The jumps are none: the wind only passes the cut of the circle.
#
# ## The distribution
#
# A `DistModule` splits the work in two. `call` maps features to tensors, the parameters; `dist`
# makes a distribution of TensorFlow Probability of them. `param_size` says how many features it
# needs. Two features are a point of the plane, whose direction is the mean, so that it has no cut
# either.

# %%


class VonMisesDecoder(vaeseq.DistModule):
    """One angle in radians.

    Params: (mean, concentration), each [N]. Events: float32 [N].
    """

    event_shape, event_dtype, param_size = tf.TensorShape([]), tf.float32, 3

    @property
    def support(self):
        """Angles from -pi to pi; others are refused."""
        return vaeseq.Support("VonMisesDecoder", low=-3.1416, high=3.1416)

    def call(self, features):
        """Maps features [N, 3] to the params."""
        x, y, concentration = tf.unstack(features, axis=-1)
        return tf.atan2(y, x + 1e-6), tf.nn.softplus(concentration) + 1e-2

    def dist(self, params):
        """Returns the distribution."""
        return tfd.VonMises(*params)

    def temper(self, params, temperature):
        """Returns p^(1 / temperature), exactly: exp(k cos(x - m)) to the power of 1 / t."""
        mean, concentration = params
        return mean, concentration / temperature


decoder = VonMisesDecoder()
params = decoder(tf.constant([[1.0, 0.0, 3.0]]))
grid = np.linspace(-np.pi, np.pi, 2001, dtype=np.float32)
density = np.exp(decoder.log_prob(tf.nest.map_structure(tf.squeeze, params), grid))
print("its density integrates to", np.round(density.mean() * 2 * np.pi, 3))

# %% [markdown]
# Checks like the last line cost a minute and find most mistakes.
#
# ## The encoder
#
# The model also *sees* angles. A Keras layer gives it their cosine and sine, which have no cut.

# %%


class Directions(keras.layers.Layer):
    """Angles [N] to points of the circle [N, 2]."""

    def call(self, angles):
        """Returns cosine and sine."""
        return tf.stack([tf.cos(angles), tf.sin(angles)], axis=-1)


class Winds(vaeseq.ModelBase):
    """Series of angles."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams, first=Directions())

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, VonMisesDecoder())


class NormalWinds(Winds):
    """The same encoder, with a normal distribution of the number."""

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder())


hparams = vaeseq.HParams(
    vae_type="RNN",
    rnn_hidden_sizes=(32,),
    obs_encoder_fc_layers=(32,),
    obs_decoder_fc_hidden_layers=(64,),
    learning_rate=5e-3,
)
models = {}
for kind in (Winds, NormalWinds):
    keras.utils.set_random_seed(0)
    models[kind.__name__] = model = kind(hparams)
    model.compile()
    model.fit(train, batch_size=16, epochs=EPOCHS, verbose=0)
    print(f"{kind.__name__:12} {np.mean(model.log_prob(test)) / STEPS:.3f} nats per step")

# %% [markdown]
# The forecast of the next hour, where the wind comes from the cut of the circle. A normal
# distribution has to be broad there, because half of its probability would fall on the other side:

# %%
last = np.argmax(np.abs(test[:, 20]))  # the series that is closest to the cut at step 20
figure, panels = plt.subplots(1, 2, figsize=(7, 3), subplot_kw={"projection": "polar"})
for axes, (name, model) in zip(panels, models.items(), strict=True):
    samples = model.forecast(test[last : last + 1, :21], 1, 50 if SMOKE else 1000)[:, 0, 0]
    axes.hist(samples, bins=48, range=(-np.pi, np.pi))
    axes.plot([test[last, 21]] * 2, axes.get_ylim(), color="black")
    axes.set(title=name, yticks=[])

# %% [markdown]
# ## Next
#
# * For most distributions of TensorFlow Probability you need no class:
#   [`TFPDecoder`](../api/vaeseq.codec.TFPDecoder) takes `tfd.StudentT` and its like.
# * If single elements may be missing (`gaps=True`), also define `has_independent_elements` and
#   `masked_log_prob`; [the reference](../api/vaeseq.DistModule) says how.
