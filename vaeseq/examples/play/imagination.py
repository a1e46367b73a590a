"""Imagination: games that the agent plays inside the world model, and what it learns of them.

    time            0        1        2      ...  H
    observation     o_0      o_1      o_2         o_H      o_0 is real, what follows is dreamt
    action          a_0      a_1      a_2         -        a_t ~ pi(. | o_t)
    reward          -        r_1      r_2         r_H      r_{t+1} is what a_t has brought
    continues       -        c_1      c_2         c_H      the probability that it goes on
    return          R_0      R_1      R_2         v(o_H)   R_t credits a_t
    weight          1        d_1      d_1 d_2     -        that o_t is reached, d_t = discount c_t

Hafner, Lillicrap, Ba, Norouzi, "Dream to Control", 2019, arXiv:1912.01603; balanced KL, reinforce
and the scale of returns: Hafner et al. 2020, arXiv:2010.02193, and 2023, arXiv:2301.04104.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq.examples.play.agent import Agent, Memory
from vaeseq.examples.play.world import World
from vaeseq.model.base import State
from vaeseq.nn.sequences import scan


class Start(NamedTuple):
    """Where games are dreamt from: the world's state and the agent's memory, [B, ...]."""

    state: State
    memory: Memory


class Dream(NamedTuple):
    """Games of H moves; column t of actions, rewards and continues is the move out of o_t."""

    observations: tf.Tensor  # o_0 to o_H [B, H + 1, X]
    actions: tf.Tensor  # a_0 to a_{H-1} as drawn; the game cuts them at -1 and 1 [B, H, A]
    rewards: tf.Tensor  # r_1 to r_H [B, H]
    continues: tf.Tensor  # c_1 to c_H [B, H]


def imagine(
    world: World, agent: Agent, start: Start, horizon: int, seed: tf.Tensor, pathwise: bool = False
) -> Dream:
    """Dreams: generation of the world's core, where the agent gives the inputs.

    Its temperature is `hparams.dream_temperature`: games are less random than a model of them that
    is not sure. Rewards are the means of their distributions, and whether a game continues is a
    probability.

    Args:
      world: the world model.
      agent: the agent.
      start: where from.
      horizon: H.
      seed: stateless, int32 [2]; `world.extend` with it, the dream's actions and the temperature
        draws the dream's outcomes.
      pathwise: whether actions have the gradient of the policy.
    """
    noise_seed, outcome_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    fold = tf.random.experimental.stateless_fold_in
    temperature = tf.constant(world.hparams.dream_temperature)
    noise = world.noise(tf.shape(start.memory.action)[0], horizon, noise_seed)
    noise *= tf.sqrt(temperature)
    seeds = tf.stack([fold(outcome_seed, t) for t in range(horizon)])
    action_seeds = tf.stack([fold(noise_seed, t) for t in range(horizon)])

    def step(inputs: Any, carried: Start) -> tuple[Any, Start]:
        noise, seed, action_seed = inputs
        (observation, core), memory = carried
        features, remembered = agent.remember(world.units.normalise(observation), memory)
        policy = agent.act(features)
        action = agent.actions.sample(policy, action_seed[0])
        if pathwise:
            action = agent.actions.pathwise(policy, action)
        made = tf.clip_by_value(action, -1, 1)
        context = world.context(made, observation)
        outcome, core = world.core.step(context, core, noise)
        params = world.decoder.temper(outcome.obs_params, temperature)
        change = world.decoder.sample(params, seed[0])
        _, (reward, _), (continues,) = outcome.obs_params
        after = world.context.observe(change, observation)
        carried = Start(State(after, core), Memory(remembered, made))
        return (after, action, reward, tf.sigmoid(continues)), carried

    dreamt, _ = scan(step, (noise, seeds[None], action_seeds[None]), start)
    observations, *moves = dreamt
    first = start.state.context[:, None]
    return Dream(tf.concat([first, observations], axis=1), *moves)


def lambda_returns(
    rewards: tf.Tensor, discounts: tf.Tensor, values: tf.Tensor, return_lambda: float
) -> tf.Tensor:
    """R_t = r_{t+1} + d_{t+1} ((1 - lambda) v_{t+1} + lambda R_{t+1}), and R_H = v_H.

    Sutton and Barto, "Reinforcement Learning", 2018, section 12.1.

    Args:
      rewards: r_1 to r_H [B, H].
      discounts: d_1 to d_H [B, H].
      values: v_0 to v_H [B, H + 1]; v_0 plays no part.
      return_lambda: lambda.

    Returns:
      R_0 to R_{H-1}, [B, H].
    """

    def step(inputs: Any, later: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        reward, discount, value = inputs
        now = reward + discount * ((1 - return_lambda) * value + return_lambda * later)
        return now, now

    backwards = [tf.reverse(x, [1]) for x in (rewards, discounts, values[:, 1:])]
    returns, _ = scan(step, tuple(backwards), values[:, -1])
    return tf.reverse(returns, [1])


def weights(discounts: tf.Tensor) -> tf.Tensor:
    """How probable it is that o_0 to o_{H-1} are reached, discounted: [B, H]."""
    return tf.math.cumprod(discounts, axis=1, exclusive=True)
