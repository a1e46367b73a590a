"""The data and the measure of the benchmark of first fits."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.quality import first_fit


@pytest.mark.parametrize("name", first_fit.TASKS)
def test_the_mean_of_the_data_is_that_of_the_task(name):
    task = first_fit.TASKS[name]
    observed = task.make(np.random.default_rng(0))
    assert observed.shape[:2] == (first_fit.SEQUENCES, first_fit.STEPS)
    assert observed.mean() == pytest.approx(task.mean, abs=0.03)


def test_bits_are_the_signs_of_a_wave_but_for_those_that_are_flipped():
    bits = first_fit.make_bits(np.random.default_rng(0))
    changes = np.mean(bits[:, 1:] != bits[:, :-1])
    kept = 1 - 2 * first_fit.FLIPPED  # the correlation of a bit with its sign
    of_signs = 0.5 / np.pi  # a half wave is 2 pi steps
    assert changes == pytest.approx(0.5 - kept**2 * (0.5 - of_signs), abs=0.01)


class Oracle:
    """Continues each sequence by one of two futures, which are 1 above and 1 below the truth."""

    def __init__(self, observed):
        self.observed = observed

    def prime(self, observed, num_samples):
        assert observed.shape[1] == first_fit.KNOWN
        return num_samples

    def generate(self, sequence_size, state):
        futures = np.repeat(self.observed[:, -sequence_size:], state, axis=0)
        return tf.constant(futures + np.resize([1.0, -1.0], len(futures))[:, None, None])


def test_the_forecast_is_the_mean_of_the_futures_of_a_sequence():
    observed = first_fit.make_waves(np.random.default_rng(0))
    assert first_fit.forecast_error(Oracle(observed), observed) == pytest.approx(0, abs=1e-9)
    assert first_fit.forecast_error(Oracle(observed + 0.25), observed) == pytest.approx(0.25)
