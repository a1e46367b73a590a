"""Samples and rollouts of a policy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.words import ALL, SYMBOLS, TIME, batch, exact_values, make
from tests.conftest import assert_close
from vaeseq import VAE_TYPES
from vaeseq.adversarial.rollouts import action_values, sample


def test_the_mean_score_of_rollouts_is_the_exact_action_value():
    model = make(policy_rollouts=4096)
    score = model.adversary.discriminator.score
    samples = sample(model, batch(ALL), [1, 2])
    rows = [int(np.flatnonzero((row == ALL).all(axis=1))[0]) for row in samples.observed.numpy()]
    values = action_values(model, score, samples, batch(ALL), [3, 4], rows_at_once=1 << 18)
    exact = exact_values(model)[rows]
    np.testing.assert_allclose(values, exact, atol=0.012)
    assert_close(values[:, -1], exact[:, -1])
    assert np.std(exact, axis=0).min() > 0.016, "they differ by more than the tolerance"


def test_rollouts_continue_their_prefix(vae_type):
    model, seen = make(vae_type=vae_type, policy_reward_step=2, policy_rollouts=2), []
    observed = np.random.default_rng(0).integers(SYMBOLS, size=[4, 5]).astype(np.int32)

    def score(sequences, lengths):
        seen.append(sequences)
        return tf.zeros([len(sequences)])

    samples = sample(model, batch(observed), [1, 2])
    values = action_values(model, score, samples, batch(observed), [3, 4])
    assert values.shape == (4, 3)  # t_k = 2, 4, 5
    rollouts = np.reshape(seen[0], [4, 2, 2, 5])
    for row, (k, end) in itertools.product(range(4), enumerate([2, 4])):
        for rollout in rollouts[row, k]:
            np.testing.assert_array_equal(rollout[:end], samples.observed[row, :end])


def test_without_a_step_to_roll_out_from_the_score_is_that_of_the_sample():
    for stride in (5, 6, 1 << 20):
        model = make(policy_reward_step=stride)
        samples = sample(model, batch(ALL[:4]), [1, 2])
        values = action_values(
            model,
            lambda sequences, lengths: tf.ones([len(sequences)]),
            samples,
            batch(ALL[:4]),
            [3, 4],
        )
        np.testing.assert_array_equal(values, np.ones([4, 1]))


def test_rollouts_are_made_in_rounds_that_fit_into_memory():
    """SeqGAN's schedule rolls each sequence out hundreds of times."""
    model, seen = make(policy_rollouts=5), []
    scores = tf.constant([1.0, 3.0])

    def score(sequences, lengths):
        seen.append(sequences)
        return tf.repeat(scores, len(sequences) // 2)

    samples = sample(model, batch(ALL[:4]), [1, 2])
    values = action_values(model, score, samples, batch(ALL[:4]), [3, 4], rows_at_once=19)
    assert [len(x) for x in seen] == [16, 16, 8, 4], "4 rows, 2 prefixes: 2, 2 and 1 rollouts"
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(values, np.repeat([[1.0], [3.0]], 2, axis=0) * np.ones([4, 3]))


@pytest.mark.parametrize("core", [*sorted(VAE_TYPES), "VRNN categorical"])
def test_log_prob_belongs_to_the_samples_and_their_latents(core):
    vae_type, *kind = core.split()
    model = make(vae_type=vae_type, latent_kind=kind[0] if kind else "gaussian")
    samples = sample(model, batch(ALL[:6]), [1, 2])
    assert samples.observed.shape == (6, TIME) and samples.log_prob.shape == (6, TIME)
    many = sample(model, batch(np.tile(ALL, [300, 1])), [5, 6])
    # The mean of 1 / p(x | z) over x ~ p(x | z) is the number of sequences. With the log_prob of
    # other latents, it would not be.
    inverse = tf.exp(-tf.reduce_sum(many.log_prob, axis=1))
    np.testing.assert_allclose(np.mean(inverse), SYMBOLS**TIME, rtol=0.25)
