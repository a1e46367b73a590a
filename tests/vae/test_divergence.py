"""The KL divergence: free bits and balancing change its gradient, never its value."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, assert_close
from vaeseq.vae import divergence
from vaeseq.vae.latent import Categorical, Gaussian


def random_gaussians(batch, time):
    """The params of a posterior and a prior, [batch, time, 3], flat and as Gaussians."""
    params = [0.3 + tf.random.stateless_uniform([batch, time, 3], [i, 7]) for i in range(4)]
    return params, Gaussian(*params[:2]), Gaussian(*params[2:])


def kl_of_units(q, p):
    return q.dist().distribution.kl_divergence(p.dist().distribution).numpy()  # [B, T, Z]


@pytest.mark.parametrize("per", ["sequence", "dimension"])
def test_kl_below_the_free_bits_has_no_gradient(per):
    params, q, p = random_gaussians(4, 2)
    units = kl_of_units(q, p).sum(axis=1)  # [4, 3]
    amounts = np.sort(units.sum(axis=1) if per == "sequence" else units.mean(axis=0))
    free = float(amounts[:2].mean())  # between the lowest and the next
    with tf.GradientTape() as tape:
        tape.watch(params)
        kl = divergence.kl(SMALL.replace(free_bits=free, free_bits_per=per), q, p, q.loc)
    assert_close(kl, divergence.kl(SMALL, q, p, q.loc))
    has_gradient = np.abs(tape.gradient(kl, params)[0]) > 0
    if per == "sequence":
        np.testing.assert_array_equal(has_gradient.any(axis=(1, 2)), units.sum(axis=1) > free)
    else:
        np.testing.assert_array_equal(has_gradient.any(axis=(0, 1)), units.mean(axis=0) > free)


def test_padding_does_not_count_towards_the_free_bits():
    params, q, p = random_gaussians(2, 3)
    mask = tf.sequence_mask([1, 3], 3)
    hparams = SMALL.replace(free_bits=float(kl_of_units(q, p)[0].sum()) * 0.99)
    with tf.GradientTape() as tape:
        tape.watch(params)
        kl = divergence.kl(hparams, q, p, q.loc, mask)
    assert np.all(kl[0, 1:] == 0)
    assert np.all(tape.gradient(kl, params)[0][0] == 0)


def categoricals(logits):
    """A posterior and a prior of logits [2, 3, 6]."""
    return [Categorical.from_logits(tf.reshape(x, [2, 3, 2, 3])) for x in logits]


@pytest.mark.parametrize("kind", ["gaussian", "categorical", "monte carlo"])
def test_balancing_divides_the_gradient_between_prior_and_posterior(kind):
    values, gradients = [], []
    for balance in (0.5, 0.8, 1.0):
        params, q, p = random_gaussians(2, 3)
        if kind == "categorical":
            params = [4 * tf.random.stateless_uniform([2, 3, 6], [i, 7]) for i in range(2)]
        with tf.GradientTape() as tape:
            tape.watch(params)
            if kind == "categorical":
                q, p = categoricals(params)
            hparams = SMALL.replace(kl_balance=balance, use_monte_carlo_kl=kind == "monte carlo")
            z = q[0] + 0.5 * q[1] if kind == "monte carlo" else q[0]
            kl = divergence.kl(hparams, q, p, z)
        values.append(kl)
        gradients.append(tape.gradient(kl, params))
    assert_close(values[1], values[0])
    assert_close(values[2], values[0])
    for i, (plain, balanced, prior_only) in enumerate(zip(*gradients, strict=True)):
        of_prior = i >= len(gradients[0]) // 2
        assert_close(balanced, (1.6 if of_prior else 0.4) * plain)
        assert_close(prior_only, (2.0 if of_prior else 0.0) * plain)
