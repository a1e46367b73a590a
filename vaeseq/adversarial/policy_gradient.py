"""Policy gradient: what a discriminator says of generated sequences, as an objective.

The generator, a model with any core, is a policy that chooses x_t after x_1:t-1; its latent
variables are drawn before, half of them from the prior and half from the posterior of observed
sequences. With W_t what a choice is worth, the loss of a sequence is

    - sum_t W_t log p(x_t | x_<t, z)

and Q_k = Q(x_1:t_k) the mean score of sequences that are rolled out from x_1:t_k, on the grid
t_k = c, 2c, ..., T of every c-th step:

    seqgan     W_t = Q_k,  k the first with t_k >= t       Yu et al. 2016, arXiv:1609.05473
    prefix     W_t = sum of Q_k over all t_k >= t          Gao, Cui, Ding 2021
    stepwise   W_t = sum_s gamma^(s-t) r_s over s >= t     r_t from the logit of x_1:t: no rollouts

less a baseline, which changes the variance alone. A training has three phases, each a function of
the step: the ELBO; the discriminator; both in turn.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq.adversarial import discriminators
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn import finite
from vaeseq.nn.convert import unpack_batch
from vaeseq.nn.sequences import last

_MOST_ADVANTAGE = 5.0  # deviations, of those that are normalised
_ROWS_AT_ONCE = 2048  # that are rolled out


class Drawn(NamedTuple):
    """Generated sequences."""

    observed: Any  # nest of [B, T, ...]
    log_prob: tf.Tensor  # log p(x_t | x_<t, z) [B, T], with its gradient
    states: Any  # of context and core after each step, [B, T, ...]


class Adversary:
    """A discriminator, and what the generator learns from it.

    Args:
      model: the generator; compiled.

    Raises:
      UsageError: for hyperparameters that do not go together, and for several workers.
    """

    def __init__(self, model: Any):
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise UsageError("hparams: policy_gradient does not work with several workers yet")
        self.model, self.hparams = model, model.hparams
        self.discriminator = discriminators.make(self.hparams, model.make_encoder())
        self.discriminator(tf.nest.map_structure(lambda x: x[:, None], model.zero_observations))
        self.optimizer = keras.optimizers.Adam(self.hparams.discriminator_learning_rate)
        self.optimizer.build(self.discriminator.trainable_variables)
        names = ("reward", "discriminator_loss", "critic_loss", "generated_nats")
        self._means = {name: keras.metrics.Mean(name) for name in names}

    @property
    def variables(self) -> list[Any]:
        """All that must survive."""
        return [*self.discriminator.variables, *self.optimizer.variables]

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """reward: the discriminator's of generated sequences; the losses of discriminator and
        critic; generated_nats: -log p of what is generated, the generator's entropy per step."""
        return list(self._means.values())

    def train_function(self) -> Callable[[Any], Any]:
        """A step of the phase that the training is in."""

        @functools.cache
        def compiled(phase: Callable[[Any], Any]) -> Any:
            return tf.function(phase, reduce_retracing=True, autograph=False)

        hparams = self.hparams
        begins = hparams.policy_elbo_steps, hparams.policy_elbo_steps + hparams.policy_judge_steps
        phases = (self.model.train_step, self._learn_to_judge, self._learn_in_turn)

        def train_function(iterator: Any) -> Any:
            phase = sum(self.model.trained_steps >= begin for begin in begins)
            return compiled(phases[phase])(next(iterator))

        return train_function

    # The phases.

    def _learn_to_judge(self, data: Any) -> Any:
        """The generator stands still, and its steps go on."""
        observed, inputs, lengths, _ = unpack_batch(data)
        steps = self.model.optimizer.iterations
        for update in range(self.hparams.discriminator_updates):
            drawn = self.draw(observed, inputs, lengths, self._seed(update))
            self._update(observed, drawn.observed, lengths)
        steps.assign_add(1)
        return self.model.get_metrics_result()

    def _learn_in_turn(self, data: Any) -> Any:
        """The generator, then the discriminator on what that has generated, and on fresh draws."""
        observed, inputs, lengths, _ = unpack_batch(data)
        learned = []

        def objective() -> tf.Tensor:
            drawn = self.draw(observed, inputs, lengths, self._seed(0))
            weights = self.weights(drawn, inputs, lengths, self._seed(-1))
            learned.extend([drawn.observed, weights])
            return self.hparams.policy_gradient_weight * self.loss(drawn, weights, lengths)

        self.model.train_step(data, objective)
        generated, weights = learned
        critic = weights if self.hparams.policy_baseline == "critic" else None
        self._update(observed, generated, lengths, critic)
        for update in range(1, self.hparams.discriminator_updates):
            drawn = self.draw(observed, inputs, lengths, self._seed(update))
            self._update(observed, drawn.observed, lengths)
        return self.model.get_metrics_result()

    def _seed(self, purpose: int) -> tf.Tensor:
        """A function of (seed, step, purpose), other than that of the ELBO."""
        fold = tf.random.experimental.stateless_fold_in
        seed = fold([self.hparams.seed, 1], self.model.optimizer.iterations)
        return fold(seed, purpose)

    # Generating.

    def draw(self, observed: Any, inputs: Any, lengths: Any, seed: Any) -> Drawn:
        """As many sequences as are observed, of their length.

        With latent variables, half of the rows have theirs from the prior and half from the
        posterior of the rows that are observed. The noise of the latents is part of the chance
        that comes before the policy, so that gradients go through them, too.
        """
        observed, inputs = self.model.as_sequences(observed, inputs)
        rows = tf.shape(tf.nest.flatten(observed)[0])[0]
        if self.model.core.latent_size == 0:
            return self._draw(observed, inputs, lengths, seed, from_posterior=False)
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed))
        halves = slice(None, rows // 2), slice(rows // 2, None)
        drawn = [
            self._draw(*_rows((observed, inputs, lengths), half), *how)
            for half, *how in zip(halves, seeds, (False, True), strict=True)
        ]
        return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *drawn)

    def _draw(
        self, observed: Any, inputs: Any, lengths: Any, seed: Any, from_posterior: bool
    ) -> Drawn:
        model, latents = self.model, None
        rows, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
        noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        noise = model.noise(rows, time, noise_seed)
        states = model.initial_state(rows)
        if from_posterior:
            inference, _ = model.infer(observed, inputs, lengths, seed=noise_seed)
            latents = inference.steps.latents
        given = None if latents is None else tf.stop_gradient(latents)
        generated, _ = model.core.generate(
            model.context, inputs, tuple(states), noise, seed, latents=given
        )
        generated = tf.nest.map_structure(tf.stop_gradient, generated)
        contexts, context_states = model.context.from_observations(
            generated, inputs, states.context
        )
        steps, core_states = model.core.unroll(contexts, states.core, noise, latents=latents)
        log_prob = model.decoder.log_prob(steps.obs_params, generated)
        return Drawn(generated, log_prob, (context_states, core_states))

    # What choices are worth.

    def loss(self, drawn: Drawn, weights: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """- sum_t W_t log p(x_t | x_<t, z), less the baseline, per time step; see the top."""
        hparams, mask = self.hparams, _mask(drawn.log_prob, lengths)
        advantage = weights
        if hparams.policy_baseline == "batch":
            advantage -= _mean(weights, mask, axis=0, keepdims=True)
        elif hparams.policy_baseline == "critic":
            advantage -= self.discriminator.judge(drawn.observed)[1]
        if hparams.policy_gradient == "stepwise":
            advantage -= _mean(advantage, mask)
            deviation = tf.sqrt(_mean(advantage**2, mask)) + 1e-6
            advantage = tf.clip_by_value(advantage / deviation, -_MOST_ADVANTAGE, _MOST_ADVANTAGE)
        if hparams.policy_entropy_bonus:  # E[-log p] has the gradient of a reward of -log p
            surprise = reward_to_go(-drawn.log_prob * mask, 1.0)
            advantage += hparams.policy_entropy_bonus * surprise
        return -_mean(tf.stop_gradient(advantage) * drawn.log_prob, mask)

    def weights(
        self, drawn: Drawn, inputs: Any = None, lengths: tf.Tensor | None = None, seed: Any = (0, 0)
    ) -> tf.Tensor:
        """W_t [B, T], without a gradient."""
        mask = _mask(drawn.log_prob, lengths)
        if self.hparams.policy_gradient == "stepwise":
            rewards = self.rewards(self.discriminator(drawn.observed)) * mask
            weights = reward_to_go(rewards, self.hparams.policy_discount)
            self._means["reward"].update_state(_mean(rewards, mask))
        else:
            values = self.action_values(drawn, inputs, lengths, seed)
            weights = token_weights(self.hparams, values, tf.shape(mask)[1])
            self._means["reward"].update_state(values[:, -1])
        self._means["generated_nats"].update_state(-_mean(drawn.log_prob, mask))
        return tf.stop_gradient(weights)

    def rewards(self, logits: tf.Tensor) -> tf.Tensor:
        """r_t of the logits l_t [B, T] of prefixes.

        log_sigmoid: log D; tanh: 2 D - 1; difference: l_t - l_{t-1}, whose sum is an estimate of
        log p_data(x) - log p(x), so that KL(p || p_data) is made small.
        """
        kind = self.hparams.policy_reward
        if kind == "difference":
            return logits - tf.pad(logits[:, :-1], [[0, 0], [1, 0]])
        return tf.math.log_sigmoid(logits) if kind == "log_sigmoid" else tf.tanh(logits / 2)

    def action_values(
        self, drawn: Drawn, inputs: Any, lengths: tf.Tensor | None, seed: Any
    ) -> tf.Tensor:
        """Q_k of every prefix on the grid, [B, K].

        All prefixes are rolled out as one batch, as often at once as memory should hold.
        """
        samples, every = self.hparams.policy_rollouts, self.hparams.policy_reward_step
        rows, time = tf.unstack(tf.shape(drawn.log_prob))
        ends = tf.range(every, time, every)  # t_k < T
        at_once = tf.maximum(_ROWS_AT_ONCE // tf.maximum(rows * tf.shape(ends)[0], 1), 1)
        _, inputs = self.model.as_sequences(drawn.observed, inputs)

        def roll_out(done: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            count = tf.minimum(at_once, samples - done)
            whole = self._rollouts(drawn, inputs, ends, count, tf.stack([0, done]) + seed)
            scores = self.score(whole, _repeat(lengths, tf.shape(ends)[0] * count))
            return done + count, total + tf.reduce_sum(tf.reshape(scores, [rows, -1, count]), 2)

        start = 0, tf.zeros([rows, tf.shape(ends)[0]])
        _, total = tf.while_loop(lambda done, _: done < samples, roll_out, start)
        whole = self.score(drawn.observed, lengths)[:, None]
        return tf.concat([total / samples, whole], axis=1)

    def _rollouts(
        self, drawn: Drawn, inputs: Any, ends: tf.Tensor, count: tf.Tensor, seed: tf.Tensor
    ) -> Any:
        """So many sequences that go on from each prefix of each row, [B K N, T, ...]."""
        model = self.model
        rows, time = tf.unstack(tf.shape(drawn.log_prob))
        noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))

        def rolled(x: Any) -> Any:
            return _repeat(x, tf.shape(ends)[0] * count)

        def at_ends(states: tf.Tensor) -> tf.Tensor:
            """[B, T, ...] to [B K N, ...]."""
            found = tf.gather(states, ends - 1, axis=1)
            found = tf.reshape(found, tf.concat([[-1], tf.shape(states)[2:]], 0))
            return _repeat(found, count)

        end = tf.tile(tf.repeat(ends, count), [rows])  # [B K N]
        later = tf.clip_by_value(end[:, None] + tf.range(time), 0, time - 1)
        steps = tf.maximum(time - self.hparams.policy_reward_step, 1)
        noise = model.noise(tf.shape(end)[0], steps, noise_seed)
        inputs = tf.nest.map_structure(
            lambda x: tf.gather(rolled(x), later[:, :steps], batch_dims=1), inputs
        )
        states = tf.nest.map_structure(at_ends, drawn.states)
        generated, _ = model.core.generate(model.context, inputs, states, noise, seed)

        at = tf.range(time) - end[:, None]  # of each step in its rollout [B K N, T]

        def spliced(prefix: tf.Tensor, rollout: tf.Tensor) -> tf.Tensor:
            after = tf.gather(rollout, tf.clip_by_value(at, 0, steps - 1), batch_dims=1)
            shape = tf.concat([tf.shape(at), tf.ones([tf.rank(after) - 2], tf.int32)], 0)
            return tf.where(tf.reshape(at, shape) < 0, rolled(prefix), after)

        return tf.nest.map_structure(spliced, drawn.observed, generated)

    def score(self, observed: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """D(x_1:T) of whole sequences, [B]."""
        logits = self.discriminator(observed, lengths)
        whole = None if lengths is None or logits.shape[1] == 1 else lengths
        return tf.sigmoid(last(logits, whole))

    # The discriminator.

    def _update(
        self, observed: Any, generated: Any, lengths: Any, critic: tf.Tensor | None = None
    ) -> None:
        """An update on observed and generated sequences; `critic` is what it should expect."""
        observed, _ = self.model.as_sequences(observed)
        variables = self.discriminator.trainable_variables
        both = tf.nest.map_structure(lambda *x: tf.concat(x, 0), observed, generated)
        doubled = None if lengths is None else tf.concat([lengths, lengths], 0)
        with tf.GradientTape() as tape:
            logits = self.discriminator(both, doubled, training=True)
            real, fake = tf.split(logits, 2)
            mask = tf.ones_like(real) if real.shape[1] == 1 else _mask(real, lengths)
            cross_entropy = tf.nn.softplus(-real) + tf.nn.softplus(fake)
            loss = _mean(cross_entropy, mask) / 2
            self._means["discriminator_loss"].update_state(loss)
            if critic is not None:
                expected = self.discriminator.judge(generated)[1]
                critic_loss = _mean((expected - critic) ** 2, mask) / 2
                self._means["critic_loss"].update_state(critic_loss)
                loss += critic_loss
        # A critic that was not asked has no gradient.
        gradients = [
            tf.zeros_like(x) if gradient is None else gradient
            for x, gradient in zip(variables, tape.gradient(loss, variables), strict=True)
        ]
        checks = []
        if self.hparams.check_numerics:
            suspects = {"generated": generated, "the discriminator's loss": loss}
            step = self.model.optimizer.iterations
            checks = [finite.checked(loss, suspects, variables, gradients, step)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))


def token_weights(hparams: HParams, values: tf.Tensor, time: Any) -> tf.Tensor:
    """W_t [B, T] of the values Q_k [B, K] of prefixes, for `seqgan` or `prefix`."""
    if hparams.policy_gradient == "prefix":
        values = tf.cumsum(values, axis=1, reverse=True)
    return tf.gather(values, tf.range(time) // hparams.policy_reward_step, axis=1)


def reward_to_go(rewards: tf.Tensor, discount: float) -> tf.Tensor:
    """sum_s discount^(s - t) r_s over s >= t, [B, T]."""
    steps = tf.range(tf.shape(rewards)[1])
    ahead = steps[:, None] - steps  # s - t
    powers = tf.where(ahead >= 0, tf.pow(discount, tf.cast(ahead, tf.float32)), 0.0)
    return rewards @ powers


def _mask(like: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    if lengths is None:
        return tf.ones_like(like)
    return tf.sequence_mask(lengths, tf.shape(like)[1], like.dtype)


def _mean(x: tf.Tensor, mask: tf.Tensor, **axis: Any) -> tf.Tensor:
    """The mean where the mask is 1."""
    total = tf.reduce_sum(mask, **axis)
    return tf.reduce_sum(x * mask, **axis) / tf.maximum(total, 1.0)


def _repeat(x: Any, times: Any) -> Any:
    """Each row so many times, one after another; nothing of nothing."""
    return None if x is None else tf.repeat(x, times, axis=0)


def _rows(nest: Any, rows: slice) -> Any:
    return tf.nest.map_structure(lambda x: None if x is None else x[rows], nest)
