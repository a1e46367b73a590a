"""The agent: a policy and a critic, with memory for partially observed environments.

By default both see observations. They may see states of the world model instead, if its posterior
filters: otherwise it looks at future observations, which are unknown when the agent acts.
"""

from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import DistModule
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.replay import Transitions
from vaeseq.examples.play.world import World
from vaeseq.model.wiring import State
from vaeseq.nn import finite
from vaeseq.nn.lstm import LSTMStack, LSTMState
from vaeseq.nn.mlp import MLP, concat
from vaeseq.nn.types import Size
from vaeseq.training.private_api import compile_quietly

RecurrentState: TypeAlias = tuple[LSTMState, ...]
"""State of the agent's LSTMs, one for each layer; () if it has none."""

_MIN_SCALE, _MAX_SCALE = 0.1, 1.0  # standard deviation of a continuous action


class OneHotActions(DistModule):
    """Distribution of one-hot actions; the features are logits."""

    event_dtype = tf.float32

    def __init__(self, action_size: int, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.param_size = tf.TensorShape([action_size]), action_size

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor]:
        """Returns the logits."""
        return (features,)

    def dist(self, params: tuple[tf.Tensor]) -> tfd.Distribution:
        """Returns a distribution of one-hot vectors."""
        return tfd.OneHotCategorical(*params, dtype=tf.float32)

    def greedy(self, params: tuple[tf.Tensor]) -> tf.Tensor:
        """Returns the most probable action."""
        return tf.one_hot(tf.argmax(params[0], axis=-1), self.param_size)

    def pathwise(self, params: tuple[tf.Tensor], action: tf.Tensor) -> tf.Tensor:
        """Returns the sampled action with the gradient of its probabilities.

        This is the straight-through estimator (Bengio, Léonard, Courville 2013, arXiv:1308.3432).
        """
        probabilities = tf.nn.softmax(params[0])
        return tf.stop_gradient(action - probabilities) + probabilities


