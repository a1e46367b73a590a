"""What an agent sees of its world model: in imagination, and in episodes as they go on."""

import numpy as np
import pytest
import tensorflow as tf

from tests.examples.play.conftest import LEARNING, TINY, train_steps
from tests.examples.play.toy_environments import Corridor, Recall
from vaeseq.errors import UsageError
from vaeseq.examples.play import imagination
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.episodes import play
from vaeseq.examples.play.imagination import Start
from vaeseq.examples.play.player import Player
from vaeseq.examples.play.replay import Transitions
from vaeseq.model.wiring import State

SEES_STATE = TINY.replace(agent_sees="state")
WORLDS = {
    "RNN": SEES_STATE,
    "VRNN": SEES_STATE.replace(vae_type="VRNN"),
    "categorical": SEES_STATE.replace(
        vae_type="VRNN", latent_kind="categorical", latent_groups=2, latent_classes=3
    ),
}
online = pytest.mark.parametrize("world", WORLDS)


@pytest.fixture
def player(world, player_for):
    """A player that has collected some steps, for `Corridor(9)`."""
    environment = Environment(Corridor(9, max_steps=7))
    player = player_for(environment, WORLDS[world], seed=2)
    train_steps(player, environment, 0, 8)
    return player


@online
def test_the_belief_of_an_episode_is_the_filtering_posterior_of_all_of_it(player, monkeypatch):
    world, remember, beliefs = player.world, player.actor.remember, []

    def remember_and_keep(*args):
        memory = remember(*args)
        beliefs.append(memory.belief)
        return memory

    monkeypatch.setattr(player.actor, "remember", remember_and_keep)
    episodes = play(player.actor, Environment(Corridor(9, max_steps=7)), [3, 4], 6)
    assert len(beliefs) == 5 and len(episodes) == 2
    before = np.stack([x.observations[:-1] for x in episodes])
    after, actions, rewards = (
        np.stack([getattr(x, name)[-6:] for x in episodes]).astype(np.float32)
        for name in ("observations", "actions", "rewards")
    )
    no = np.zeros([2, 6], bool)
    outcomes = tuple(world.outcomes(before, Transitions(after, actions, rewards, no, no, None)))
    given = world.condition(outcomes, tf.constant(actions), None, before[:, 0])
    noise = tf.zeros([2, 6, world.core.latent_size])
    core = world.core
    steps, states = core.unroll(given.contexts, core.initial_state(2), noise, given.evidence)
    for t, belief in enumerate(beliefs):
        for online, whole in zip(*map(tf.nest.flatten, (belief, states)), strict=True):
            np.testing.assert_allclose(online, whole[:, t], atol=1e-5)
    if core.latent_size:
        most_probable = steps.posterior.dist().mode()
        np.testing.assert_allclose(beliefs[-1][1], most_probable[:, 4], atol=1e-5)


@online
def test_an_episode_that_goes_like_a_dream_looks_like_it(player):
    world, actor, agent = player.world, player.actor, player.agent
    first = tf.constant([[0.0], [1.0], [2.0]])
    start = Start(State(first, world.core.initial_state(3)), agent.initial_memory(3))
    imagined = imagination.imagine(world, agent, start, 5, tf.constant([3, 4]))
    assert imagined.seen.shape == [3, 6, world.seen_size]
    memory, observations = actor.initial_memory(3), imagined.observations
    depth = TINY.rnn_hidden_sizes[-1]  # of d_t; z_t is a sample in the dream
    assert world.seen_size == depth + world.core.latent_size
    for t in range(5):
        seen = world.seen(State(observations[:, t], memory.belief))
        np.testing.assert_allclose(seen[:, :depth], imagined.seen[:, t, :depth], atol=1e-5)
        if t and world.core.latent_size:
            break  # from then on, d_t depends on z
        no, start_row = np.zeros(3, bool), np.zeros(3, np.int64)
        step = (observations[:, t + 1], imagined.actions[:, t], imagined.rewards[:, t])
        memory = actor.remember(memory, observations[:, t], Transitions(*step, no, no, start_row))


@pytest.mark.parametrize("vae_type", [pytest.param("RNN", marks=pytest.mark.slow), "VRNN"])
def test_an_agent_that_sees_the_state_remembers_what_it_saw(vae_type, player_for):
    """The policy has no memory, and needs the first observation at the second step."""
    hparams = LEARNING.replace(
        vae_type=vae_type, agent_sees="state", random_steps=120, replay_steps=2000, horizon=2,
        learning_rate=0.01, agent_learning_rate=0.01, rnn_hidden_sizes=(16,), batch_size=32,
        policy_fc_layers=(16,), imagined_games=64, obs_decoder_fc_hidden_layers=(16,),
    )  # fmt: skip
    environment = Environment(Recall())
    player = player_for(environment, hparams)
    train_steps(player, environment, 0, 400)
    episodes = play(player.actor, environment, range(20), 5)
    assert np.mean([episode.score for episode in episodes]) > 0.9


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN", "DKF", "SEQVAE"])
def test_the_state_of_a_core_that_does_not_filter_is_refused(vae_type):
    with pytest.raises(UsageError, match=f"of {vae_type} needs the whole episode; use vae_type=VR"):
        Player(SEES_STATE.replace(vae_type=vae_type), 1, 2, True)
