"""IWAE and FIVO against the Kalman filter, and estimators of gradients against each other."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from tests.vae.test_objectives import LinearGaussian, kalman_log_prob
from vaeseq import codec, objectives
from vaeseq.nn.sequences import repeat_rows, scan
from vaeseq.vae import bounds


class Guided(LinearGaussian):
    """A linear-Gaussian model; two variables move and widen its q from the exact posterior."""

    def __init__(self, num_particles, moved=0.0, widened=0.0, **hparams):
        hparams = SMALL.replace(latent_size=1, num_particles=num_particles, **hparams)
        super().__init__(hparams, None, codec.NormalDecoder([1]))
        self.moved, self.widened = tf.Variable(moved), tf.Variable(widened)

    def step(self, context, state, noise, *, evidence=None, latents=None):
        exact, _ = super().step(context, state, noise, evidence=evidence)
        loc, scale = exact.posterior
        # Depends on z_{t-1} through variables, as networks do.
        loc += self.moved * (1 + state)
        posterior = vaeseq.Gaussian(loc, scale * tf.exp(self.widened))
        z = posterior.reparameterize(noise) if latents is None else latents
        return vaeseq.Step((z, exact.obs_params[1]), z, exact.prior, posterior), z


def observations(rows, steps=5):
    return np.random.default_rng(0).normal(size=[rows, steps]).astype(np.float32)


@tf.function(autograph=False)
def _fivo(core, observed, noise, uniforms, lengths, strength):
    observed = observed[..., None]
    evidence = core.encode((), observed)
    state = core.initial_state(observed.shape[0])
    return bounds.fivo(core, (), observed, evidence, state, noise, uniforms, lengths, strength)


def fivo(core, observed, seed=0, lengths=None, strength=1.0):
    rows, steps = observed.shape
    K = core.hparams.num_particles
    noise = tf.random.stateless_normal([rows * K, steps, 1], [seed, 1])
    uniforms = tf.random.stateless_uniform([rows, steps], [seed, 2])
    return _fivo(core, tf.constant(observed), noise, uniforms, lengths, strength)


def iwae(core, observed, seed=0, strength=1.0, function=bounds.iwae):
    rows, steps = observed.shape
    K = core.hparams.num_particles
    observed = tf.constant(np.repeat(observed, K, 0)[..., None])
    noise = tf.random.stateless_normal([rows * K, steps, 1], [seed, 1])
    infer = functools.partial(
        core.infer,
        (),
        observed,
        core.initial_state(rows * K),
        noise,
        None,
        core.encode((), observed),
    )
    replay = None
    if core.hparams.estimator != "plain":
        replay = bounds.Replay(lambda z: infer(latents=z))
    args = (strength,) if function is bounds.iwae else ()
    return function(core, infer(), *args, replay)


@pytest.mark.parametrize("bound", [fivo, iwae])
def test_one_particle_is_the_weight_of_one_sample(bound):
    core, observed = Guided(1, 0.3), observations(4)
    noise = tf.random.stateless_normal([4, 5, 1], [0, 1])
    inference = core.infer((), observed[..., None], core.initial_state(4), noise)
    result = bound(core, observed)
    assert_close(result.bound, objectives.log_weight(inference))
    assert_close((result.log_prob, result.kl), (inference.log_prob, inference.kl))
    assert_close(result.effective_sample_size, tf.ones([4]))


@pytest.mark.parametrize("bound", [fivo, iwae])
def test_estimates_of_the_likelihood_are_unbiased(bound):
    observed = observations(1)
    repeated = np.repeat(observed, 20000, 0)
    result = bound(Guided(4, 0.4, 0.7), repeated)
    assert np.mean(result.effective_sample_size < 2) > 0.1, "some are resampled"
    ratio = np.exp(result.bound - kalman_log_prob(observed))
    error = np.std(ratio) / np.sqrt(len(ratio))
    assert error < 0.02
    assert np.mean(ratio) == pytest.approx(1, abs=4 * error)


def test_the_bounds_rise_to_the_likelihood():
    observed = observations(8, 12)
    exact = kalman_log_prob(observed)
    many = np.repeat(observed, 100, 0)
    gaps = []
    for K in (1, 4, 32):
        core = Guided(K, 0.2, 0.4)
        gaps.append([np.mean(kalman_log_prob(many) - b(core, many).bound) for b in (fivo, iwae)])
    gaps = np.array(gaps)
    assert np.all(np.diff(gaps, axis=0) < 0) and np.all(gaps > 0)
    assert_close(fivo(Guided(1000, 0.2, 0.4), observed).bound, exact, 0.05)
    assert gaps[2, 0] < gaps[2, 1], "resampling helps sequences that are long for their particles"


def test_the_mean_of_the_particles_is_below_the_bound():
    result = fivo(Guided(8, 0.3, use_monte_carlo_kl=True), observations(50, 12))
    assert np.all(tf.reduce_sum(result.log_prob - result.kl, axis=1) < result.bound)
    sizes = result.effective_sample_size.numpy()
    assert sizes.min() >= 1 and sizes.max() <= 8


def test_what_follows_the_end_of_a_row_adds_nothing():
    core, observed = Guided(6, 0.5), observations(3, 8)
    lengths = [8, 3, 5]
    padded = fivo(core, observed, lengths=tf.constant(lengths))
    inputs = tf.constant(observed[..., None])
    noise = tf.random.stateless_normal([18, 8, 1], [0, 1])
    uniforms = tf.random.stateless_uniform([3, 8], [0, 2])
    for row, length in enumerate(lengths):
        only, particles = np.s_[row : row + 1, :length], np.s_[6 * row : 6 * row + 6, :length]
        exact = core.encode((), inputs)[only]  # that of the whole row
        alone = bounds.fivo(
            core, (), inputs[only], exact, core.initial_state(1),
            noise[particles], uniforms[only],
        )  # fmt: skip
        assert_close(padded.bound[row], alone.bound[0])
        assert_close(padded.effective_sample_size[row], alone.effective_sample_size[0])
        assert np.all(padded.log_prob[row, length:] == 0) and np.all(padded.kl[row, length:] == 0)


def test_the_weight_of_the_kl_is_the_exponent_of_the_prior_in_the_weights():
    core, observed = Guided(1, 0.3, use_monte_carlo_kl=True), observations(3)
    for bound in (fivo, iwae):
        result = bound(core, observed, strength=0.25)
        assert_close(result.bound, tf.reduce_sum(result.log_prob - 0.25 * result.kl, axis=1))


def gradients(core, observed, function, **kwargs):
    """Returns the gradients of the sum of bounds with respect to the variables of q."""
    with tf.GradientTape() as tape:
        result = iwae(core, observed, function=function, **kwargs)
        total = tf.reduce_sum(result.log_prob - result.kl if result.bound is None else result.bound)
    return np.array(tape.gradient(total, [core.moved, core.widened]))


@pytest.mark.parametrize(
    ("function", "estimator"),
    [(bounds.elbo, "stl"), (bounds.elbo, "dreg"), (bounds.iwae, "stl"), (bounds.iwae, "dreg")],
)
def test_without_the_score_the_gradient_vanishes_at_the_true_posterior(function, estimator):
    observed = observations(3)
    plain = Guided(2, use_monte_carlo_kl=True)
    assert np.min(np.abs(gradients(plain, observed, function))) > 0.1
    exact = gradients(Guided(2, estimator=estimator), observed, function)
    np.testing.assert_allclose(exact, 0, atol=2e-4)


@pytest.mark.parametrize(
    ("function", "estimator", "strength"),
    [
        (bounds.elbo, "stl", 1.0),
        (bounds.elbo, "dreg", 1.0),
        (bounds.iwae, "dreg", 1.0),
        (bounds.iwae, "dreg", 0.4),
    ],
)
def test_estimators_have_the_same_mean_as_the_plain_gradient(function, estimator, strength):
    """With common noise, so the difference of the means varies little."""
    observed = np.repeat(observations(1, 3), 4000, 0)
    means = []
    for name in ("plain", estimator):
        core = Guided(3, 0.3, 0.4, estimator=name, use_monte_carlo_kl=True)
        seeds = [
            gradients(core, observed, function, seed=seed, strength=strength) / len(observed)
            for seed in range(8)
        ]
        means.append(np.mean(seeds, axis=0))
        error = np.std(seeds, axis=0).max() / np.sqrt(len(seeds))
    assert np.abs(means[0]).min() > 0.1
    np.testing.assert_allclose(*means, atol=max(5 * error, 0.02))


def test_an_estimator_changes_no_value():
    observed = observations(3)
    for function in (bounds.elbo, bounds.iwae):
        plain = iwae(Guided(3, 0.3), observed, function=function)
        for estimator in ("stl", "dreg"):
            other = iwae(Guided(3, 0.3, estimator=estimator), observed, function=function)
            assert_close([x for x in other if x is not None], [x for x in plain if x is not None])


@pytest.mark.parametrize(
    "name", [*sorted(vaeseq.VAE_TYPES), "SRNN categorical", "VRNN categorical"]
)
def test_shared_steps_equal_the_steps(name, pooled, observed):
    vae_type, *kind = name.split()
    hparams = SMALL.replace(vae_type=vae_type, latent_kind=kind[0] if kind else "gaussian")
    core = pooled(Waves, hparams).core
    noise = tf.random.stateless_normal([8, 6, core.latent_size], [1, 2])
    contexts = ((), tf.random.stateless_normal([4, 6, 6], [3, 4]))
    state, evidence = core.initial_state(4), core.encode(contexts, observed)
    shared, own = core.share(contexts, state, evidence)

    def step(inputs, own):
        shared, noise = inputs
        return core.step_shared(repeat_rows(shared, 2), own, noise)

    steps, _ = scan(step, (shared, noise), repeat_rows(own, 2))
    repeated = repeat_rows((contexts, state, evidence), 2)
    expected, _ = core.unroll(*repeated[:2], noise, repeated[2])
    assert_close(steps, expected)
    particles = core.unroll_particles(contexts, state, noise, evidence, None, 2)
    assert_close(particles, core.unroll(*repeated[:2], noise, repeated[2]))
