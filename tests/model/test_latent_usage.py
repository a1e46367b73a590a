"""Measures of how much a latent variable is used."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Bits
from vaeseq.model.latent_usage import active_units, latent_usage, mutual_information
from vaeseq.vae.latent import Gaussian


@pytest.mark.parametrize("ratio", [0.0, 1.0, 4.0])
def test_mutual_information_of_gaussians(ratio):
    """Means of variance s^2 and noise of variance v: (1/2) log(1 + s^2 / v) for each unit."""
    rng = np.random.default_rng(0)
    loc = np.sqrt(ratio) * 0.5 * rng.normal(size=[6000, 2])
    posteriors = Gaussian(tf.constant(loc), tf.fill([6000, 2], tf.constant(0.5, tf.float64)))
    assert mutual_information(posteriors) == pytest.approx(np.log(1 + ratio), abs=0.04)
    assert active_units(posteriors) == (2 if ratio else 0)


def test_a_latent_that_describes_sequences_reconstructs_them(pooled):
    """All bits of a sequence are equal, so one unit is enough."""
    observed = np.repeat(np.arange(64)[:, None] % 2, 6, axis=1).astype(np.int32)
    model = pooled(
        Bits,
        SMALL.replace(
            vae_type="SEQVAE", learning_rate=0.02, divergence_strength_half=50.0, word_dropout=1.0
        ),
    )
    model.fit(tf.data.Dataset.from_tensors(observed).repeat(150), shuffle=False, verbose=0)
    usage = latent_usage(model, [(observed[:32], [6] * 32), (observed[32:], [6] * 32)])
    assert usage.reconstruction_accuracy > 0.95
    assert usage.active_units >= 1
    assert usage.mutual_information == pytest.approx(np.log(2), abs=0.1)