class NormalActions(DistModule):
    """Distribution of continuous actions, which environments clip to [-1, 1].

    The features are the means before tanh and the standard deviations before a sigmoid.
    """

    event_dtype = tf.float32

    def __init__(self, action_size: int, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.param_size = tf.TensorShape([action_size]), 2 * action_size

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns means and standard deviations."""
        loc, scale = tf.split(features, 2, axis=-1)
        return tf.tanh(loc), _MIN_SCALE + (_MAX_SCALE - _MIN_SCALE) * tf.sigmoid(scale)

    def dist(self, params: tuple[tf.Tensor, tf.Tensor]) -> tfd.Distribution:
        """Returns independent Normals."""
        return tfd.Independent(tfd.Normal(*params), 1)

    def greedy(self, params: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Returns the means."""
        return params[0]

    def pathwise(self, params: tuple[tf.Tensor, tf.Tensor], action: tf.Tensor) -> tf.Tensor:
        """Returns the sampled action: samples of a Normal are differentiable."""
        return action


class Memory(NamedTuple):
    """What the agent carries from one observation to the next."""

    state: RecurrentState
    action: tf.Tensor  # a_{t-1}, [B, A]
    belief: Any = ()  # in an episode, if the agent sees it; see `World.believe`


class Agent(keras.layers.Layer):
    """A policy pi(a_t | s_t) and a critic v(s_t), where s_t is what the agent sees.

    With `hparams.policy_rnn_hidden_sizes` an LSTM precedes both, so that they depend on
    s_1:t and a_1:t-1. What is seen is normalised observations, or states; see `World.seen`.

    Args:
      hparams: the hyperparameters.
      seen_size: S, the number of features that the agent sees.
      action_size: A.
      discrete: whether actions are one-hot.
    """

    def __init__(self, hparams: PlayHParams, seen_size: int, action_size: int, discrete: bool):
        super().__init__(name="agent")
        self.action_size = action_size
        actions = OneHotActions if discrete else NormalActions
        self.actions: OneHotActions | NormalActions = actions(action_size)
        sizes = hparams.policy_rnn_hidden_sizes
        self.rnn = LSTMStack(hparams.replace(rnn_hidden_sizes=sizes)) if sizes else None
        self.policy = MLP(hparams, (*hparams.policy_fc_layers, self.actions.param_size))
        self.critic = MLP(hparams, (*hparams.policy_fc_layers, 1))
        self.slow_critic = MLP(hparams, (*hparams.policy_fc_layers, 1))
        features, _ = self.features(tf.zeros([1, seen_size]), self.initial_memory(1))
        self.policy_params(features)
        self.critic(features)
        self.slow_critic(features)
        self.slow_critic.trainable = False
        self.return_scale = self.add_weight((), "zeros", trainable=False, name="return_scale")
        self.update_slow_critic(1.0)
        self.built = True

    def initial_memory(self, batch_size: Size) -> Memory:
        """Returns the memory before the first observation, without a belief."""
        state = () if self.rnn is None else self.rnn.initial_state(batch_size)
        return Memory(state, tf.zeros([batch_size, self.action_size]))

    def features(self, seen: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, RecurrentState]:
        """Returns the features [B, F] of s_t [B, S] and the new recurrent state."""
        if self.rnn is None:
            return seen, ()
        return self.rnn.step(concat((seen, memory.action)), memory.state)

    def sequence_features(
        self, seen: tf.Tensor, actions: tf.Tensor, state: RecurrentState
    ) -> tuple[tf.Tensor, RecurrentState]:
        """Returns the features [B, T, F] of a sequence and the recurrent states after each step.

        Args:
          seen: s_1:T, [B, T, S].
          actions: the action before each of them, [B, T, A].
          state: the recurrent state before the first.
        """
        if self.rnn is None:
            return seen, ()
        return self.rnn.unroll(concat((seen, actions)), state)

    def policy_params(self, features: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Returns the params of `actions` for features [..., F]."""
        return self.actions(self.policy(features))

    def value(self, features: tf.Tensor, slow: bool = False) -> tf.Tensor:
        """Returns the value [...] of features [..., F] by the critic or the slow critic."""
        return (self.slow_critic if slow else self.critic)(features)[..., 0]

    def update_slow_critic(self, rate: float) -> None:
        """Moves the weights of the slow critic towards those of the critic."""
        for slow, weight in zip(self.slow_critic.weights, self.critic.weights, strict=True):
            slow.assign_add(rate * (weight - slow))


class Actor:
    """Acts in environments: the compiled policy of an agent, and what it believes.

    Call `initial_memory` when an episode begins, and `remember` after each of its steps.

    Args:
      agent: the agent.
      world: gives what the agent sees.
    """

    def __init__(self, agent: Agent, world: World):
        self._agent, self._world = agent, world
        self._act = compile_quietly(self._act_eagerly)
        self._believe = compile_quietly(world.believe)

    def initial_memory(self, batch_size: int) -> Memory:
        """Returns the memory before the first observation."""
        memory = self._agent.initial_memory(batch_size)
        return memory._replace(belief=self._world.initial_belief(batch_size))

    def remember(self, memory: Memory, before: np.ndarray, transitions: Transitions) -> Memory:
        """Returns the memory [B, ...] after a step, given the observations `before` it [B, X]."""
        if not tf.nest.flatten(memory.belief):
            return memory
        given = tf.nest.map_structure(tf.convert_to_tensor, (before, transitions))
        return memory._replace(belief=self._believe(memory.belief, *given))

    def greedy(self, observation: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        """Returns the most probable actions [B, A] for observations [B, X], and the new memory."""
        with finite.reraise_overflow():
            greedy, _, state = self._act(tf.constant(observation), memory, tf.zeros([2], tf.int32))
        return greedy.numpy(), memory._replace(state=state, action=greedy)

    def sample(
        self, observation: np.ndarray, memory: Memory, seed: np.ndarray
    ) -> tuple[np.ndarray, RecurrentState]:
        """Returns sampled actions [B, A] and the new recurrent state; `seed` is int32 [2]."""
        _, sampled, state = self._act(tf.constant(observation), memory, seed)
        return sampled.numpy(), state

    def _act_eagerly(
        self, observation: tf.Tensor, memory: Memory, seed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, RecurrentState]:
        seen = self._world.seen(State(observation, memory.belief))
        features, state = self._agent.features(seen, memory)
        params = finite.assert_samplable(self._agent.policy_params(features))
        sampled = tf.clip_by_value(self._agent.actions.sample(params, seed), -1, 1)
        return self._agent.actions.greedy(params), sampled, state
