"""Imagination: trajectories of the agent in the world model.

    time            0        1        2      ...  H
    observation     o_0      o_1      o_2         o_H      o_0 is real, the others are imagined
    seen            s_0      s_1      s_2         s_H      o_t, or the state of the world model
    action          a_0      a_1      a_2         -        a_t ~ pi(. | s_t)
    reward          -        r_1      r_2         r_H      r_{t+1} follows a_t
    continues       -        c_1      c_2         c_H      probability that the episode continues
    return          R_0      R_1      R_2         v(s_H)   R_t is the return of a_t
    weight          1        d_1      d_1 d_2     -        discounted probability of reaching o_t,
                                                           d_t = discount * c_t

Hafner, Lillicrap, Ba, Norouzi, "Dream to Control", 2019, arXiv:1912.01603. The balanced KL, the
reinforce gradient and the scale of returns: Hafner et al. 2020, arXiv:2010.02193, and 2023,
arXiv:2301.04104.
"""

from typing import NamedTuple

import tensorflow as tf

from vaeseq.examples.play.agent import Agent, Memory
from vaeseq.examples.play.world import World
from vaeseq.model.wiring import State
from vaeseq.nn.sequences import scan


class Start(NamedTuple):
    """Where trajectories start: state of the world model and memory of the agent, [B, ...]."""

    state: State
    memory: Memory


class Trajectories(NamedTuple):
    """Imagined trajectories of H steps; column t of `actions` and below is the step from o_t."""

    observations: tf.Tensor  # o_0 to o_H [B, H + 1, X]
    seen: tf.Tensor  # what the agent sees of them, s_0 to s_H [B, H + 1, S]
    actions: tf.Tensor  # a_0 to a_{H-1} as sampled, before clipping to [-1, 1] [B, H, A]
    rewards: tf.Tensor  # r_1 to r_H [B, H], normalised
    continues: tf.Tensor  # c_1 to c_H [B, H]


def imagine(
    world: World, agent: Agent, start: Start, horizon: int, seed: tf.Tensor, pathwise: bool = False
) -> Trajectories:
    """Generates trajectories: the world's core generates, with the agent's actions as inputs.

    Observations are sampled at the temperature `hparams.dream_temperature`, because environments
    are less random than the predictions of an uncertain model. Rewards are the means of their
    distributions, and `continues` are probabilities.

    Args:
      world: the world model.
      agent: the agent.
      start: where the trajectories start.
      horizon: H.
      seed: a stateless seed, int32 [2]. `world.extend` with this seed, the same actions and
        temperature generates the same observations.
      pathwise: whether actions have the gradient of the policy.
    """
    noise_seed, outcome_seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    temperature = tf.constant(world.hparams.dream_temperature)
    noise = world.noise(tf.shape(start.memory.action)[0], horizon, noise_seed, temperature)

    def step(
        inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], carried: Start
    ) -> tuple[tuple[tf.Tensor, ...], Start]:
        noise, outcome_seed, action_seed = inputs
        (observation, core), memory = carried
        features, remembered = agent.features(world.seen(carried.state), memory)
        policy = agent.policy_params(features)
        action = agent.actions.sample(policy, action_seed[0])
        if pathwise:
            action = agent.actions.pathwise(policy, action)
        executed = tf.clip_by_value(action, -1, 1)
        context = world.context(executed, observation)
        outcome, core = world.core.step(context, core, noise)
        params = world.decoder.temper(outcome.obs_params, temperature)
        sampled = world.decoder.sample(params, outcome_seed[0])
        *_, reward, _, continues = tf.nest.flatten(outcome.obs_params)
        state = State(world.context.observe(sampled, observation), core)
        outputs = state.context, world.seen(state), action, reward, tf.sigmoid(continues)
        return outputs, Start(state, Memory(remembered, executed))

    inputs = (noise, _step_seeds(outcome_seed, horizon), _step_seeds(noise_seed, horizon))
    (*after, action, reward, continues), _ = scan(step, inputs, start)
    first = start.state.context, world.seen(start.state)
    pairs = zip(first, after, strict=True)
    observations, seen = (tf.concat([x[:, None], xs], axis=1) for x, xs in pairs)
    return Trajectories(observations, seen, action, reward, continues)


def _step_seeds(seed: tf.Tensor, horizon: int) -> tf.Tensor:
    """Returns one seed for each time step, [1, H, 2]."""
    fold = tf.random.experimental.stateless_fold_in
    return tf.stack([fold(seed, t) for t in range(horizon)])[None]


def lambda_returns(
    rewards: tf.Tensor, discounts: tf.Tensor, values: tf.Tensor, return_lambda: float
) -> tf.Tensor:
    """Computes R_t = r_{t+1} + d_{t+1} ((1 - lambda) v_{t+1} + lambda R_{t+1}), with R_H = v_H.

    Sutton and Barto, "Reinforcement Learning", 2018, section 12.1.

    Args:
      rewards: r_1 to r_H [B, H].
      discounts: d_1 to d_H [B, H].
      values: v_0 to v_H [B, H + 1]; v_0 is not used.
      return_lambda: lambda.

    Returns:
      R_0 to R_{H-1}, [B, H].
    """

    def step(
        inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor], later: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        reward, discount, value = inputs
        now = reward + discount * ((1 - return_lambda) * value + return_lambda * later)
        return now, now

    backwards = [tf.reverse(x, [1]) for x in (rewards, discounts, values[:, 1:])]
    returns, _ = scan(step, tuple(backwards), values[:, -1])
    return tf.reverse(returns, [1])


def step_weights(discounts: tf.Tensor) -> tf.Tensor:
    """Returns the discounted probabilities of reaching o_0 to o_{H-1}, [B, H]."""
    return tf.math.cumprod(discounts, axis=1, exclusive=True)
