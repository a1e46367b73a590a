"""Bounds and likelihoods against closed forms and brute force."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq import codec, objectives
from vaeseq.vae.latent import Gaussian

A, Q, R = 0.8, 0.5, 0.3  # z_t ~ N(A z_{t-1}, Q), x_t ~ N(z_t, R), z_0 = 0


class LinearGaussian(vaeseq.VAECore):
    """A linear-Gaussian model; q is the exact p(z_t | z_{t-1}, x_t:T), by backward messages."""

    def initial_state(self, batch_size):
        return tf.zeros([batch_size, 1])

    def encode(self, contexts, observed, lengths=None):
        precision, information, messages = 0.0, tf.zeros_like(observed[:, 0]), []
        for x in tf.unstack(observed, axis=1)[::-1]:
            shrink = A / (1 + Q * precision)
            precision, information = 1 / R + A * precision * shrink, x / R + shrink * information
            messages.append(tf.concat([tf.fill(x.shape, precision), information], -1))
        return tf.stack(messages[::-1], axis=1)

    def step(self, context, state, noise, *, evidence=None, latents=None):
        prior = posterior = Gaussian(A * state, Q**0.5 * tf.ones_like(state))
        if evidence is not None:
            precision, information = tf.split(evidence, 2, -1)
            scale = (1 / Q + precision) ** -0.5
            posterior = Gaussian((A * state / Q + information) * scale**2, scale)
        z = posterior.reparameterize(noise) if latents is None else latents
        return vaeseq.Step((z, R**0.5 * tf.ones_like(z)), z, prior, posterior), z


def kalman_log_prob(observed):
    """log p(x) of sequences [B, T], computed by the Kalman filter."""
    mean, variance, total = np.zeros(len(observed)), 0.0, 0.0
    for x in observed.T:
        mean, variance = A * mean, A * A * variance + Q
        total -= 0.5 * (np.log(2 * np.pi * (variance + R)) + (x - mean) ** 2 / (variance + R))
        gain = variance / (variance + R)
        mean, variance = mean + gain * (x - mean), (1 - gain) * variance
    return total


@pytest.fixture
def linear_gaussian():
    core = LinearGaussian(SMALL.replace(latent_size=1), None, codec.NormalDecoder([1]))
    observed = np.random.default_rng(0).normal(size=[5, 7]).astype(np.float32)
    return core, observed


def test_with_the_exact_posterior_each_importance_weight_is_the_likelihood(linear_gaussian):
    core, observed = linear_gaussian
    noise = tf.random.stateless_normal([5, 7, 1], [0, 1])
    inference = core.infer((), observed[..., None], core.initial_state(5), noise)
    assert_close(objectives.log_weight(inference), kalman_log_prob(observed), 1e-4)


def test_with_the_prior_as_posterior_the_bound_approaches_the_likelihood(linear_gaussian):
    core, observed = linear_gaussian
    observed = observed[:, :3]
    core.encode = lambda *args: None
    samples = 20000
    noise = tf.random.stateless_normal([5 * samples, 3, 1], [0, 1])
    repeated = np.repeat(observed, samples, 0)[..., None]
    inference = core.infer((), repeated, core.initial_state(5 * samples), noise)
    weights = tf.transpose(tf.reshape(objectives.log_weight(inference), [5, samples]))
    exact = kalman_log_prob(observed)
    assert np.all(tf.reduce_mean(weights, axis=0) < exact)
    np.testing.assert_allclose(objectives.importance_weighted_bound(weights), exact, atol=0.05)


def test_probabilities_of_all_binary_sequences_sum_to_one(pooled):
    model = pooled(Bits, SMALL.replace(vae_type="RNN"))
    everything = np.array(list(itertools.product([0, 1], repeat=6)))
    assert np.sum(np.exp(model.log_prob(everything))) == pytest.approx(1, abs=1e-5)


def test_estimated_probabilities_of_all_binary_sequences_sum_to_about_one(vae_type, pooled):
    bits = pooled(Bits, SMALL.replace(vae_type=vae_type))
    for variable in getattr(bits.core, "q", bits.encoder).trainable_variables:
        variable.assign(0.3 * variable)  # a wide posterior, for importance weights with light tails
    everything = np.array(list(itertools.product([0, 1], repeat=3)))
    repeats = 50
    bounds = bits.log_prob(np.repeat(everything, repeats, 0), num_samples=400)
    assert np.sum(np.exp(bounds)) / repeats == pytest.approx(1, abs=0.04)


def test_the_elbo_without_latents_is_the_log_prob(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    inference, _ = model.infer(observed)
    assert_close(objectives.elbo(inference), model.log_prob(observed))


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN"])
def test_the_importance_weighted_bound_rises_with_more_samples(vae_type, pooled):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    observed = np.random.default_rng(0).normal(size=[200, 5, 2]).astype(np.float32)
    means = [
        float(np.mean(model.log_prob(observed, num_samples=samples, seed=samples)))
        for samples in (1, 4, 16, 64)
    ]
    assert means == sorted(means)
    elbo = float(np.mean(objectives.elbo(model.infer(observed)[0])))
    assert elbo < means[-1]


def test_importance_weighted_bound_of_equal_weights_is_the_weight():
    assert_close(objectives.importance_weighted_bound(tf.fill([5, 2], -3.0)), tf.fill([2], -3.0))


def test_gompertz_divergence_strength_at_the_start_the_half_and_the_end():
    gompertz = SMALL.replace(divergence_schedule="gompertz")
    hparams = gompertz.replace(divergence_strength_start=1e-3, divergence_strength_half=100.0)
    strength = [float(objectives.divergence_strength(hparams, step)) for step in (0, 100, 1e4)]
    np.testing.assert_allclose(strength, [1e-3, 0.5, 1.0], rtol=1e-4)
    flat = gompertz.replace(divergence_strength_start=1.0)
    assert float(objectives.divergence_strength(flat, 0)) == 1.0


def test_other_schedules_of_the_divergence_strength():
    def strength(step, **changes):
        hparams = SMALL.replace(divergence_strength_half=10.0, **changes)
        return float(objectives.divergence_strength(hparams, step))

    linear = {"divergence_schedule": "linear", "divergence_strength_end": 0.4}
    assert [strength(s, **linear) for s in (0, 10, 20, 99)] == pytest.approx([0, 0.2, 0.4, 0.4])
    cyclical = {"divergence_schedule": "cyclical"}
    steps = (0, 10, 20, 39, 40, 50)
    assert [strength(s, **cyclical) for s in steps] == pytest.approx([0, 0.5, 1, 1, 0, 0.5])
    constant = {"divergence_schedule": "constant", "divergence_strength_end": 0.0}
    assert strength(5, **constant) == 0
    gompertz = {"divergence_schedule": "gompertz", "divergence_strength_end": 0.5}
    assert strength(10, **gompertz) == pytest.approx(0.25)
    assert strength(0) == 1.0, "the default: the whole KL counts from the first step"
