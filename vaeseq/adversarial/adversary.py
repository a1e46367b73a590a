"""The adversary of a generator: a discriminator, and the training that alternates both.

What a step does is a function of its number; see `vaeseq.adversarial.schedule`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import keras
import tensorflow as tf

from vaeseq.adversarial import discriminators, policy_gradient, rollouts, schedule
from vaeseq.adversarial.delayed_weights import DelayedWeights
from vaeseq.adversarial.kept_samples import KeptSamples
from vaeseq.adversarial.policy_gradient import masked_mean, share_of_mean, step_mask
from vaeseq.adversarial.rollouts import Batch, Policy, Samples
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn import finite, replicas
from vaeseq.nn.fused_adam import FusedAdam
from vaeseq.nn.replicated_mean import ReplicatedMean
from vaeseq.nn.types import Nest, Seed
from vaeseq.training.private_api import compile_quietly, use_summed_gradients

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

    trainable_variables: list[keras.Variable]
    weights: list[keras.Variable]

    def make_encoder(self) -> keras.layers.Layer:
        """Returns a layer from observations [N, *event_shape] to features [N, E]."""

    def train_step(self, data: Nest) -> Metrics:
        """Makes one update with the ELBO."""

    def update(self, data: Nest, objective: Callable[[], tuple[tf.Tensor, Aux]]) -> Aux:
        """Makes one update with the ELBO and an objective, and returns its second value."""

    def by_part(
        self, make: Callable[[], Callable[[Iterator[Nest]], Metrics]]
    ) -> Callable[[Iterator[Nest]], Metrics]:
        """Returns a function that makes a step, which updates the variables that are due."""

    def get_metrics_result(self) -> Metrics:
        """Returns the value of every metric by name."""

    def replicate(self, step: Callable[[Nest], Metrics]) -> Callable[[Iterator[Nest]], Metrics]:
        """Returns a function that all replicas run on the next batch."""


class Adversary:
    """A discriminator, and what the generator learns from it.

    Args:
      policy: the generator.

    Raises:
      UsageError: if hyperparameters exclude each other.
    """

    def __init__(self, policy: TrainedPolicy):
        self.policy, self.hparams = policy, policy.hparams
        _check(self.hparams, policy.core.latent_size)
        self.discriminator = discriminators.make(self.hparams, policy.make_encoder())
        self.discriminator(tf.nest.map_structure(lambda x: x[:, None], policy.neutral_observations))
        self.optimizer = FusedAdam(self.hparams.discriminator_learning_rate)
        self.optimizer.build(self.discriminator.trainable_variables)
        # Without the whole ELBO the policy gradient has moments of its own.
        self.policy_optimizer: keras.optimizers.Optimizer | None = None
        if self.hparams.policy_elbo != "all":
            kind = type(policy.optimizer)
            self.policy_optimizer = kind.from_config(policy.optimizer.get_config())
            self.policy_optimizer.build(policy.trainable_variables)
        self.kept: KeptSamples | None = None
        if self.hparams.discriminator_samples:
            decoder = policy.decoder
            self.kept = KeptSamples(self.hparams, decoder.event_shape, decoder.event_dtype)
        self.delayed: DelayedWeights | None = None
        if self.hparams.policy_rollout_average:
            self.delayed = DelayedWeights(policy.weights, self.hparams.policy_rollout_average)
        self.reference: DelayedWeights | None = None
        if self.hparams.policy_reference_kl:  # an average that stays what it was at first
            self.reference = DelayedWeights(policy.weights, share=1.0)
        for optimizer in filter(None, (self.optimizer, self.policy_optimizer)):
            use_summed_gradients(optimizer)
        names = ("reward", "discriminator_loss", "critic_loss", "generated_nats")
        self._means = {name: ReplicatedMean(name) for name in names}

    @property
    def parts(self) -> tuple[Any, ...]:
        """The layers and optimizers with the variables that a checkpoint keeps."""
        optimizers = self.optimizer, self.policy_optimizer
        parts = self.discriminator, *optimizers, self.kept, self.delayed, self.reference
        return tuple(part for part in parts if part is not None)

    @property
    def variables(self) -> list[tf.Variable | keras.Variable]:
        """The variables that a checkpoint keeps."""
        return [variable for part in self.parts for variable in part.variables]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics of the policy gradient.

        reward: of generated sequences, from the discriminator; discriminator_loss and critic_loss;
        generated_nats: -log p of generated sequences per step, which estimates the entropy.
        """
        return list(self._means.values())

    @property
    def _is_replicated(self) -> bool:
        return bool(self.policy.distribute_strategy.num_replicas_in_sync > 1)

    def train_function(self) -> Callable[[Iterator[Nest]], Metrics]:
        """Returns a function that makes a step of the schedule."""
        compile_step = self.policy.replicate if self._is_replicated else _on_next_batch

        def compiled(step: Callable[[Nest], Metrics]) -> Callable[[Iterator[Nest]], Metrics]:
            return self.policy.by_part(lambda: compile_step(step))

        functions = {
            "elbo": compiled(self.policy.train_step),
            "fresh": compiled(self._train_on_fresh),
            "kept": compiled(self._train_on_kept),
            "both": compiled(self._train_both),
            "policy": compiled(self._train_policy),
        }

        def train_function(iterator: Iterator[Nest]) -> Metrics:
            kind = schedule.kind(self.hparams, self.policy.trained_steps)
            return functions[kind](iterator)

        return train_function

    def _train_on_fresh(self, data: Nest) -> Metrics:
        """Trains the discriminator alone; the step is counted by the generator's optimizer."""
        batch = rollouts.batch_of(self.policy, data)
        if self.kept is None:
            self._train_on_fresh_samples(batch, range(self.hparams.discriminator_updates))
        else:
            samples = rollouts.sample(self.policy, batch, self._seed(0))
            self.kept.keep(self._slot, samples.observed, batch.lengths)
            self._update_in_parts(batch, samples.observed, batch.lengths)
        return self._counted()

    def _train_on_kept(self, data: Nest) -> Metrics:
        """Trains the discriminator alone on samples that it has seen before."""
        assert self.kept is not None, "the schedule has no such steps without kept samples"
        batch = rollouts.batch_of(self.policy, data)
        generated, lengths = self.kept.part(self._slot, batch.lengths is not None)
        self._update_in_parts(batch, generated, lengths)
        return self._counted()

    def _train_both(self, data: Nest) -> Metrics:
        """Trains the generator, and the discriminator on the generator's samples."""
        batch = rollouts.batch_of(self.policy, data)
        step = tf.identity(self.policy.optimizer.iterations)
        generated, weights = self._update_policy(data, batch, step)
        returns = weights if self.hparams.policy_baseline == "critic" else None
        self.update_discriminator(batch, generated, batch.lengths, returns)
        self._train_on_fresh_samples(batch, range(1, self.hparams.discriminator_updates))
        return self.policy.get_metrics_result()

    def _train_policy(self, data: Nest) -> Metrics:
        """Trains the generator alone."""
        step = tf.identity(self.policy.optimizer.iterations)
        self._update_policy(data, rollouts.batch_of(self.policy, data), step)
        return self.policy.get_metrics_result()

    def _update_policy(self, data: Nest, batch: Batch, step: tf.Tensor) -> tuple[Nest, tf.Tensor]:
        """Makes an update of the generator in step `step`; returns its samples and their W_t."""
        first = self.hparams.policy_elbo_steps + self.hparams.policy_judge_steps
        for followers in filter(None, (self.delayed, self.reference)):
            followers.follow(is_first=tf.equal(step, first))

        def objective() -> tuple[tf.Tensor, tuple[Nest, tf.Tensor]]:
            samples = rollouts.sample(self.policy, batch, self._seed(0, step))
            weights = self.choice_weights(samples, batch, self._seed(-1, step))
            reference = None
            if self.reference is not None:
                reference = rollouts.log_prob_with(self.policy, samples, batch, self.reference)
            loss = self.policy_loss(samples, weights, batch.lengths, reference)
            return self.hparams.policy_gradient_weight * loss, (samples.observed, weights)

        if self.policy_optimizer is None:
            return self.policy.update(data, objective)
        if self.hparams.policy_elbo == "kl":
            self._minimize(self.policy.optimizer, lambda: (self._kl(batch, step), None), step)
        else:
            self.policy.optimizer.iterations.assign_add(1)
        return self._minimize(self.policy_optimizer, objective, step)

    def _minimize(
        self,
        optimizer: keras.optimizers.Optimizer,
        objective: Callable[[], tuple[tf.Tensor, Aux]],
        step: tf.Tensor,
    ) -> Aux:
        """Makes an update of the weights of the policy that have a gradient."""
        with tf.GradientTape() as tape:
            loss, aux = objective()
        variables = self.policy.trainable_variables
        loss, *gradients = replicas.total([loss, *tape.gradient(loss, variables)])
        pairs = zip(gradients, variables, strict=True)
        # Dense: the norm of rows of an embedding that are not yet added up would be another.
        reached = [(tf.convert_to_tensor(x), y) for x, y in pairs if x is not None]
        self._apply(optimizer, reached, {"the policy's loss": loss}, step + 1)
        return aux

    def _apply(
        self,
        optimizer: keras.optimizers.Optimizer,
        pairs: list[tuple[tf.Tensor, keras.Variable]],
        suspects: dict[str, Nest],
        step: tf.Tensor,
    ) -> None:
        """Applies gradients, if they and the last of the suspects, the loss, are finite."""
        checks = []
        if self.hparams.check_numerics:
            gradients, variables = map(list, zip(*pairs, strict=True))
            loss = list(suspects.values())[-1]
            checks = [finite.assert_finite(loss, suspects, variables, gradients, step)]
        with tf.control_dependencies(checks):
            optimizer.apply_gradients(pairs)

    def _kl(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
        """Returns this replica's share of the weighted KL of observed sequences per time step."""
        inference, _ = self.policy.infer(*batch, seed=self._seed(-2, step))
        mask = step_mask(inference.kl, batch.lengths)
        return self.hparams.divergence_strength_end * share_of_mean(inference.kl, mask)

    def _counted(self) -> Metrics:
        """Counts a step that has not updated the policy, and returns the metrics."""
        self.policy.optimizer.iterations.assign_add(1)
        return self.policy.get_metrics_result()

    @property
    def _slot(self) -> tf.Tensor:
        step = tf.cast(self.policy.optimizer.iterations, tf.int32)
        return schedule.slot(self.hparams, step)

    def _train_on_fresh_samples(self, batch: Batch, purposes: range) -> None:
        for purpose in purposes:
            samples = rollouts.sample(self.policy, batch, self._seed(purpose))
            self.update_discriminator(batch, samples.observed, batch.lengths)

    def _update_in_parts(self, batch: Batch, generated: Nest, lengths: tf.Tensor | None) -> None:
        """Makes `discriminator_updates` updates, each on its part of the rows.

        Raises:
          UsageError: if the replicas cannot divide their rows as one would.
        """
        parts = self.hparams.discriminator_updates
        own_rows = self.hparams.batch_size // replicas.num_replicas()
        if own_rows % parts:
            raise UsageError(
                f"hparams: {own_rows} rows of each replica cannot be divided among "
                f"discriminator_updates={parts}; make batch_size a multiple of both numbers"
            )
        for part in range(parts):
            rows = slice(part, None, parts)
            own = rollouts.rows_of(batch, rows)
            fake = rollouts.rows_of(Batch(generated, (), lengths), rows)
            self.update_discriminator(own, fake.observed, fake.lengths)

    def _seed(self, purpose: int, step: tf.Tensor | None = None) -> tf.Tensor:
        """Returns a seed that depends on (seed, step, purpose), and differs from the ELBO's."""
        fold = tf.random.experimental.stateless_fold_in
        step = self.policy.optimizer.iterations if step is None else step
        return fold(fold([self.hparams.seed, 1], step), purpose)

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
            values = rollouts.action_values(
                self.policy, score, samples, batch, seed, delayed=self.delayed
            )
            steps = tf.shape(mask)[1]
            weights = policy_gradient.token_weights(self.hparams, values, steps, batch.lengths)
            own = values[:, -1]
            self._means["reward"].update_state(masked_mean(own, tf.ones_like(own)))
        self._means["generated_nats"].update_state(-masked_mean(samples.log_prob, mask))
        return tf.stop_gradient(weights)

    def policy_loss(
        self,
        samples: Samples,
        weights: tf.Tensor,
        lengths: tf.Tensor | None = None,
        reference: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Returns the loss whose gradient is the policy gradient, as a mean over time steps.

        See `vaeseq.adversarial.policy_gradient.loss`.
        """
        critic = None
        if self.hparams.policy_baseline == "critic":
            _, critic = self.discriminator.judge(samples.observed)
        mask = step_mask(samples.log_prob, lengths)
        log_prob = samples.log_prob
        return policy_gradient.loss(self.hparams, log_prob, weights, mask, critic, reference)

    def update_discriminator(
        self,
        batch: Batch,
        generated: Nest,
        generated_lengths: tf.Tensor | None = None,
        returns: tf.Tensor | None = None,
    ) -> None:
        """Makes an update on observed and generated sequences.

        Args:
          batch: the observed sequences.
          generated: as many generated ones.
          generated_lengths: their lengths, if the observed ones have lengths.
          returns: W_t of the generated ones, which the critic should predict; None trains none.
        """
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            loss = self.discriminator_loss(batch, generated, generated_lengths)
            if returns is not None:
                loss += self._critic_loss(generated, returns, generated_lengths)
        loss, *gradients = replicas.total([loss, *tape.gradient(loss, variables)])
        # The critic has no gradient if it is not trained. `unconnected_gradients` would make it
        # zero, but does not support the variables of Keras.
        pairs = [
            (tf.zeros_like(variable) if gradient is None else gradient, variable)
            for variable, gradient in zip(variables, gradients, strict=True)
        ]
        suspects = {"generated": generated, "the discriminator's loss": loss}
        self._apply(self.optimizer, pairs, suspects, self.policy.optimizer.iterations)

    def discriminator_loss(
        self, batch: Batch, generated: Nest, generated_lengths: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Returns the cross-entropy of observed and generated sequences, and the penalty.

        Several replicas return shares that add up.
        """
        both = tf.nest.map_structure(_alternating, batch.observed, generated)
        both_lengths = None
        if batch.lengths is not None:
            both_lengths = _alternating(batch.lengths, generated_lengths)
        logits = self.discriminator(both, both_lengths, training=True)
        real, fake = logits[::2], logits[1::2]
        judges_prefixes = self.discriminator.judges_prefixes
        real_mask = step_mask(real, batch.lengths if judges_prefixes else None)
        fake_mask = step_mask(fake, generated_lengths if judges_prefixes else None)
        loss = share_of_mean(tf.nn.softplus(-real), real_mask) / 2
        loss += share_of_mean(tf.nn.softplus(fake), fake_mask) / 2
        self._means["discriminator_loss"].update_state(replicas.total([loss])[0])
        if self.hparams.discriminator_l2:
            squares = tf.add_n([tf.nn.l2_loss(x) for x in self.discriminator.logit.weights])
            loss += self.hparams.discriminator_l2 * squares / replicas.num_replicas()
        return loss

    def _critic_loss(
        self, generated: Nest, returns: tf.Tensor, lengths: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns half the squared error of the critic; shares, as `discriminator_loss`."""
        _, predicted = self.discriminator.judge(generated)
        mask = step_mask(predicted, lengths)
        loss = share_of_mean((predicted - returns) ** 2, mask) / 2
        self._means["critic_loss"].update_state(replicas.total([loss])[0])
        return loss


def _check(hparams: HParams, latent_size: int) -> None:
    """Raises `UsageError` if hyperparameters exclude each other."""
    schedule.check(hparams)
    if hparams.policy_reference_kl and hparams.policy_log_prob != "sampled":
        raise UsageError("hparams: policy_reference_kl needs policy_log_prob=sampled, not encoded")
    if hparams.policy_elbo == "kl" and latent_size == 0:
        raise UsageError(
            f"hparams: policy_elbo=kl needs latent variables, and {hparams.vae_type} has none; use "
            "policy_elbo=none"
        )


def _on_next_batch(step: Callable[[Nest], Metrics]) -> Callable[[Iterator[Nest]], Metrics]:
    """Returns a function that makes a compiled step with the next batch."""
    compiled = compile_quietly(step)

    def run(iterator: Iterator[Nest]) -> Metrics:
        metrics: Metrics = compiled(next(iterator))
        return metrics

    return run


def _alternating(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Returns the rows of two tensors in turn.

    Every replica thus has rows of a batch of both that follow each other, for its dropout.
    """
    both = tf.stack([x, tf.cast(y, x.dtype)], axis=1)
    return tf.reshape(both, tf.concat([[-1], tf.shape(x)[1:]], 0))
