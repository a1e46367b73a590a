"""Samples of a policy, and rollouts that estimate the value of its choices."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from vaeseq.adversarial.delayed_weights import DelayedWeights
from vaeseq.context import Context
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn import replicas
from vaeseq.nn.convert import unpack_batch
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.types import Nest, Seed, Size

_ROWS_AT_ONCE = 2048

Score = Callable[[Nest, tf.Tensor | None], tf.Tensor]
"""Returns the score of whole sequences, [B], given them and their lengths."""


class Core(Protocol):
    """What a policy uses of its core; see `vaeseq.vae.core.VAECore`."""

    latent_size: int

    @property
    def generate(self) -> Callable[..., tuple[Nest, tuple[Nest, Nest]]]:
        """Samples observations."""

    @property
    def unroll(self) -> Callable[..., tuple[Any, Nest]]:
        """Returns all steps of a sequence, and the state after each."""


class Policy(Protocol):
    """A sequence model as a policy, which chooses x_t given x_1:t-1; `ModelBase` is one."""

    hparams: HParams
    context: Context
    decoder: DistModule

    @property
    def core(self) -> Core:
        """The recurrent core."""

    @property
    def prepare(self) -> Callable[..., tuple[Nest, Nest, tf.Tensor | None]]:
        """Converts observations, inputs and lengths to tensors, and replaces the padding."""

    def noise(self, batch_size: Size, steps: Size, seed: Seed) -> tf.Tensor:
        """Returns the noise of the latents, [B, T, Z]."""

    @property
    def initial_state(self) -> Callable[[Size], tuple[Nest, Nest]]:
        """Returns the states of context and core before the first step."""

    @property
    def infer(self) -> Callable[..., tuple[Any, Any]]:
        """Infers the latents of observed sequences."""


class Batch(NamedTuple):
    """Observed sequences: tensors, as `Policy.prepare` returns them."""

    observed: Nest  # nest of [B, T, *event_shape]
    inputs: Nest = ()  # nest of [B, T, ...]
    lengths: tf.Tensor | None = None  # [B]

    @property
    def shape(self) -> tuple[tf.Tensor, tf.Tensor]:
        """B and T."""
        rows, steps = tf.unstack(tf.shape(tf.nest.flatten(self.observed)[0])[:2])
        return rows, steps


class Samples(NamedTuple):
    """Generated sequences."""

    observed: Nest  # nest of [B, T, *event_shape]
    log_prob: tf.Tensor  # log p(x_t | x_<t, z) [B, T], with its gradient
    latents: Nest = ()  # z that they were sampled with, [B, T, Z]; () if there are none
    states: Any = ()  # of context and core after each step, nests of [B, T, ...]


def batch_of(policy: Policy, data: Nest) -> Batch:
    """Returns the batch that Keras passes to a training step."""
    batch = unpack_batch(data, policy.decoder.event_shape)
    if batch.observed_mask is not None:
        raise ValueError("observed_mask is not supported with a policy_gradient")
    return Batch(*policy.prepare(batch.observed, batch.inputs, batch.lengths))


def sample(policy: Policy, batch: Batch, seed: Seed) -> Samples:
    """Samples as many sequences as a batch has, with the same inputs and lengths.

    If the policy has latents, those of every second row come from the prior, and with
    `policy_latents=both` those of the others from the posterior of the observed row. The latents
    are reparameterized, so the gradient of `log_prob` reaches the parts of the model that they
    come from. With `policy_log_prob=encoded`, `log_prob` belongs to other latents: a sample of the
    posterior of the generated sequence.

    Raises:
      UsageError: if several replicas cannot share the batch in pairs of rows.
    """
    if policy.core.latent_size == 0 or policy.hparams.policy_latents == "prior":
        return _sample(policy, batch, seed, from_posterior=False)
    rows = tf.nest.flatten(batch.observed)[0].shape[0]
    if replicas.num_parts() > 1 and (rows is None or rows % 2):
        raise UsageError(
            f"a batch of {rows} rows of each replica cannot be sampled half from the prior: make "
            "batch_size a multiple of twice the number of replicas, or use policy_latents=prior"
        )
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed))
    from_prior = _sample(policy, rows_of(batch, slice(0, None, 2)), seeds[0], from_posterior=False)
    inferred = _sample(policy, rows_of(batch, slice(1, None, 2)), seeds[1], from_posterior=True)
    numbers = tf.range(batch.shape[0])
    places = tf.math.invert_permutation(tf.concat([numbers[::2], numbers[1::2]], 0))
    joined: Samples = tf.nest.map_structure(
        lambda *parts: tf.gather(tf.concat(parts, axis=0), places), from_prior, inferred
    )
    return joined


def _sample(policy: Policy, batch: Batch, seed: Seed, from_posterior: bool) -> Samples:
    noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    noise = policy.noise(*batch.shape, noise_seed)
    latents = None
    if from_posterior:
        inference, _ = policy.infer(*batch, seed=noise_seed)
        latents = inference.steps.latents
    constant = None if latents is None else tf.stop_gradient(latents)
    initial = tuple(policy.initial_state(batch.shape[0]))
    generated, _ = policy.core.generate(
        policy.context, batch.inputs, initial, noise, seed, latents=constant
    )
    generated = tf.nest.map_structure(tf.stop_gradient, generated)
    steps, states = _unroll(policy, generated, batch, noise, latents)
    if policy.hparams.policy_log_prob == "encoded":
        again, _ = policy.infer(generated, batch.inputs, batch.lengths, seed=seed)
        return Samples(generated, again.log_prob, steps.latents, states)
    log_prob = policy.decoder.log_prob(steps.obs_params, generated)
    return Samples(generated, log_prob, steps.latents, states)


def _unroll(
    policy: Policy, generated: Nest, batch: Batch, noise: tf.Tensor, latents: tf.Tensor | None
) -> tuple[Any, tuple[Nest, Nest]]:
    """Returns the steps of generated sequences, and the states after each."""
    context_state, core_state = policy.initial_state(batch.shape[0])
    contexts, context_states = policy.context.from_observations(
        generated, batch.inputs, context_state
    )
    steps, core_states = policy.core.unroll(contexts, core_state, noise, latents=latents)
    return steps, (context_states, core_states)


def _unroll_again(policy: Policy, samples: Samples, batch: Batch) -> tuple[Any, tuple[Nest, Nest]]:
    """Returns the steps of samples, and the states after each, with the weights of the policy."""
    size = policy.core.latent_size
    noise = tf.zeros([*batch.shape, size])  # has no influence, because the latents are given
    return _unroll(policy, samples.observed, batch, noise, samples.latents if size else None)


def log_prob_with(
    policy: Policy, samples: Samples, batch: Batch, weights: DelayedWeights
) -> tf.Tensor:
    """Returns log p(x_t | x_<t, z) of samples with other weights, [B, T]."""
    with weights.scope():
        steps, _ = _unroll_again(policy, samples, batch)
        return policy.decoder.log_prob(steps.obs_params, samples.observed)


def action_values(
    policy: Policy,
    score: Score,
    samples: Samples,
    batch: Batch,
    seed: Seed,
    rows_at_once: int = _ROWS_AT_ONCE,
    delayed: DelayedWeights | None = None,
) -> tf.Tensor:
    """Returns estimates of Q_k = Q(x_1:t_k) for every t_k of the grid, [B, K].

    Q_k is the mean score of `hparams.policy_rollouts` rollouts that continue x_1:t_k, with t_k =
    c, 2c, ..., T for c = `hparams.policy_reward_step`. The last one is the score of the sample.

    Args:
      policy: the policy.
      score: scores whole sequences.
      samples: the sequences.
      batch: the batch that they were sampled for.
      seed: of the rollouts.
      rows_at_once: about the largest number of sequences that are rolled out together, which
        bounds the memory.
      delayed: the weights of the rollouts; None are those of the policy.
    """
    if delayed is not None:
        with delayed.scope():
            _, states = _unroll_again(policy, samples, batch)
            samples = samples._replace(states=states)
            return action_values(policy, score, samples, batch, seed, rows_at_once)
    count, stride = policy.hparams.policy_rollouts, policy.hparams.policy_reward_step
    rows, steps = batch.shape
    ends = tf.range(stride, tf.maximum(steps, stride), stride)  # all t_k < T
    prefixes = tf.shape(ends)[0]
    # Of the whole batch: the number of rounds must not depend on the number of replicas.
    sequences_of_a_rollout = rows * prefixes * replicas.num_parts()
    at_once = tf.maximum(rows_at_once // tf.maximum(sequences_of_a_rollout, 1), 1)

    def roll_out(done: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        now = tf.minimum(at_once, count - done)
        sequences = _rollouts(policy, samples, batch, ends, now, tf.stack([0, done]) + seed)
        scores = score(sequences, _repeat(batch.lengths, prefixes * now))
        sums = tf.reduce_sum(tf.reshape(scores, [rows, prefixes, now]), 2)
        return done + now, tf.ensure_shape(total + sums, total.shape)  # a loop keeps its shapes

    start = 0, tf.zeros([rows, prefixes])
    _, total = tf.while_loop(lambda done, _: done < count, roll_out, start)
    own = score(samples.observed, batch.lengths)[:, None]
    return tf.concat([total / count, own], axis=1)


def _rollouts(
    policy: Policy, samples: Samples, batch: Batch, ends: tf.Tensor, count: tf.Tensor, seed: Seed
) -> Nest:
    """Returns N = `count` continuations of each prefix of each row, [B K N, T, ...]."""
    rows, time = batch.shape
    noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
    copies = tf.shape(ends)[0] * count
    end = tf.tile(tf.repeat(ends, count), [rows])  # [B K N]
    steps = tf.maximum(time - policy.hparams.policy_reward_step, 1)
    later = tf.clip_by_value(end[:, None] + tf.range(steps), 0, time - 1)
    noise = policy.noise(tf.shape(end)[0], steps, noise_seed)

    def state_at_end(states: tf.Tensor) -> tf.Tensor:
        """[B, T, ...] to [B K N, ...]."""
        found = tf.gather(states, ends - 1, axis=1)
        return _repeat(tf.reshape(found, tf.concat([[-1], tf.shape(states)[2:]], 0)), count)

    def inputs_after_end(inputs: tf.Tensor) -> tf.Tensor:
        """[B, T, ...] to [B K N, steps, ...]."""
        return tf.gather(_repeat(inputs, copies), later, batch_dims=1)

    inputs = tf.nest.map_structure(inputs_after_end, batch.inputs)
    states = tf.nest.map_structure(state_at_end, samples.states)
    generated, _ = policy.core.generate(policy.context, inputs, states, noise, seed)
    at = tf.range(time) - end[:, None]  # the position of each step in its rollout [B K N, T]

    def join(prefix: tf.Tensor, rollout: tf.Tensor) -> tf.Tensor:
        after = tf.gather(rollout, tf.clip_by_value(at, 0, steps - 1), batch_dims=1)
        shape = tf.concat([tf.shape(at), tf.ones([tf.rank(after) - 2], tf.int32)], 0)
        return tf.where(tf.reshape(at, shape) < 0, _repeat(prefix, copies), after)

    joined: Nest = tf.nest.map_structure(join, samples.observed, generated)
    return joined


def _repeat(x: tf.Tensor | None, times: Size) -> tf.Tensor | None:
    """Repeats each row; None stays None."""
    return None if x is None else tf.repeat(x, times, axis=0)


def rows_of(batch: Batch, rows: slice) -> Batch:
    """Returns some rows of a batch."""
    part: Batch = tf.nest.map_structure(lambda x: None if x is None else x[rows], batch)
    return part
