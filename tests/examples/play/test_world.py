"""The world model: normalised outcomes and their contexts."""

import numpy as np
import tensorflow as tf

from tests.examples.play.conftest import train_steps
from tests.examples.play.toy_environments import Corridor
from vaeseq.examples.play.environment import Environment
from vaeseq.examples.play.replay import Transitions


def test_outcomes_are_normalised_and_the_context_inverts_them(player_for):
    environment = Environment(Corridor(2))
    player = player_for(environment)
    rows = train_steps(player, environment, 0, 30)
    world, statistics = player.world, player.world.statistics
    is_step = rows.episode_start < np.arange(len(rows.episode_start))
    after, before = rows.observation[is_step], rows.observation[:-1][is_step[1:]]
    np.testing.assert_allclose(statistics.loc, after.mean(0), rtol=1e-5)
    np.testing.assert_allclose(statistics.scale, after.std(0), rtol=1e-5)
    change_scale = np.sqrt(((after - before) ** 2).mean(0))
    np.testing.assert_allclose(statistics.change_scale, change_scale, rtol=1e-5)
    transitions = Transitions(*(x[is_step] for x in rows))
    outcome = world.outcomes(before, transitions)
    np.testing.assert_allclose(world.context.observe(tuple(outcome), before), after, atol=1e-5)
    np.testing.assert_array_equal(outcome.continues, 1.0 - transitions.terminated)


def test_the_contexts_of_a_known_sequence_are_those_of_its_steps(player_for):
    environment = Environment(Corridor(2))
    player = player_for(environment)
    train_steps(player, environment, 0, 8)
    context, rng = player.world.context, np.random.default_rng(0)
    changes = tf.constant(rng.normal(size=[2, 5, 1]), tf.float32)
    observed = (changes, tf.zeros([2, 5]), tf.zeros([2, 5]))
    inputs = tf.constant(rng.normal(size=[2, 5, 2]), tf.float32)
    state = tf.constant([[1.0], [-2.0]])
    fused = context.from_observations(observed, inputs, state)
    stepwise = super(type(context), context).from_observations(observed, inputs, state)
    for a, b in zip(*map(tf.nest.flatten, (fused, stepwise)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
