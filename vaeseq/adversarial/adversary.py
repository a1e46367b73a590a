"""The adversary of a generator: a discriminator, and the training that alternates both.

A training run has three phases, each a function of the step: the ELBO alone; the discriminator
alone; both in turn.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import keras
import tensorflow as tf

from vaeseq.adversarial import discriminators, policy_gradient, rollouts
from vaeseq.adversarial.policy_gradient import masked_mean, step_mask
from vaeseq.adversarial.rollouts import Batch, Policy, Samples
from vaeseq.errors import UsageError
from vaeseq.nn import finite
from vaeseq.nn.fused_adam import FusedAdam
from vaeseq.nn.types import Nest, Seed

Aux = TypeVar("Aux")
Metrics = dict[str, tf.Tensor]


class TrainedPolicy(Policy, Protocol):
    """A policy that an adversary trains; a compiled `ModelBase` is one."""

    optimizer: keras.optimizers.Optimizer
    distribute_strategy: tf.distribute.Strategy

    @property
    def trained_steps(self) -> int:
        """The number of training steps so far."""

    @property
    def neutral_observations(self) -> Nest:
        """The decoder's neutral event, a nest of [1, *event_shape]."""

    def make_encoder(self) -> keras.layers.Layer:
        """Returns a layer from observations [N, *event_shape] to features [N, E]."""

    def train_step(self, data: Nest) -> Metrics:
        """Makes one update with the ELBO."""

    def update(self, data: Nest, objective: Callable[[], tuple[tf.Tensor, Aux]]) -> Aux:
        """Makes one update with the ELBO and an objective, and returns its second value."""

    def get_metrics_result(self) -> Metrics:
        """Returns the value of every metric by name."""


