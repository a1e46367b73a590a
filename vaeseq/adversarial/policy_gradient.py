"""The policy gradient: a loss whose gradient raises the score of generated sequences.

The generator, a model with any core, is a policy that chooses x_t given x_1:t-1. Its latent
variables are sampled before, half of them from the prior and half from the posterior of observed
sequences. The loss of a sequence is

    - sum_t W_t log p(x_t | x_<t, z)

where W_t is the return assigned to x_t. Q_k = Q(x_1:t_k) is the mean score of sequences that are
rolled out from x_1:t_k, on the grid t_k = c, 2c, ..., T of every c-th step:

    seqgan     W_t = Q_k, for the first k with t_k >= t    Yu et al. 2016, arXiv:1609.05473
    prefix     W_t = sum of Q_k over all t_k >= t          Gao, Cui, Ding 2021
    stepwise   W_t = sum_s gamma^(s-t) r_s over s >= t     r_t from the logit of x_1:t: no rollouts

A baseline is subtracted from W_t, which changes only the variance of the gradient.
"""

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.nn import replicas
from vaeseq.nn.types import Size

_LARGEST_ADVANTAGE = 5.0  # in standard deviations


def loss(
    hparams: HParams,
    log_prob: tf.Tensor,
    weights: tf.Tensor,
    mask: tf.Tensor,
    critic: tf.Tensor | None = None,
    reference: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns - sum_t (W_t - baseline) log p(x_t | x_<t, z), as a mean over time steps.

    Several replicas return shares that add up to the mean.

    Args:
      hparams: the hyperparameters.
      log_prob: log p(x_t | x_<t, z), [B, T].
      weights: W_t, [B, T].
      mask: 1 for steps that count, 0 for padding, [B, T].
      critic: the prediction of W_t from x_1:t-1, [B, T], if `policy_baseline` is `critic`.
      reference: log p(x_t | x_<t, z) of another policy, [B, T], if the loss has the KL divergence
        from it.
    """
    advantage = weights
    if hparams.policy_baseline == "batch":
        sums = [tf.reduce_sum(x, axis=0, keepdims=True) for x in (weights * mask, mask)]
        totals, counts = replicas.total(sums)
        advantage -= totals / tf.maximum(counts, 1.0)
    elif hparams.policy_baseline == "critic":
        advantage -= critic
    if hparams.policy_gradient == "stepwise":
        advantage -= masked_mean(advantage, mask)
        deviation = tf.sqrt(masked_mean(advantage**2, mask)) + 1e-6
        advantage = tf.clip_by_value(advantage / deviation, -_LARGEST_ADVANTAGE, _LARGEST_ADVANTAGE)
    if hparams.policy_entropy_bonus:  # the gradient of E[-log p] is that of a reward of -log p
        surprise = reward_to_go(-log_prob * mask, 1.0)
        advantage += hparams.policy_entropy_bonus * surprise
    if reference is not None:  # the same for E[log p - log p_reference]
        surprise = reward_to_go((reference - log_prob) * mask, 1.0)
        advantage += hparams.policy_reference_kl * surprise
    return -share_of_mean(tf.stop_gradient(advantage) * log_prob, mask)


def rewards(hparams: HParams, logits: tf.Tensor) -> tf.Tensor:
    """Returns the rewards r_t for the logits l_t of prefixes, [B, T]; see `policy_reward`.

    log_sigmoid: log D; tanh: 2 D - 1; difference: l_t - l_{t-1}. The differences add up to an
    estimate of log p_data(x) - log p(x), so that reward minimizes KL(p || p_data).
    """
    if hparams.policy_reward == "difference":
        return logits - tf.pad(logits[:, :-1], [[0, 0], [1, 0]])
    if hparams.policy_reward == "log_sigmoid":
        return tf.math.log_sigmoid(logits)
    return tf.tanh(logits / 2)


def token_weights(
    hparams: HParams, values: tf.Tensor, steps: Size, lengths: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns W_t [B, T] for the values Q_k [B, K] of prefixes, for `seqgan` or `prefix`."""
    stride = hparams.policy_reward_step
    if hparams.policy_gradient == "prefix":
        if lengths is not None:  # of the t_k in the padding, none counts
            values *= tf.sequence_mask(-(-lengths // stride), tf.shape(values)[1], values.dtype)
        values = tf.cumsum(values, axis=1, reverse=True)
    return tf.gather(values, tf.range(steps) // stride, axis=1)


def reward_to_go(rewards: tf.Tensor, discount: float) -> tf.Tensor:
    """Returns sum_s discount^(s - t) r_s over s >= t, [B, T]."""
    steps = tf.range(tf.shape(rewards)[1])
    ahead = steps[:, None] - steps  # s - t
    powers = tf.where(ahead >= 0, tf.pow(discount, tf.cast(ahead, tf.float32)), 0.0)
    return rewards @ powers


def step_mask(like: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Returns 1 for the steps of each row and 0 for padding, of the shape of `like`, [B, T]."""
    if lengths is None:
        return tf.ones_like(like)
    return tf.sequence_mask(lengths, tf.shape(like)[1], like.dtype)


def masked_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean of the elements of all replicas whose mask is 1; 0 if there are none."""
    total, count = replicas.total([tf.reduce_sum(x * mask), tf.reduce_sum(mask)])
    return total / tf.maximum(count, 1.0)


def share_of_mean(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns this replica's share of `masked_mean`, which has a gradient; the shares add up."""
    (count,) = replicas.total([tf.reduce_sum(mask)])
    return tf.reduce_sum(x * mask) / tf.maximum(count, 1.0)
