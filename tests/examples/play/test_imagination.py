"""Imagined trajectories, their returns, and the gradients of the agent."""

import numpy as np
import pytest
import tensorflow as tf

from tests.examples.play.conftest import TINY, train_steps
from tests.examples.play.toy_environments import Bandit, Corridor
from vaeseq.examples.play import imagination, pictures
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.episodes import Episode
from vaeseq.examples.play.imagination import Start, Trajectories
from vaeseq.examples.play.player import Player
from vaeseq.model.wiring import State


def test_lambda_returns_match_a_calculation_by_hand():
    rewards, discounts = [[1.0, 2.0, 3.0]], [[0.5, 0.5, 0.0]]
    values = [[9.0, 10.0, 20.0, 30.0]]

    def returns(return_lambda):
        tensors = map(tf.constant, (rewards, discounts, values))
        return imagination.lambda_returns(*tensors, return_lambda)

    # R_2 = 3; R_1 = 2 + (10 + 1.5) / 2 = 7.75; R_0 = 1 + (5 + 3.875) / 2 = 5.4375
    np.testing.assert_allclose(returns(0.5), [[5.4375, 7.75, 3.0]])
    np.testing.assert_allclose(returns(0.0), [[6.0, 12.0, 3.0]])  # one step
    np.testing.assert_allclose(returns(1.0), [[2.75, 3.5, 3.0]])  # to the end
    weights = imagination.step_weights(tf.constant(discounts))
    np.testing.assert_allclose(weights, [[1.0, 0.5, 0.25]])


@pytest.mark.parametrize(
    "vae_type, sizes",
    [
        ("RNN", ()),
        ("SRNN", (4,)),
        ("VRNN", ()),
        pytest.param("RNN", (4,), marks=pytest.mark.slow),
        pytest.param("SRNN", (), marks=pytest.mark.slow),
        pytest.param("ISEQ", (), marks=pytest.mark.slow),
        pytest.param("ISEQ", (4,), marks=pytest.mark.slow),
    ],
)
def test_imagination_is_generation_with_the_actions_of_the_agent(vae_type, sizes, player_for):
    hparams = TINY.replace(vae_type=vae_type, policy_rnn_hidden_sizes=sizes)
    environment = Environment(Bandit(continuous=True))
    player = player_for(environment, hparams, seed=2)
    train_steps(player, environment, 0, 8)
    world, agent = player.world, player.agent
    state = State(tf.constant([[0.0], [1.0], [2.0]]), world.core.initial_state(3))
    start, seed = Start(state, agent.initial_memory(3)), tf.constant([3, 4])
    imagined = imagination.imagine(world, agent, start, 6, seed)
    executed = tf.clip_by_value(imagined.actions, -1, 1)
    (changes, *_), _ = world.extend(state, 3, 6, executed, hparams.dream_temperature, seed)
    scaled = changes * world.statistics.change_scale
    after = state.context[:, None] + np.cumsum(scaled, axis=1)
    np.testing.assert_allclose(imagined.observations[:, 1:], after, atol=1e-4)

    # The features of the sequence are those of its steps, and the actions are sampled from them.
    normalised = world.statistics.normalise(imagined.observations)
    before = tf.concat([tf.zeros([3, 1, 1]), executed], axis=1)
    features, _ = agent.sequence_features(normalised, before, start.memory.state)
    action_seeds = imagination._step_seeds(tf.random.experimental.stateless_split(seed)[0], 6)[0]
    memory = start.memory
    for t in range(6):
        step, state = agent.features(normalised[:, t], memory._replace(action=before[:, t]))
        memory = memory._replace(state=state)
        np.testing.assert_allclose(step, features[:, t], atol=1e-5)
        sampled = agent.actions.sample(agent.policy_params(step), action_seeds[t])
        np.testing.assert_allclose(imagined.actions[:, t], sampled, atol=1e-5)


@pytest.mark.parametrize("actor_gradient", ["reinforce", "pathwise"])
@pytest.mark.parametrize("discrete", [True, False])
def test_rewards_alone_move_the_policy_in_the_right_direction(actor_gradient, discrete, pooled):
    """The reward is the first component of the action."""
    hparams = TINY.replace(actor_gradient=actor_gradient, entropy_bonus=0.0, horizon=1)
    player = pooled(Player, hparams, 1, 2, discrete)
    agent, batch_size = player.agent, 4096
    with tf.GradientTape() as tape:
        observations = tf.zeros([batch_size, 2, 1])
        policy = agent.policy_params(observations[:, :1])
        actions = agent.actions.sample(policy, tf.constant([1, 2]))
        if player.actor_critic.pathwise:
            actions = agent.actions.pathwise(policy, actions)
        else:
            actions = tf.stop_gradient(actions)
        continues = tf.zeros([batch_size, 1])
        imagined = Trajectories(observations, observations, actions, actions[..., 0], continues)
        loss = player.actor_critic.loss(imagined, agent.initial_memory(batch_size))
    bias = agent.policy.weights[-1]
    (gradient,) = tape.gradient(loss, [bias])
    assert gradient[0] < -1e-3, "gradient descent raises the first output"
    if discrete:
        np.testing.assert_allclose(gradient[1], -gradient[0], rtol=1e-3)


def test_the_critic_does_not_train_the_slow_critic_which_follows_it(player_for):
    agent = player_for(Environment(Corridor())).agent
    assert not set(map(id, agent.slow_critic.weights)) & set(map(id, agent.trainable_variables))
    agent.critic.weights[0].assign_add(tf.ones_like(agent.critic.weights[0]))
    gap = agent.critic.weights[0] - agent.slow_critic.weights[0]
    agent.update_slow_critic(0.25)
    np.testing.assert_allclose(
        agent.critic.weights[0] - agent.slow_critic.weights[0], 0.75 * gap, atol=1e-6
    )


def test_the_straight_through_gradient_is_that_of_the_probabilities(player_for):
    actions = player_for(Environment(Bandit())).agent.actions
    logits = tf.constant([[0.3, -1.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        sampled = actions.pathwise((logits,), tf.constant([[0.0, 1.0]]))[0, 1]
        probability = tf.nn.softmax(logits)[0, 1]
    assert sampled == 1
    gradients = (tape.gradient(x, logits) for x in (sampled, probability))
    np.testing.assert_allclose(*gradients)


def test_a_dream_that_is_not_finite_is_drawn_beside_the_episode(monkeypatch):
    observations = np.linspace([0, 1], [1, 0], 5).astype(np.float32)
    episode = Episode(observations, np.zeros([4, 1]), np.zeros([4]), False)
    wild = observations * np.array([[np.nan], [np.inf], [1e38], [-np.inf], [1]], np.float32)
    monkeypatch.setattr(pictures, "dream", lambda player, episode: wild)
    assert pictures.reality_beside_dream(None, episode).startswith(b"GIF")
