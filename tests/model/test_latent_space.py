"""Sequences as points of a latent space."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq.model import latent_space


def test_decode_generates_with_the_given_z(seq_vae):
    z = tf.random.stateless_normal([4, 3], [1, 2])
    decoded = seq_vae.decode(z, 5, seed=3)
    generated, _ = seq_vae.extend(
        seq_vae.initial_state(4), 4, 5, seed=3, latents=tf.repeat(z[:, None], 5, axis=1)
    )
    assert_close(decoded, generated)


def test_interpolation_ends_at_the_reconstructions(seq_vae, observed):
    path = seq_vae.interpolate(observed[0], observed[1], 4)
    assert path.shape == (4, 6, 2)
    reconstructions = seq_vae.reconstruct(observed[:2])
    assert_close(path[0], reconstructions[0], 1e-3)
    assert_close(path[-1], reconstructions[1], 1e-3)


def test_slerp_keeps_the_distance_from_the_origin():
    start, end = tf.constant([2.0, 0.0]), tf.constant([0.0, 2.0])
    points = latent_space.slerp(start, end, 3)
    np.testing.assert_allclose(points, [[2, 0], [2**0.5, 2**0.5], [0, 2]], atol=1e-6)
    np.testing.assert_allclose(latent_space.slerp(start, 2 * start, 3)[1], [3, 0], atol=1e-6)
    opposite = latent_space.slerp(tf.constant([1.0]), tf.constant([-1.0]), 5)
    np.testing.assert_allclose(opposite[:, 0], [1, 0.5, 0, -0.5, -1], atol=1e-6)


def test_an_attribute_vector_is_the_difference_of_posterior_means(seq_vae, observed):
    vector = seq_vae.attribute_vector(observed[:2], observed[2:])
    loc = seq_vae.encode(observed).loc
    assert_close(vector, tf.reduce_mean(loc[:2], 0) - tf.reduce_mean(loc[2:], 0))


def test_cores_without_a_sequence_latent_say_so(pooled, observed, vae_type):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    assert model.has_sequence_latent == (vae_type == "SEQVAE")
    if not model.has_sequence_latent:
        message = f"{vae_type} has no latent variable for the whole"
        with pytest.raises(vaeseq.UsageError, match=message):
            model.encode(observed)
        with pytest.raises(vaeseq.UsageError, match=message):
            model.decode(np.zeros([1, 3]), 5)
