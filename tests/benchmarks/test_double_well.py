import numpy as np
import pytest

from benchmarks.quality.double_well import DoubleWell, log_normal


def test_the_likelihood_is_the_mean_over_simulated_particles():
    system, rng = DoubleWell(), np.random.default_rng(0)
    observed = system.sample(rng, num_sequences=3, steps=2)
    state = rng.choice(system.grid, size=100_000, p=system.stationary)
    log_density = np.zeros([3, len(state)])
    for x in np.moveaxis(observed, 1, 0):
        state = system._next(rng, state)
        errors = log_normal(x[:, None], system._sensors(state), system.sensor_noise)
        log_density += errors.sum(axis=-1)
    simulated = np.log(np.exp(log_density).mean(axis=1))
    assert system.log_prob(observed) == pytest.approx(simulated, abs=0.1)
