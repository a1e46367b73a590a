"""Weights of particles, and their resampling."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import assert_close
from vaeseq.vae import particles

WEIGHTS = np.array([[0.5, 0.3, 0.2, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def log_weights():
    with np.errstate(divide="ignore"):
        return tf.constant(np.log(WEIGHTS), tf.float32)


def test_the_effective_sample_size_is_from_1_to_the_number_of_particles(log_weights):
    sizes = particles.effective_sample_size(log_weights + 7.0)
    assert_close(sizes, 1 / np.sum(WEIGHTS**2, axis=1))


def test_normalised_weights_sum_to_one(log_weights):
    total, normalised = particles.normalise(log_weights + 7.0)
    assert_close(total, np.full(3, 7.0))
    assert_close(np.sum(np.exp(normalised), axis=1), np.ones(3))


def test_resampling_is_unbiased_and_never_a_whole_particle_off(log_weights):
    uniforms = (np.arange(100, dtype=np.float32) + 0.5) / 100
    counts = []
    for uniform in uniforms:
        chosen = particles.systematic(log_weights, tf.fill([3], uniform)).numpy()
        counts.append([np.bincount(row, minlength=4) for row in chosen])
    assert_close(np.mean(counts, axis=0), 4 * WEIGHTS, 0.011)
    assert np.max(np.abs(counts - 4 * WEIGHTS)) < 1


def test_extreme_uniforms_choose_particles_that_have_a_weight(log_weights):
    for uniform in (0.0, np.nextafter(np.float32(1), np.float32(0))):
        chosen = particles.systematic(log_weights, tf.fill([3], uniform)).numpy()
        assert np.all(np.take_along_axis(WEIGHTS, chosen, axis=1) > 0)


def test_only_sequences_with_few_effective_particles_are_resampled(log_weights):
    rows = tf.range(12)
    after, taken = particles.resample_if_few(log_weights, tf.fill([3], 0.5), (rows,))
    assert_close(taken[0], np.array([*range(8), 11, 11, 11, 11]), 0)
    assert_close(after, tf.concat([log_weights[:2], tf.fill([1, 4], -np.log(np.float32(4)))], 0))


def test_particles_come_from_their_own_sequence():
    log_weights = tf.random.stateless_normal([5, 8], [1, 2], stddev=3.0)
    chosen = particles.systematic(log_weights, tf.fill([5], 0.3))
    sequence = tf.repeat(tf.range(5), 8)
    assert_close(particles.take(sequence, chosen), sequence, 0)


def test_a_sequence_that_may_not_be_resampled_keeps_its_particles(log_weights):
    rows, allowed = tf.range(12), tf.constant([True, True, False])
    after, taken = particles.resample_if_few(log_weights, tf.fill([3], 0.5), rows, allowed)
    assert_close((after, taken), (log_weights, rows), 0)


def test_ancestors_are_found_step_by_step():
    chosen = np.array([[[0, 1, 2], [0, 0, 2], [1, 2, 2], [0, 1, 2]]], np.int32)
    ancestors = particles.lineage(tf.constant(chosen))
    assert_close(ancestors, np.array([[[0, 2, 2], [0, 2, 2], [1, 2, 2], [0, 1, 2]]]), 0)
    log_weights = tf.math.log([[0.5, 0.25, 0.25]])
    sizes = particles.ancestral_sample_size(log_weights, ancestors)
    assert_close(sizes, np.array([[2, 2, 2, 1 / (0.25 + 2 / 16)]]))


def test_moments_are_those_of_the_weighted_values():
    values = np.random.default_rng(0).normal(size=[2, 4, 3]).astype(np.float32)
    mean, stddev = particles.moments(tf.math.log(tf.constant(WEIGHTS[:2], tf.float32)), values)
    repeated = np.repeat(values[0], [5, 3, 2, 0], axis=0)
    assert_close((mean[0], stddev[0]), (repeated.mean(axis=0), repeated.std(axis=0)))
    assert_close((mean[1], stddev[1]), (values[1].mean(axis=0), values[1].std(axis=0)))
