"""Actor-critic learning from imagined trajectories."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from vaeseq.examples.play import imagination
from vaeseq.examples.play.agent import Agent, Memory
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.play.imagination import Start, Trajectories
from vaeseq.examples.play.world import World
from vaeseq.nn import finite

_RANGE = (5.0, 95.0)  # the distance of these percentiles is the scale of the returns
_RANGE_RATE = 0.01  # of the moving average of that distance
_CLIP = 100.0  # norm of the agent's gradients


class ActorCritic:
    """Trains the policy and the critic of an agent inside a world model.

    Args:
      hparams: the hyperparameters.
      world: the world model, which stays as it is.
      agent: the agent.
      pathwise: whether the policy's gradient is taken through the world model.
    """

    optimizer: keras.optimizers.Optimizer

    def __init__(self, hparams: PlayHParams, world: World, agent: Agent, pathwise: bool):
        self.hparams, self.world, self.agent, self.pathwise = hparams, world, agent, pathwise
        self._imagined_return = keras.metrics.Mean("imagined_return")
        self._entropy = keras.metrics.Mean("entropy")
        self._critic_loss = keras.metrics.Mean("critic_loss")

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means reported for the agent; see `Player.metrics`."""
        return [self._imagined_return, self._entropy, self._critic_loss]

    def compile(self) -> None:
        """Makes the optimizer."""
        self.optimizer = keras.optimizers.Adam(
            self.hparams.agent_learning_rate,
            beta_2=self.hparams.adam_beta_2,
            global_clipnorm=_CLIP,
        )
        self.optimizer.build(self.agent.trainable_variables)

    def train_step(self, start: Start, seed: tf.Tensor, step: tf.Tensor) -> None:
        """Updates the agent.

        Args:
          start: where the imagined trajectories start.
          seed: a stateless seed, int32 [2].
          step: the training step, named if the loss or a gradient is not finite.
        """
        variables = self.agent.trainable_variables
        start = tf.nest.map_structure(tf.stop_gradient, start)
        with tf.GradientTape() as tape:
            imagined = imagination.imagine(
                self.world, self.agent, start, self.hparams.horizon, seed, self.pathwise
            )
            if not self.pathwise:
                imagined = Trajectories(*map(tf.stop_gradient, imagined))
            loss = self.loss(imagined, start.memory)
        gradients = tape.gradient(loss, variables)
        checks = []
        if self.hparams.check_numerics:
            suspects = {"imagined trajectories": imagined, "the agent's loss": loss}
            checks = [finite.assert_finite(loss, suspects, variables, gradients, step)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self.agent.update_slow_critic(self.hparams.slow_critic_rate)

    def loss(self, imagined: Trajectories, memory: Memory) -> tf.Tensor:
        """Returns the loss of policy and critic, a mean over imagined steps.

        Args:
          imagined: the trajectories.
          memory: the agent's memory at their start.
        """
        discounts = self.hparams.discount * imagined.continues
        weights = tf.stop_gradient(imagination.step_weights(discounts))
        returns = self._returns(imagined, discounts, memory)
        scale = self._scale(tf.stop_gradient(returns))
        seen = tf.stop_gradient(imagined.seen)
        features = self._features(seen, imagined.actions, memory)[:, :-1]
        error = (self.agent.value(features) - tf.stop_gradient(returns)) / scale
        policy = self.agent.actions.dist(self.agent.policy_params(features))
        if self.pathwise:
            gain = returns / scale
        else:
            advantage = tf.stop_gradient(_standardise(-error, weights))
            gain = policy.log_prob(tf.stop_gradient(imagined.actions)) * advantage
        entropy = policy.entropy()
        objective = gain + self.hparams.entropy_bonus * entropy
        critic_loss = tf.reduce_mean(weights * error**2) / 2
        self._imagined_return.update_state(
            tf.stop_gradient(returns[:, 0]) * self.world.statistics.reward_scale
        )
        self._entropy.update_state(entropy)
        self._critic_loss.update_state(critic_loss)
        return critic_loss - tf.reduce_mean(weights * objective)

    def _features(self, seen: tf.Tensor, actions: tf.Tensor, memory: Memory) -> tf.Tensor:
        """Returns the agent's features of s_0 to s_H, [B, H + 1, F]."""
        executed = tf.clip_by_value(actions, -1, 1)
        before = tf.concat([memory.action[:, None], executed], axis=1)
        return self.agent.sequence_features(seen, before, memory.state)[0]

    def _returns(self, imagined: Trajectories, discounts: tf.Tensor, memory: Memory) -> tf.Tensor:
        """Returns the lambda-returns R_0 to R_{H-1} by the slow critic, [B, H]."""
        features = self._features(imagined.seen, imagined.actions, memory)
        values = self.agent.value(features, slow=True)
        return imagination.lambda_returns(
            imagined.rewards, discounts, values, self.hparams.return_lambda
        )

    def _scale(self, returns: tf.Tensor) -> tf.Tensor:
        """Updates and returns the moving range of returns; at least 1, as less is noise."""
        low, high = tf.unstack(tfp.stats.percentile(returns, _RANGE))
        variable = self.agent.return_scale
        rate = tf.where(variable > 0, _RANGE_RATE, 1.0)
        variable.assign_add(rate * (high - low - variable))
        return tf.maximum(1.0, tf.convert_to_tensor(variable))


def _standardise(x: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Subtracts the weighted mean and divides by the weighted standard deviation."""
    total = tf.reduce_sum(weights)
    x -= tf.reduce_sum(weights * x) / total
    return x / (1e-3 + tf.sqrt(tf.reduce_sum(weights * x**2) / total))
