"""The policy gradient against enumeration and finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.adversarial.words import (
    ADVERSARIAL,
    ALL,
    TIME,
    assert_is_gradient,
    dense,
    exact_values,
    expected_gradient,
    log_probs,
    make,
)
from tests.conftest import assert_close
from vaeseq.adversarial import policy_gradient
from vaeseq.adversarial.policy_gradient import reward_to_go, token_weights


def test_seqgan_is_the_gradient_of_the_expected_score():
    model = make()
    scores = model.adversary.discriminator.score(ALL).numpy()

    def loss():
        return -np.sum(np.exp(log_probs(model).numpy().sum(axis=1)) * scores) / TIME

    assert_is_gradient(expected_gradient(model, exact_values(model)), model, loss)


def test_the_entropy_bonus_is_the_gradient_of_the_entropy():
    model = make(policy_entropy_bonus=1.0)

    def loss():
        log_prob = log_probs(model).numpy().sum(axis=1)
        return np.sum(np.exp(log_prob) * log_prob) / TIME

    no_reward = np.zeros([len(ALL), TIME], np.float32)
    assert_is_gradient(expected_gradient(model, no_reward), model, loss)


def test_the_reference_is_that_of_a_kl_divergence():
    model, no_reward = make(policy_reference_kl=1.0), np.zeros([len(ALL), TIME], np.float32)
    reference = log_probs(model).numpy()
    for weight in model.weights:
        weight.assign(-0.7 * weight)

    def loss():
        log_prob = log_probs(model).numpy().sum(axis=1)
        return np.sum(np.exp(log_prob) * (log_prob - reference.sum(axis=1))) / TIME

    assert_is_gradient(expected_gradient(model, no_reward, reference), model, loss)


@pytest.mark.parametrize("step", [1, 2])
def test_prefix_equals_seqgan_with_larger_weights_for_early_steps(step):
    model = make(policy_gradient="prefix", policy_reward_step=step)
    values = exact_values(model)
    ends = [*range(step, TIME, step), TIME]
    on_grid = values[:, [t - 1 for t in ends]]
    prefix = token_weights(model.hparams, tf.constant(on_grid), TIME)
    # Q(x_1:t) is the mean of every later Q, of which there is one for each grid point from t on.
    later = np.array([sum(end >= t for end in ends) for t in range(1, TIME + 1)], np.float32)
    gradients = [dense(expected_gradient(model, w), model) for w in (prefix, later * values)]
    assert_close(*gradients, 1e-4)


def test_a_critic_leaves_the_expected_gradient_unchanged():
    plain, critic = make(), make(policy_baseline="critic")
    critic.set_weights(plain.get_weights())
    values = exact_values(plain)
    critic.adversary.discriminator.critic.kernel.assign([[0.3], [-2.0], [1.0], [0.7]])
    gradients = [dense(expected_gradient(model, values), model) for model in (critic, plain)]
    assert_close(*gradients, 1e-4)


@pytest.mark.parametrize(
    ("kind", "step", "values", "weights"),
    [
        ("seqgan", 1, [0, 1, 2], [0, 1, 2]),
        ("prefix", 1, [0, 1, 2], [3, 3, 2]),
        ("seqgan", 2, [1, 2], [1, 1, 2]),
        ("prefix", 2, [1, 2], [3, 3, 2]),
    ],
)
def test_token_weights_by_hand(kind, step, values, weights):
    hparams = ADVERSARIAL.replace(policy_gradient=kind, policy_reward_step=step)
    values = tf.constant([values], tf.float32)
    np.testing.assert_allclose(token_weights(hparams, values, TIME), [weights])


def test_prefixes_that_end_in_the_padding_do_not_count():
    hparams = ADVERSARIAL.replace(policy_gradient="prefix", policy_reward_step=2)
    values = tf.constant([[1.0, 5, 5, 5], [1, 2, 3, 5]])  # 5: of the whole sequence
    weights = token_weights(hparams, values, 7, tf.constant([3, 7]))
    np.testing.assert_allclose(weights, [[6, 6, 5, 5, 0, 0, 0], [11, 11, 10, 10, 8, 8, 5]])


def test_rewards_of_prefixes_by_hand():
    rewards = tf.constant([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(reward_to_go(rewards, 0.5), [[3.0, 4.0, 4.0]])
    logits = tf.constant([[1.0, 3.0, 2.0]])
    rewards = {
        kind: policy_gradient.rewards(ADVERSARIAL.replace(policy_reward=kind), logits)
        for kind in ("difference", "tanh", "log_sigmoid")
    }
    np.testing.assert_allclose(rewards["difference"], [[1, 2, -1]])
    sigmoid = 1 / (1 + np.exp(-logits.numpy()))
    np.testing.assert_allclose(rewards["tanh"], 2 * sigmoid - 1, rtol=1e-5)
    np.testing.assert_allclose(rewards["log_sigmoid"], np.log(sigmoid), rtol=1e-5)
