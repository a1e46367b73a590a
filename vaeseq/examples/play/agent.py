"""The agent: a policy, a critic, and what both remember of a game that hides part of itself.

Both see observations, not the world model's states: a posterior that has looked at the future never
has its say in what is done.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from vaeseq import DistModule
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.nn.lstm import LSTMStack
from vaeseq.nn.mlp import MLP, concat

_DEVIATIONS = (0.1, 1.0)  # of a continuous action: the least and the most


class Choice(DistModule):
    """Features are the logits of actions that are one-hot."""

    event_dtype = tf.float32

    def __init__(self, action_size: int, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.param_size = tf.TensorShape([action_size]), action_size

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor]:
        """The logits."""
        return (features,)

    def dist(self, params: tuple[tf.Tensor]) -> tfd.Distribution:
        """One-hot vectors."""
        return tfd.OneHotCategorical(*params, dtype=tf.float32)

    def greedy(self, params: tuple[tf.Tensor]) -> tf.Tensor:
        """The most probable action."""
        return tf.one_hot(tf.argmax(params[0], axis=-1), self.param_size)

    def pathwise(self, params: tuple[tf.Tensor], action: tf.Tensor) -> tf.Tensor:
        """The drawn action, with the gradient of its probabilities.

        The straight-through estimator: Bengio, Léonard, Courville 2013, arXiv:1308.3432.
        """
        probabilities = tf.nn.softmax(params[0])
        return tf.stop_gradient(action - probabilities) + probabilities


class Numbers(DistModule):
    """Features are means, before tanh, and deviations of Normals; actions are cut at -1 and 1."""

    event_dtype = tf.float32

    def __init__(self, action_size: int, name: str | None = None):
        super().__init__(name=name)
        self.event_shape, self.param_size = tf.TensorShape([action_size]), 2 * action_size

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Means and deviations."""
        loc, scale = tf.split(features, 2, axis=-1)
        least, most = _DEVIATIONS
        return tf.tanh(loc), least + (most - least) * tf.sigmoid(scale)

    def dist(self, params: tuple[tf.Tensor, tf.Tensor]) -> tfd.Distribution:
        """Independent Normals."""
        return tfd.Independent(tfd.Normal(*params), 1)

    def greedy(self, params: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """The means."""
        return params[0]

    def pathwise(self, params: tuple[tf.Tensor, tf.Tensor], action: tf.Tensor) -> tf.Tensor:
        """The drawn action: a Normal's draw has its gradient."""
        return action


class Memory(NamedTuple):
    """What the agent carries from one observation to the next."""

    state: Any  # of its recurrent network, () where it has none
    action: tf.Tensor  # a_{t-1}, [B, A]


class Agent(keras.layers.Layer):
    """A policy pi(a_t | o_t) and a critic v(o_t), MLPs; or pi(a_t | o_1:t, a_1:t-1) where
    `hparams.policy_rnn_hidden_sizes` gives it an LSTM in front of them.

    Args:
      hparams: the hyperparameters.
      observation_size: X.
      action_size: A.
      discrete: whether actions are a choice, or numbers.
    """

    def __init__(
        self, hparams: PlayHParams, observation_size: int, action_size: int, discrete: bool
    ):
        super().__init__(name="agent")
        self.action_size = action_size
        self.actions: Any = (Choice if discrete else Numbers)(action_size)
        sizes = hparams.policy_rnn_hidden_sizes
        self.rnn = LSTMStack(hparams.replace(rnn_hidden_sizes=sizes)) if sizes else None
        self.policy = MLP(hparams, (*hparams.policy_fc_layers, self.actions.param_size))
        self.critic = MLP(hparams, (*hparams.policy_fc_layers, 1))
        self.slow_critic = MLP(hparams, (*hparams.policy_fc_layers, 1))
        features, _ = self.remember(tf.zeros([1, observation_size]), self.initial_memory(1))
        self.act(features)
        self.critic(features)
        self.slow_critic(features)
        self.slow_critic.trainable = False
        self.return_scale = self.add_weight((), "zeros", trainable=False, name="return_scale")
        self.follow(1.0)
        self.built = True

    def initial_memory(self, batch_size: Any) -> Memory:
        """That before the first observation."""
        state = () if self.rnn is None else self.rnn.initial_state(batch_size)
        return Memory(state, tf.zeros([batch_size, self.action_size]))

    def remember(self, observation: tf.Tensor, memory: Memory) -> tuple[tf.Tensor, Any]:
        """Features of o_t [B, X], in units, and of what came before; and the network's state."""
        if self.rnn is None:
            return observation, ()
        return self.rnn.step(concat((observation, memory.action)), memory.state)

    def remember_all(
        self, observations: tf.Tensor, actions: tf.Tensor, state: Any
    ) -> tuple[tf.Tensor, Any]:
        """The features of a sequence [B, T, X], and the states after each.

        `actions` [B, T, A] are those before each observation, `state` that before the first.
        """
        if self.rnn is None:
            return observations, ()
        return self.rnn.unroll(concat((observations, actions)), state)

    def act(self, features: tf.Tensor) -> Any:
        """Features [..., F] to the params of the policy."""
        return self.actions(self.policy(features))

    def value(self, features: tf.Tensor, slow: bool = False) -> tf.Tensor:
        """The critic's return of features [..., F]: [...]."""
        return (self.slow_critic if slow else self.critic)(features)[..., 0]

    def follow(self, rate: float) -> None:
        """Brings the slow critic nearer to the critic."""
        for slow, weight in zip(self.slow_critic.weights, self.critic.weights, strict=True):
            slow.assign_add(rate * (weight - slow))
