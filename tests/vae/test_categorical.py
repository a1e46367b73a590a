"""Categorical latents: the distribution against frequencies and enumeration, bounds likewise."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq import objectives
from vaeseq.vae import bounds, divergence
from vaeseq.vae.latent import Categorical, make_kind

CATEGORICAL = SMALL.replace(latent_kind="categorical", latent_groups=2, latent_classes=3)


def logits(*shape, seed=0, scale=2.0):
    return scale * tf.random.stateless_normal(shape, [seed, 1])


def noise(*shape, seed=0, temperature=None):
    return make_kind(CATEGORICAL).noise(list(shape), [seed, 2], temperature)


@pytest.mark.parametrize("temperature", [None, 0.5, 3.0])
def test_samples_have_the_mixed_probabilities(temperature):
    dist = Categorical.from_logits(logits(2, 3, scale=4.0))
    z = dist.reparameterize(noise(400_000, 6, temperature=temperature)).numpy()
    z = z.reshape(-1, 2, 3)
    np.testing.assert_array_equal(z.sum(axis=2), 1)
    np.testing.assert_array_equal(z.max(axis=2), 1)
    probs = dist.probs.numpy().astype(float) ** (1 / (temperature or 1))
    probs /= probs.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(z.mean(axis=0), probs, atol=0.004)
    together = np.einsum("nc,nd->cd", z[:, 0], z[:, 1]) / len(z)
    np.testing.assert_allclose(together, np.outer(*probs), atol=0.004)  # they are independent


def test_without_noise_a_sample_is_the_mode_and_with_the_noise_behind_it_is_z():
    dist = Categorical.from_logits(logits(5, 2, 3, scale=8.0))
    mode = dist.reparameterize(tf.zeros([5, 6])).numpy().reshape(5, 2, 3)
    np.testing.assert_array_equal(mode.argmax(-1), dist.probs.numpy().argmax(-1))
    z = Categorical.from_logits(tf.zeros([5, 2, 3])).reparameterize(noise(5, 6))
    assert_close(dist.reparameterize(dist.noise_behind(z)), z, 0)


def test_the_uniform_share_bounds_every_probability_from_below():
    dist = Categorical.from_logits(tf.constant([[[1e4, 0.0, -1e4, 5.0]]]))
    np.testing.assert_allclose(dist.probs, [[[0.9925, 0.0025, 0.0025, 0.0025]]], rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(dist.probs, -1), 1, rtol=1e-6)
    for params in (dist, make_kind(CATEGORICAL).from_outputs(logits(1, 1, 6, scale=1e5))):
        least = 0.01 / params.probs.shape[-1]
        assert np.min(params.probs) >= least * (1 - 1e-6)
        assert np.isfinite(params.unit_kl(params._replace(probs=params.probs[..., ::-1]))).all()


def test_the_straight_through_gradient_is_that_of_the_probabilities():
    x, weights = tf.constant(logits(4, 2, 3)), logits(4, 6, seed=3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        dist = Categorical.from_logits(x)
        sampled = tf.reduce_sum(weights * dist.reparameterize(noise(4, 6)))
        expected = tf.reduce_sum(weights * tf.reshape(dist.probs, [4, 6]))
    assert_close(tape.gradient(sampled, x), tape.gradient(expected, x))
    assert np.abs(tape.gradient(sampled, x)).min() > 0


def test_the_kl_and_log_probs_agree_with_enumeration():
    q, p = (Categorical.from_logits(logits(5, 2, 3, seed=seed)) for seed in (1, 2))
    total, of_dist = np.zeros(5), np.zeros(5)
    for first, second in itertools.product(range(3), repeat=2):
        z = np.tile(np.concatenate([np.eye(3)[first], np.eye(3)[second]]), [5, 1])
        z = z.astype(np.float32)
        log_q, log_p = (tf.reduce_sum(x.unit_log_prob(z), axis=-1).numpy() for x in (q, p))
        np.testing.assert_allclose(q.dist().log_prob(z), log_q, rtol=1e-5)
        by_hand = q.probs.numpy()[:, 0, first] * q.probs.numpy()[:, 1, second]
        np.testing.assert_allclose(np.exp(log_q), by_hand, rtol=1e-5)
        total += np.exp(log_q) * (log_q - log_p)
        of_dist += np.exp(log_q)
    np.testing.assert_allclose(of_dist, 1, rtol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(q.unit_kl(p), axis=-1), total, rtol=1e-4)
    np.testing.assert_allclose(q.dist().kl_divergence(p.dist()), total, rtol=1e-4)
    assert_close(q.unit_kl(q), tf.zeros([5, 2]))


def test_the_monte_carlo_kl_has_the_gradient_of_the_kl_on_average():
    """It is linear in z, so the straight-through gradient has no bias."""
    x, prior = tf.constant(logits(1, 2, 3)), Categorical.from_logits(logits(1, 2, 3, seed=1))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        q = Categorical.from_logits(tf.repeat(x, 100_000, axis=0))
        z = q.reparameterize(noise(100_000, 6))
        estimate = tf.reduce_sum(q.unit_log_prob(z) - prior.unit_log_prob(z)) / 100_000
        exact = tf.reduce_sum(Categorical.from_logits(x).unit_kl(prior))
    np.testing.assert_allclose(estimate, exact, atol=0.02)
    np.testing.assert_allclose(tape.gradient(estimate, x), tape.gradient(exact, x), atol=0.02)


def test_free_bits_of_dimensions_are_those_of_variables():
    x = tf.constant(logits(3, 2, 2, 3))
    prior = Categorical.from_logits(tf.zeros([3, 2, 2, 3]))
    variables = Categorical.from_logits(x).unit_kl(prior).numpy().sum(axis=1).mean(axis=0)
    hparams = SMALL.replace(free_bits=float(variables.mean()), free_bits_per="dimension")
    with tf.GradientTape() as tape:
        tape.watch(x)
        q = Categorical.from_logits(x)
        kl = divergence.kl(hparams, q, prior, q.probs)
    has_gradient = np.abs(tape.gradient(kl, x)).max(axis=(0, 1, 3)) > 0
    np.testing.assert_array_equal(has_gradient, variables > hparams.free_bits)


STEPS, CLASSES = 3, 3
TINY = SMALL.replace(
    latent_kind="categorical", latent_groups=1, latent_classes=CLASSES, vrnn_prior="learned"
)


@pytest.fixture(params=["SRNN", "VRNN", "DKF", "ISEQ"])
def tiny(request):
    """A model with 3^3 values of z_1:T, weights that make them matter, and an observed sequence."""
    return perturbed(Bits(TINY.replace(vae_type=request.param))), np.array([[1, 0, 1]])


def perturbed(model):
    for index, weight in enumerate(model.trainable_weights):
        weight.assign_add(0.5 * tf.random.stateless_normal(weight.shape, [index, 5]))
    return model


def assert_mean(samples, expected):
    """The mean of samples is what is expected, up to five standard errors."""
    samples = np.asarray(samples, np.float64)
    error = 5 * np.std(samples) / len(samples) ** 0.5
    assert np.mean(samples) == pytest.approx(expected, abs=float(error))


def paths_as_latents():
    """All z_1:T, [N, T, C]."""
    return tf.one_hot(list(itertools.product(range(CLASSES), repeat=STEPS)), CLASSES)


def enumerate_latents(model, observed):
    """log p(x given z), log p(x, z), log q(z given x) and the KL of all z_1:T, in nats."""
    z = paths_as_latents()
    rows = np.repeat(observed, len(z), axis=0)
    prepared = model.prepare(rows)
    state = model.initial_state(len(rows))
    given = model.condition(*prepared, state.context)
    inference = model.core.infer(
        given.contexts, given.observed, state.core, tf.zeros_like(z), None, given.evidence, z
    )
    steps = inference.steps
    log_q, log_p = (
        tf.reduce_sum(x.unit_log_prob(z), axis=[1, 2]) for x in (steps.posterior, steps.prior)
    )
    log_prob, kl = (tf.reduce_sum(x, axis=1) for x in (inference.log_prob, inference.kl))
    return [x.numpy() for x in (log_prob, log_p + log_prob, log_q, kl)]


def test_the_bounds_are_those_of_enumeration(tiny):
    model, observed = tiny
    log_prob, log_joint, log_q, kl = enumerate_latents(model, observed)
    assert np.exp(log_q).sum() == pytest.approx(1, rel=1e-5)
    exact = np.logaddexp.reduce(log_joint)
    elbo = np.sum(np.exp(log_q) * (log_joint - log_q))
    assert elbo < exact - 1e-3, "q is not the true posterior"
    assert np.sum(np.exp(log_q) * (log_prob - kl)) == pytest.approx(elbo, rel=1e-5)

    many = np.repeat(observed, 20_000, axis=0)
    inference, _ = model.infer(many, seed=1)
    assert_mean(objectives.elbo(inference), elbo)
    assert_mean(np.exp(objectives.log_weight(inference)), np.exp(exact))

    posterior = np.exp(log_joint - exact)
    expected = np.einsum("n,ntc->tc", posterior, paths_as_latents())
    np.testing.assert_allclose(model.smooth(observed, 2000).mean[0], expected, atol=0.06)
    if model.core.filters:  # the last step knows all
        filtered = model.filter(observed, 2000).probs[0, -1, 0]
        np.testing.assert_allclose(filtered, expected[-1], atol=0.06)


@pytest.mark.parametrize("objective", ["iwae", "fivo"])
def test_particles_tighten_the_bound_to_the_likelihood(objective):
    observed, means = np.array([[1, 0, 1]]), []
    for K in (2, 8, 64):
        hparams = TINY.replace(vae_type="VRNN", objective=objective, num_particles=K)
        model = perturbed(Bits(hparams))
        exact = np.logaddexp.reduce(enumerate_latents(model, observed)[1])
        bound = model(np.repeat(observed, 1000, axis=0), strength=1.0, seed=[3, 4]).bound
        assert_mean(np.exp(bound), np.exp(exact))
        means.append(np.mean(bound))
    assert means == sorted(means) and means[-1] == pytest.approx(exact, abs=0.1)


def test_the_posterior_logits_of_srnn_are_a_residual_to_the_prior(pooled, observed):
    hparams = CATEGORICAL.replace(vae_type="SRNN")
    with_residual = pooled(Waves, hparams)
    without = pooled(Waves, hparams.replace(srnn_use_res_q=False))
    without.set_weights(with_residual.get_weights())
    steps = [model.infer(observed[:, :1])[0].steps for model in (with_residual, without)]
    prior, base = steps[0].prior.probs.numpy(), steps[1].posterior.probs.numpy()
    softmax = (base - 0.01 / 3) / 0.99
    product = prior * softmax
    expected = 0.99 * product / product.sum(axis=-1, keepdims=True) + 0.01 / 3
    np.testing.assert_allclose(steps[0].posterior.probs, expected, rtol=1e-4)


@pytest.mark.parametrize("estimator", ["stl", "dreg"])
def test_estimators_that_need_a_differentiable_z_are_refused(estimator):
    hparams = CATEGORICAL.replace(vae_type="VRNN", estimator=estimator)
    message = f"estimator={estimator} needs latents that .* latent_kind=gaussian; .*=plain"
    with pytest.raises(vaeseq.UsageError, match=message):
        Waves(hparams)


def test_the_size_of_z_is_that_of_all_variables():
    model = Waves(CATEGORICAL.replace(vae_type="VRNN", latent_size=50))
    assert model.core.latent_size == 6 and model.noise(2, 5, 0).shape == (2, 5, 6)
    assert bounds.num_particles(model.core) == 1