class Adversary:
    """A discriminator, and what the generator learns from it.

    Args:
      policy: the generator.

    Raises:
      UsageError: if hyperparameters exclude each other, or if there are several workers.
    """

    def __init__(self, policy: TrainedPolicy):
        if policy.distribute_strategy.num_replicas_in_sync > 1:
            raise UsageError("hparams: policy_gradient does not support several workers yet")
        self.policy, self.hparams = policy, policy.hparams
        self.discriminator = discriminators.make(self.hparams, policy.make_encoder())
        self.discriminator(tf.nest.map_structure(lambda x: x[:, None], policy.neutral_observations))
        self.optimizer = FusedAdam(self.hparams.discriminator_learning_rate)
        self.optimizer.build(self.discriminator.trainable_variables)
        names = ("reward", "discriminator_loss", "critic_loss", "generated_nats")
        self._means = {name: keras.metrics.Mean(name) for name in names}

    @property
    def variables(self) -> list[tf.Variable | keras.Variable]:
        """The variables that a checkpoint keeps."""
        return [*self.discriminator.variables, *self.optimizer.variables]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the policy gradient.

        reward: of generated sequences, from the discriminator; discriminator_loss and critic_loss;
        generated_nats: -log p of generated sequences per step, which estimates the entropy.
        """
        return list(self._means.values())

    def train_function(self) -> Callable[[Iterator[Nest]], Metrics]:
        """Returns a function that makes a step of the current phase."""
        steps = self.policy.train_step, self._train_discriminator, self._train_both
        compiled = [tf.function(step, reduce_retracing=True, autograph=False) for step in steps]

        def train_function(iterator: Iterator[Nest]) -> Metrics:
            metrics: Metrics = compiled[self._phase](next(iterator))
            return metrics

        return train_function

    @property
    def _phase(self) -> int:
        """0: the ELBO; 1: the discriminator; 2: both in turn."""
        first = self.hparams.policy_elbo_steps
        second = first + self.hparams.policy_judge_steps
        return sum(self.policy.trained_steps >= begin for begin in (first, second))

    def _train_discriminator(self, data: Nest) -> Metrics:
        """Trains the discriminator alone; the step is counted by the generator's optimizer."""
        batch = rollouts.batch_of(self.policy, data)
        self._train_on_fresh_samples(batch, range(self.hparams.discriminator_updates))
        self.policy.optimizer.iterations.assign_add(1)
        return self.policy.get_metrics_result()

    def _train_both(self, data: Nest) -> Metrics:
        """Trains the generator, and the discriminator on the generator's samples."""
        batch = rollouts.batch_of(self.policy, data)

        def objective() -> tuple[tf.Tensor, tuple[Nest, tf.Tensor]]:
            samples = rollouts.sample(self.policy, batch, self._seed(0))
            weights = self.choice_weights(samples, batch, self._seed(-1))
            loss = self.policy_loss(samples, weights, batch.lengths)
            return self.hparams.policy_gradient_weight * loss, (samples.observed, weights)

        generated, weights = self.policy.update(data, objective)
        returns = weights if self.hparams.policy_baseline == "critic" else None
        self.update_discriminator(batch, generated, returns)
        self._train_on_fresh_samples(batch, range(1, self.hparams.discriminator_updates))
        return self.policy.get_metrics_result()

    def _train_on_fresh_samples(self, batch: Batch, purposes: range) -> None:
        for purpose in purposes:
            samples = rollouts.sample(self.policy, batch, self._seed(purpose))
            self.update_discriminator(batch, samples.observed)

    def _seed(self, purpose: int) -> tf.Tensor:
        """Returns a seed that depends on (seed, step, purpose), and differs from the ELBO's."""
        fold = tf.random.experimental.stateless_fold_in
        seed = fold([self.hparams.seed, 1], self.policy.optimizer.iterations)
        return fold(seed, purpose)

    def choice_weights(self, samples: Samples, batch: Batch, seed: Seed = (0, 0)) -> tf.Tensor:
        """Returns W_t [B, T] without a gradient, and updates the metrics of generated sequences.

        See `vaeseq.adversarial.policy_gradient`.
        """
        mask = step_mask(samples.log_prob, batch.lengths)
        if self.hparams.policy_gradient == "stepwise":
            logits = self.discriminator(samples.observed)
            rewards = policy_gradient.rewards(self.hparams, logits) * mask
            weights = policy_gradient.reward_to_go(rewards, self.hparams.policy_discount)
            self._means["reward"].update_state(masked_mean(rewards, mask))
        else:
            score = self.discriminator.score
            values = rollouts.action_values(self.policy, score, samples, batch, seed)
            weights = policy_gradient.token_weights(self.hparams, values, tf.shape(mask)[1])
            self._means["reward"].update_state(values[:, -1])
        self._means["generated_nats"].update_state(-masked_mean(samples.log_prob, mask))
        return tf.stop_gradient(weights)

    def policy_loss(
        self, samples: Samples, weights: tf.Tensor, lengths: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the loss whose gradient is the policy gradient, as a mean over time steps."""
        critic = None
        if self.hparams.policy_baseline == "critic":
            _, critic = self.discriminator.judge(samples.observed)
        mask = step_mask(samples.log_prob, lengths)
        return policy_gradient.loss(self.hparams, samples.log_prob, weights, mask, critic)

    def update_discriminator(
        self, batch: Batch, generated: Nest, returns: tf.Tensor | None = None
    ) -> None:
        """Makes an update on observed and generated sequences.

        Args:
          batch: the observed sequences.
          generated: the generated ones.
          returns: W_t of the generated ones, which the critic should predict; None trains none.
        """
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.discriminator_loss(batch, generated)
            if returns is not None:
                loss += self._critic_loss(generated, returns, batch.lengths)
        # The critic has no gradient if it is not trained. `unconnected_gradients` would make it
        # zero, but does not support the variables of Keras.
        gradients = [
            tf.zeros_like(variable) if gradient is None else gradient
            for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
        ]
        checks = []
        if self.hparams.check_numerics:
            suspects = {"generated": generated, "the discriminator's loss": loss}
            step = self.policy.optimizer.iterations
            checks = [finite.assert_finite(loss, suspects, variables, gradients, step)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def discriminator_loss(self, batch: Batch, generated: Nest) -> tf.Tensor:
        """Returns the cross-entropy of observed and generated sequences."""
        lengths = batch.lengths
        both = tf.nest.map_structure(lambda *x: tf.concat(x, 0), batch.observed, generated)
        both_lengths = None if lengths is None else tf.concat([lengths, lengths], 0)
        real, fake = tf.split(self.discriminator(both, both_lengths, training=True), 2)
        mask = step_mask(real, lengths if self.discriminator.judges_prefixes else None)
        loss = masked_mean(tf.nn.softplus(-real) + tf.nn.softplus(fake), mask) / 2
        self._means["discriminator_loss"].update_state(loss)
        return loss

    def _critic_loss(
        self, generated: Nest, returns: tf.Tensor, lengths: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns half the squared error of the critic."""
        _, predicted = self.discriminator.judge(generated)
        mask = step_mask(predicted, lengths)
        loss = masked_mean((predicted - returns) ** 2, mask) / 2
        self._means["critic_loss"].update_state(loss)
        return loss
