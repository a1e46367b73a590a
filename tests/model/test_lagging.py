"""Updates of the posterior alone, and of all else alone; see `vaeseq.vae.lagging`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.adversarial.words import ADVERSARIAL, ALL, Words
from tests.conftest import SMALL, Waves, assert_close
from vaeseq.training.private_api import adam_moments
from vaeseq.vae import lagging

SEQVAE = SMALL.replace(vae_type="SEQVAE", posterior_steps=5, posterior_updates=2)
POSTERIOR, GENERATIVE, BOTH = {"posterior"}, {"generative"}, {"posterior", "generative"}
EXPECTED = [POSTERIOR, POSTERIOR, GENERATIVE, POSTERIOR, POSTERIOR, BOTH, BOTH]


def variables_of(model, part):
    others = model.context, model.decoder
    return lagging.variables_of(part, model.trainable_variables, model.core, others)


def parts_with_moments(model):
    """The weights of each part and their moments."""
    return {
        part: [
            x.numpy()
            for variable in variables_of(model, part)
            for x in (variable, *adam_moments(model.optimizer, variable))
        ]
        for part in BOTH
    }


def changes(model, data, steps):
    """Makes steps; returns the parts that each one changed, which must change wholly."""
    found, before = [], parts_with_moments(model)
    for _ in range(steps):
        model.fit(data, shuffle=False, verbose=0)
        after = parts_with_moments(model)
        same = {
            part: [np.array_equal(x, y) for x, y in zip(before[part], after[part], strict=True)]
            for part in BOTH
        }
        assert all(len(set(equal)) == 1 for equal in same.values())
        found.append({part for part in BOTH if not any(same[part])})
        before = after
    return found


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("vae_type", ["SEQVAE", "SRNN"])
def test_an_update_of_a_part_leaves_the_other_and_its_moments_as_they_are(
    vae_type, eagerly, pooled, observed
):
    model = pooled(Waves, SEQVAE.replace(vae_type=vae_type), run_eagerly=eagerly)
    assert changes(model, observed, 7) == EXPECTED
    assert model.trained_steps == 7


def test_an_update_of_a_part_is_that_part_of_an_update_of_all(pooled, observed):
    """The learning rate and the correction of Adam's bias are those of the step."""
    hparams = SEQVAE.replace(clip_gradient_norm=0, learning_rate_decay_steps=9)
    model = pooled(Waves, hparams)
    whole = pooled(Waves, hparams.replace(posterior_steps=0))
    for step in range(4):
        pairs = zip(whole.variables, model.variables, strict=True)
        pairs = [*pairs, *zip(whole.optimizer.variables, model.optimizer.variables, strict=True)]
        for x, y in pairs:
            x.assign(y)
        for each in (model, whole):
            each.fit(observed, shuffle=False, verbose=0)
        part = lagging.part(hparams, step)
        assert_close(parts_with_moments(model)[part], parts_with_moments(whole)[part], 1e-6)


def test_micro_batches_are_the_same_updates_as_whole_batches(observed):
    def weights(count, epochs):
        model = Waves(SEQVAE.replace(dropout=0.3))
        optimizer = keras.optimizers.Adam(0.02, gradient_accumulation_steps=count, clipnorm=1)
        model.compile(optimizer)
        data = tf.data.Dataset.from_tensor_slices(observed).batch(4 // (count or 1))
        model.fit(data, epochs=epochs, shuffle=False, verbose=0)
        assert model.trained_steps == epochs
        return model.get_weights()

    assert_close(weights(2, 6), weights(None, 6), 1e-4)


def test_the_posterior_is_trained_apart_before_a_discriminator_is(pooled):
    hparams = ADVERSARIAL.replace(
        vae_type="SEQVAE",
        policy_elbo_steps=6,
        policy_judge_steps=1,
        posterior_steps=5,
        posterior_updates=2,
    )
    model = pooled(Words, hparams)
    words = ALL[: hparams.batch_size]
    assert changes(model, words, 8) == [*EXPECTED[:6], set(), BOTH]
    with pytest.raises(vaeseq.UsageError, match="posterior_steps=5 must be at most policy_elbo_st"):
        Words(hparams.replace(policy_elbo_steps=4)).compile()


def test_updates_of_the_posterior_bring_it_closer_to_the_true_one():
    """log p(x), by quadrature over z, stays; KL(q || p(z | x)) falls, and ELBO + KL = log p(x)."""
    hparams = SEQVAE.replace(latent_size=1, posterior_steps=100, posterior_updates=99)
    model = Waves(hparams.replace(learning_rate=0.02))
    model.compile()
    for weight in model.core.d_0.weights:  # z matters
        weight.assign(weight * 5 + 0.5)
    observed = np.random.default_rng(0).normal(size=[4, 6, 2]).astype(np.float32)
    log_p, kl = exact(model, observed)
    model.fit(tf.data.Dataset.from_tensors(observed).repeat(60), shuffle=False, verbose=0)
    after, closer = exact(model, observed)
    np.testing.assert_array_equal(after, log_p)
    assert np.mean(closer) < 0.2 * np.mean(kl)
    many = np.repeat(observed, 2000, axis=0)
    elbo = np.reshape(vaeseq.objectives.elbo(model.infer(many)[0]), [4, -1])
    np.testing.assert_allclose(elbo.mean(axis=1) + closer, log_p, atol=0.02)


def exact(model, observed, points=801):
    """log p(x) and KL(q(z | x) || p(z | x)) in nats, [B], by quadrature over one-dimensional z."""
    z = np.linspace(-8, 8, points, dtype=np.float32)
    width, q = z[1] - z[0], model.encode(observed)
    log_p, kl = [], []
    for row, loc, scale in zip(observed, *q, strict=True):
        rows = np.repeat(row[None], points, axis=0)
        state = model.initial_state(points)
        contexts, _ = model.context.from_observations(tf.constant(rows), (), state.context)
        latents = np.tile(z[:, None, None], [1, len(row), 1])
        given = model.core.infer(contexts, rows, state.core, latents, latents=latents)
        log_joint = np.sum(given.log_prob, axis=1) - z**2 / 2 - np.log(2 * np.pi) / 2
        log_p.append(np.logaddexp.reduce(log_joint.astype(np.float64)) + np.log(width))
        log_q = -(((z - loc) / scale) ** 2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2
        kl.append(np.sum(np.exp(log_q) * (log_q - log_joint + log_p[-1])) * width)
    return np.array(log_p), np.array(kl)


def test_what_cannot_know_the_step_is_refused(observed):
    model = Waves(SEQVAE)
    with pytest.raises(ValueError, match="steps_per_execution must be 1 with posterior_steps"):
        model.compile(steps_per_execution=2)
    plain = Waves(SEQVAE.replace(posterior_steps=0))
    plain.compile(steps_per_execution=2)
    model.compile_from_config(plain.get_compile_config())  # as of a model that was loaded
    assert model.steps_per_execution == 1
    model.compile()
    with pytest.raises(vaeseq.UsageError, match="trained by its own `fit` or `train_on_batch`"):
        tf.function(model.train_step, autograph=False)(observed)
