"""VRNN as STORN, and as RSSM."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq import codec, context
from vaeseq.vae import VAECore


def test_with_the_standard_prior_it_is_storn(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="VRNN", vrnn_prior="standard"))
    inference, _ = model.infer(observed)
    prior = inference.steps.prior
    assert np.all(prior.loc == 0) and np.all(prior.scale == 1) and not hasattr(model.core, "p")
    state = model.initial_state(4)
    contexts, _ = model.context.from_observations(tf.constant(observed), (), state.context)
    noise = tf.random.stateless_normal([4, 6, 3], [1, 2])
    for evidence in (None, model.core.encode(contexts, observed)):
        fused = model.core.unroll(contexts, state.core, noise, evidence)
        assert_close(fused, VAECore.unroll(model.core, contexts, state.core, noise, evidence))


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_the_gradient_of_unroll_is_that_of_the_scanned_step(pooled, observed, kind):
    size = {"latent_kind": kind, "latent_groups": 1, "latent_classes": 3}
    hparams = SMALL.replace(vae_type="VRNN", rnn_hidden_sizes=(5, 4), **size)
    core = (model := pooled(Waves, hparams)).core
    state = tf.nest.map_structure(lambda x: x + 0.3, model.initial_state(4))
    contexts, _ = model.context.from_observations(tf.constant(observed), (), state.context)
    noise = tf.random.stateless_normal([4, 6, 3], [1, 2])

    def loss(unroll):
        steps, states = unroll(contexts, state.core, noise, core.encode(contexts, observed))
        return tf.add_n([tf.reduce_sum(tf.sin(x)) for x in tf.nest.flatten((steps, states))])

    gradients = []
    for unroll in (core.unroll, functools.partial(VAECore.unroll, core)):
        compiled = tf.function(functools.partial(loss, unroll), autograph=False)
        with tf.GradientTape() as tape:  # of a function that was compiled before, as `infer` is
            value = compiled()
        gradients.append(tape.gradient(value, core.trainable_variables))
    assert_close(*gradients, 1e-4)


class World(vaeseq.ModelBase):
    """RSSM: the actions a_t are inputs, and d_t does not see the observations."""

    def __init__(self, hparams):
        super().__init__(hparams, inputs_spec=tf.TensorSpec([1]))

    def make_encoder(self):
        return codec.Flatten()

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([2]))

    def make_context(self):
        return context.Inputs()


def test_without_observations_in_the_context_it_is_rssm():
    """The equations of Hafner et al. 2018 (arXiv:1811.04551), section 3, with an LSTM.

    Deterministic state  h_t = f(h_{t-1}, s_{t-1}, a_{t-1})     here: d_t, z_{t-1} and input c_t
    Stochastic state     s_t ~ p(s_t | h_t)
    Observation          o_t ~ p(o_t | h_t, s_t)
    Encoder              q(s_1:T | o_1:T, a_1:T) = prod_t q(s_t | h_t, o_t)
    """
    hparams = SMALL.replace(
        vae_type="VRNN",
        latent_size=1,
        rnn_hidden_sizes=(2,),
        latent_decoder_fc_layers=(),
        obs_decoder_fc_hidden_layers=(),
    )
    keras.utils.set_random_seed(1)
    model, core = (world := World(hparams)), world.core
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    observed, actions = rng.normal(size=[1, 3, 2]), rng.normal(size=[1, 3, 1])
    inference, _ = model.infer(observed, actions)
    steps = tf.nest.map_structure(lambda x: x.numpy()[0], inference.steps)
    noise = model.noise(1, 3, 0).numpy()[0]

    (lstm,) = core.d_rnn.layers
    W_a, U, b = (weight.numpy() for weight in (lstm.kernel, lstm.recurrent_kernel, lstm.bias))
    W_s = core.z_to_d.kernel.numpy()
    P, p_0 = (weight.numpy() for weight in core.p.mlp.layers[0].weights)
    Q_o, q_0 = (weight.numpy() for weight in core.q.of_features.weights)
    Q_h = core.q.of_latents.kernel.numpy()
    h, memory, s = np.zeros(2), np.zeros(2), np.zeros(1)
    for t in range(3):
        i, f, g, o = np.split(actions[0, t] @ W_a + s @ W_s + h @ U + b, 4)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(memory)
        prior, posterior = h @ P + p_0, observed[0, t] @ Q_o + q_0 + h @ Q_h
        for expected, params in ((prior, steps.prior), (posterior, steps.posterior)):
            assert_close(params.loc[t], expected[:1], 1e-4)
            assert_close(params.scale[t], softplus(expected[1:]) + 1e-4, 1e-4)
        s = posterior[:1] + (softplus(posterior[1:]) + 1e-4) * noise[t]
        features = np.concatenate([h, s])[None].astype(np.float32)
        params = tf.nest.map_structure(lambda x: x.numpy()[0], model.decoder(features))
        assert_close(at_step(steps.obs_params, t), params, 1e-4)


def at_step(nest, t):
    return tf.nest.map_structure(lambda x: x[t], nest)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))
