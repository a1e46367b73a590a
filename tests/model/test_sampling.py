"""Samples of any length."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close
from vaeseq import codec
from vaeseq.model.sampling import sample, sample_with_common_noise


def test_pieces_continue_each_other_without_another_trace(seq_vae):
    counts = []
    for size in (3, 5):  # traced with either shape
        seq_vae.generate(2, size, temperature=0.7)
    traces = seq_vae._extend.experimental_get_tracing_count()
    state = seq_vae.initial_state(2)
    pieces = sample(seq_vae, state, 2, 17, 0.7, 3, counts.append, steps_at_once=7)
    assert pieces.shape == (2, 17, 2) and counts == [14, 14, 6]
    assert seq_vae._extend.experimental_get_tracing_count() == traces
    start, after = seq_vae.extend(state, 2, 7, None, 0.7, (3, 0))
    assert_close(pieces[:, :7], start)
    assert_close(pieces[:, 7:14], seq_vae.extend(after, 2, 7, None, 0.7, (3, 7))[0])


def test_pieces_use_their_part_of_the_latents(pooled):
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    z = tf.random.stateless_normal([2, 9, 3], [1, 2])
    state = model.initial_state(2)
    samples = sample(model, state, 2, 9, latents=z, steps_at_once=5)
    start, after = model.extend(state, 2, 5, seed=(0, 0), latents=z[:, :5])
    end, _ = model.extend(after, 2, 4, seed=(0, 5), latents=z[:, 5:])
    assert_close(samples, np.concatenate([start, end], axis=1))


def test_samples_with_common_noise_differ_by_their_states_only(seq_vae):
    z = tf.constant([[0.1] * 3, [0.1] * 3, [5.0] * 3])
    states = seq_vae.state_from_latents(z)
    rows = sample_with_common_noise(seq_vae, states, 6, 0.7, seed=3)
    assert rows.shape == (3, 6, 2)
    assert_close(rows[0], rows[1])
    assert np.abs(rows[0] - rows[2]).max() > 0.1
    alone = sample(seq_vae, seq_vae.state_from_latents(z[2:]), 1, 6, 0.7, seed=3)
    assert_close(rows[2], alone[0])
    independent = sample(seq_vae, states, 3, 6, 0.7, seed=3)
    assert np.abs(independent[0] - independent[1]).max() > 0.1


@pytest.mark.parametrize("vae_type", ["RNN", "SRNN"])
def test_rows_with_common_noise_are_those_of_sequences_alone(pooled, vae_type):
    """Also the noise of the latents is the same in all rows."""
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    prefixes = np.random.default_rng(1).normal(size=[3, 4, 2]).astype(np.float32)
    prefixes[1] = prefixes[0]
    rows = sample_with_common_noise(model, model.prime(prefixes), 5, 0.7, seed=3)
    one = tf.nest.map_structure(lambda x: x[2:], model.prime(prefixes))
    assert_close(rows[2], sample(model, one, 1, 5, 0.7, seed=3)[0])
    assert np.abs(rows[0] - rows[2]).max() > 1e-3


def test_tuples_are_sampled_alike():
    decoder = codec.JointDecoder([codec.CategoricalDecoder(50), codec.NormalDecoder([2])])
    params = decoder(tf.repeat(tf.random.stateless_normal([1, decoder.param_size], [1, 2]), 4, 0))
    for part in decoder.sample_alike(params, tf.constant([3, 4])):
        assert np.all(part == part[:1])
    assert len(set(decoder.sample(params, tf.constant([3, 4]))[0].numpy().tolist())) > 1
