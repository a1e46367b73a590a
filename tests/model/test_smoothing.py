"""The distribution of z_t given x_1:T, and given x_1:t for cores that filter."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from tests.vae.test_objectives import A, LinearGaussian, Q, R
from vaeseq import codec
from vaeseq.model import smoothing as module
from vaeseq.nn.masked import Masked

LENGTHS = np.array([8, 5, 8])
MASK = np.ones([3, 8], bool)
MASK[2, 3:6] = False
KNOWN = {"lengths": LENGTHS, "observed_mask": MASK}
INSIDE = np.arange(8) < LENGTHS[:, None]


class Filter(LinearGaussian):
    """A linear-Gaussian model; its q sees nothing after x_t, and is moved and too wide as well."""

    filters = True

    def encode(self, contexts, observed, lengths=None):
        if not isinstance(observed, Masked):
            observed = Masked(observed, tf.ones_like(observed, tf.bool))
        precision = tf.cast(observed.is_observed, tf.float32) / R
        return tf.concat([precision, precision * observed.values], axis=-1)

    def step(self, context, state, noise, *, evidence=None, latents=None):
        exact, _ = super().step(context, state, noise, evidence=evidence)
        loc, scale = exact.posterior
        posterior = vaeseq.Gaussian(loc + 0.3, 1.3 * scale)
        z = posterior.reparameterize(noise) if latents is None else latents
        return vaeseq.Step((z, exact.obs_params[1]), z, exact.prior, posterior), z


class Walk(vaeseq.ModelBase):
    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.NormalDecoder([1])

    def make_context(self):
        return vaeseq.context.Nothing()


@pytest.fixture(scope="module")
def walk():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(vaeseq.VAE_TYPES, "FILTER", Filter)
        return Walk(SMALL.replace(vae_type="FILTER", latent_size=1, gaps=True))


@pytest.fixture
def walks():
    """Two kinds of gaps, [3, 8, 1]: the end of a row, and a mask."""
    return np.random.default_rng(0).normal(size=[3, 8, 1]).astype(np.float32)


def exact(walks, until=8):
    """Mean and deviation of z_t given what is observed of x_1:until, [3, 8], as one Gaussian."""
    t = np.arange(8)
    earlier = np.minimum(t[:, None], t)
    of_z = A ** np.abs(t[:, None] - t) * Q * (1 - A ** (2 * earlier + 2)) / (1 - A**2)
    means, variances = [], []
    for x, seen in zip(walks[..., 0], MASK & INSIDE & (t < until), strict=True):
        of_x = of_z[seen][:, seen] + R * np.eye(seen.sum())
        gain = np.linalg.solve(of_x, of_z[seen]).T
        means.append(gain @ x[seen])
        variances.append(np.diag(of_z - gain @ of_z[seen]))
    return np.array(means), np.sqrt(variances)


def exact_filter(walks):
    steps = [exact(walks, t + 1) for t in range(8)]
    return tuple(np.stack([step[i][:, t] for t, step in enumerate(steps)], 1) for i in (0, 1))


def error(moments, expected):
    differences = np.array([np.squeeze(x, -1) for x in moments]) - np.array(expected)
    return np.max(np.abs(differences[:, INSIDE]))


@pytest.mark.parametrize("method", ["smooth", "filter"])
def test_particles_tend_to_the_exact_distribution_although_q_is_wrong(walk, walks, method):
    expected = exact(walks) if method == "smooth" else exact_filter(walks)
    errors = [
        error(getattr(walk, method)(walks, size, **KNOWN)[:2], expected) for size in (20, 5000)
    ]
    assert errors[1] < 0.1 < errors[0]
    proposals = [walk.infer(walks, **KNOWN, seed=s)[0].steps.latents for s in range(50)]
    unweighted = np.mean(proposals, axis=0), np.std(proposals, axis=0)
    assert error(unweighted, expected) > 0.3


def test_missing_observations_know_what_follows(walk, walks):
    drawn = walk.impute(walks, MASK, 2000)
    gap = np.s_[2, 3:6]
    mean, stddev = exact(walks)
    np.testing.assert_allclose(drawn.mean(axis=0)[gap][:, 0], mean[gap], atol=0.15)
    spread = np.sqrt(stddev**2 + R)
    np.testing.assert_allclose(drawn.std(axis=0)[gap][:, 0], spread[gap], atol=0.1)


def test_the_kl_is_that_of_the_posterior_also_with_a_monte_carlo_kl(observed):
    models = [
        Waves(SMALL.replace(vae_type="VRNN", use_monte_carlo_kl=flag)) for flag in (False, True)
    ]
    assert_close(*(model.smooth(observed, 3).kl for model in models), 0)
    with pytest.raises(ValueError, match="observed has no rows"):
        models[0].smooth(observed[:0], 3)


def test_samples_of_a_smoothing_have_equal_weights(walk, walks, monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 4000)  # two rows at a time
    smoothing = walk.smooth(walks, 2000, **KNOWN)
    moments = smoothing.latents.mean(axis=0), smoothing.latents.std(axis=0)
    for values, expected in zip(moments, smoothing[:2], strict=True):
        np.testing.assert_allclose(values[INSIDE], expected[INSIDE], atol=0.03)
    sizes = smoothing.effective_sample_size
    assert np.all(np.diff(sizes, axis=1) > -1e-2), "resampling leaves fewer of the steps before it"
    assert np.all((sizes >= 1) & (sizes <= 2000)) and sizes[0, 0] < 0.5 * sizes[0, -1]


def weighted_samples_of_the_prior(model, observed, lengths, samples=20000):
    """Mean and deviation of z given observed sequences, from samples that never saw them."""
    prepared = model.prepare(np.repeat(observed, samples, 0), None, np.repeat(lengths, samples))
    rows, time = len(observed) * samples, observed.shape[1]
    state = model.initial_state(rows)
    given = model.condition(*prepared, state.context)
    noise = model.noise(rows, time, 5)
    steps, _ = model.core.unroll(given.contexts, state.core, noise)
    log_prob = model.decoder.log_prob(steps.obs_params, prepared[0]).numpy()
    log_prob[np.arange(time) >= prepared[2].numpy()[:, None]] = 0
    weights = np.exp(log_prob.sum(axis=1)).reshape(len(observed), samples)
    weights = (weights / weights.sum(axis=1, keepdims=True))[..., None, None]
    z = steps.latents.numpy().reshape(*weights.shape[:2], time, -1)
    mean = np.sum(weights * z, axis=1, keepdims=True)
    return mean[:, 0], np.sqrt(np.sum(weights * (z - mean) ** 2, axis=1))


def test_smoothing_is_the_true_posterior_of_every_core(waves, observed):
    observed, lengths = observed[:, :2], np.array([2, 1, 2, 1])
    smoothing = waves.smooth(observed, 2000, lengths=lengths, seed=3)
    size = waves.core.latent_size
    assert smoothing.latents.shape == (2000, 4, 2, size)
    assert smoothing.mean.shape == smoothing.stddev.shape == (4, 2, size)
    assert smoothing.observed.shape == (2000, 4, 2, 2)
    inside = tf.sequence_mask(lengths, 2).numpy()
    for values in (smoothing.log_prob, smoothing.kl, smoothing.bound):
        assert values.shape == (4, 2) and not np.any(values[~inside])
    likelihood = waves.log_prob(observed, lengths=lengths, num_samples=1000)
    np.testing.assert_allclose(smoothing.bound.sum(axis=1), likelihood, atol=0.6)
    if size:
        expected = weighted_samples_of_the_prior(waves, observed, lengths)
        for values, others in zip(smoothing[:2], expected, strict=True):
            np.testing.assert_allclose(values[inside], others[inside], atol=0.12)
    else:
        assert_close(smoothing.effective_sample_size, np.full([4, 2], 2000.0))


def test_without_latents_the_likelihood_of_each_step_is_exact(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    smoothing = model.smooth(observed, 1)
    assert_close(smoothing.bound, model.infer(observed)[0].log_prob.numpy(), 1e-4)


def test_filtering_ignores_what_follows_and_knows_the_rest(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="VRNN"))
    changed = observed.copy()
    changed[:, 3] += 1
    first, second = model.filter(observed, 8), model.filter(changed, 8)
    assert isinstance(first, vaeseq.Gaussian) and isinstance(first.loc, np.ndarray)
    for before, after in zip(first, second, strict=True):
        assert before.shape == (4, 6, 3)
        np.testing.assert_allclose(before[:, :3], after[:, :3], 1e-5, 1e-6)
        assert np.all(np.abs(before - after)[:, 3:].max(axis=(0, 2)) > 1e-6)


@pytest.mark.parametrize(
    ("vae_type", "message"),
    [
        ("SRNN", "SRNN needs the whole sequence: `smooth` .* x_1:T; .* vae_type=VRNN"),
        ("RNN", "RNN has no latent variables; .* vae_type=VRNN"),
    ],
)
def test_without_a_filtering_posterior_the_error_names_what_is_possible(
    pooled, observed, vae_type, message
):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    with pytest.raises(vaeseq.UsageError, match=message):
        model.filter(observed)


def test_no_particles_are_refused(pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="VRNN"))
    for method in (model.smooth, model.filter):
        with pytest.raises(ValueError, match="num_samples must be at least 1, not 0"):
            method(observed, 0)
