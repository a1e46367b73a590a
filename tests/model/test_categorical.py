"""What models with categorical latents do, besides the laws of cores and bounds."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq.model.latent_space import GREEDY
from vaeseq.nn import replicas

CATEGORICAL = SMALL.replace(latent_kind="categorical", latent_groups=2, latent_classes=3)


@pytest.fixture(params=["SRNN", "VRNN"])
def model(request, pooled):
    return pooled(Waves, CATEGORICAL.replace(vae_type=request.param))


def is_one_hot(z):
    z = np.reshape(z, [*z.shape[:-1], 2, 3])
    return np.all(np.isin(z, [0, 1])) and np.all(z.sum(axis=-1) == 1)


def test_training_lowers_the_loss_and_reports_the_true_kl(model, observed):
    model.optimizer.learning_rate.assign(0.01)
    history = model.fit(observed, epochs=30, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(
        history["elbo"], np.subtract(history["log_prob"], history["kl"]), 1e-5
    )


def test_balance_changes_training_but_not_the_metrics_of_a_model(pooled, observed):
    results = []
    for balance in (0.5, 0.8):
        model = pooled(Waves, CATEGORICAL.replace(vae_type="VRNN", kl_balance=balance))
        before = model.evaluate(observed, verbose=0, return_dict=True)
        model.fit(observed, verbose=0)
        results.append((before, model.get_weights()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    pairs = zip(results[0][1], results[1][1], strict=True)
    assert any(np.abs(x - y).max() > 1e-5 for x, y in pairs)


def test_smoothing_gives_probabilities(model, observed):
    smoothing = model.smooth(observed, 200)
    assert smoothing.mean.shape == smoothing.stddev.shape == (4, 6, 6)
    assert is_one_hot(smoothing.latents)
    np.testing.assert_allclose(smoothing.mean.reshape(4, 6, 2, 3).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(smoothing.mean, smoothing.latents.mean(axis=0), atol=0.03)
    variance = smoothing.mean * (1 - smoothing.mean)
    np.testing.assert_allclose(smoothing.stddev**2, variance, atol=1e-4)


def test_filtering_gives_probabilities_that_ignore_what_follows(pooled, observed):
    model = pooled(Waves, CATEGORICAL.replace(vae_type="VRNN"))
    changed = observed.copy()
    changed[:, 3] += 1
    first, second = model.filter(observed, 8), model.filter(changed, 8)
    assert isinstance(first, vaeseq.Categorical) and isinstance(first.probs, np.ndarray)
    assert first.probs.shape == (4, 6, 2, 3)
    np.testing.assert_allclose(first.probs.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(first.probs[:, :3], second.probs[:, :3], 1e-5)
    assert np.abs(first.probs - second.probs)[:, 3].max() > 1e-6


def test_variations_lead_from_the_posterior_to_free_samples(model, observed):
    free = model.generate(8, 6, temperature=0.3, seed=3)
    assert_close(model.vary(observed, 1, 2, temperature=0.3, seed=3), free)
    still = model.vary(observed, 0, 2, temperature=GREEDY, seed=1)
    assert_close(still, model.vary(observed, 0, 2, temperature=GREEDY, seed=2), 1e-3)
    behind = model._noise_behind(*model.prepare(observed))
    state = model.initial_state(4)
    given = model.condition(*model.prepare(observed), state.context)
    nothing = tf.zeros_like(behind)
    inferred, _ = model.core.unroll(given.contexts, state.core, nothing, given.evidence)
    made, _ = model.core.unroll(given.contexts, state.core, behind)
    assert_close(made.latents, inferred.latents)


def test_a_cold_sample_takes_the_most_probable_classes(model, observed):
    for seed in (1, 2):
        noise = model.noise(2, 3, seed, temperature=1e-6)
        assert np.abs(noise).max() < 1e-4
    cold = [model.generate(2, 3, temperature=GREEDY, seed=seed) for seed in (1, 2)]
    assert_close(*cold, 1e-3)


def test_parts_of_a_batch_have_the_noise_of_the_whole(model):
    whole = model.noise(4, 5, 3)
    parts = []
    for part in range(2):
        with replicas.part_of_batch(part, 2):
            parts.append(model.noise(2, 5, 3))
    assert_close(tf.concat(parts, 0), whole, 0)


def test_a_saved_model_is_the_same(model, observed, tmp_path):
    model.fit(observed, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", {"Waves": Waves})
    assert loaded.hparams == model.hparams
    assert_close(loaded.log_prob(observed), model.log_prob(observed))
    assert_close(loaded.generate(2, 3, seed=1), model.generate(2, 3, seed=1))


@pytest.mark.slow
def test_an_exported_model_is_the_same(pooled, observed, tmp_path):
    model = pooled(Waves, CATEGORICAL.replace(vae_type="VRNN"))
    model.export(tmp_path / "model")
    loaded = tf.saved_model.load(tmp_path / "model")
    assert_close(
        loaded.log_prob({"observed": observed}, 5, 1),
        model.log_prob(observed, num_samples=5, seed=1),
    )
    assert_close(loaded.generate(2, 3, 1), model.generate(2, 3, seed=1))
    assert_close(
        loaded.forecast({"observed": observed}, 3, 7, 1), model.forecast(observed, 3, 7, seed=1)
    )


@pytest.mark.parametrize("objective", ["iwae", "fivo"])
def test_gaps_and_padding_do_not_count(objective, observed):
    model = Waves(
        CATEGORICAL.replace(vae_type="VRNN", objective=objective, num_particles=3, gaps=True)
    )
    mask = np.random.default_rng(1).random([4, 6, 2]) < 0.6
    lengths, ends = [6, 2, 4, 1], np.arange(6)[None, :, None]
    counts = mask & (ends < np.reshape(lengths, [4, 1, 1]))
    results = []
    for filler in (np.nan, 5.0):
        batch = {
            "observed": np.where(counts, observed, filler).astype(np.float32),
            "lengths": np.array(lengths),
            "observed_mask": mask,
        }
        results.append(model(batch, strength=1.0, seed=[1, 2]))
    assert np.isfinite(results[0].bound).all()
    assert_close(*map(tuple, results), 0)


@pytest.mark.parametrize("objective", ["iwae", "fivo"])
def test_bounds_of_particles_train_every_weight(objective, observed):
    hparams = CATEGORICAL.replace(vae_type="SRNN", objective=objective, num_particles=3)
    model = Waves(hparams)
    with tf.GradientTape() as tape:
        result = model(observed, strength=1.0, seed=[1, 2], training=True)
        total = tf.reduce_sum(result.bound)
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(total, variables), strict=True):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, variable.path
