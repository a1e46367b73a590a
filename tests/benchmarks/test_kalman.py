"""The Kalman filter and smoother against conditioning of one joint Gaussian."""

import numpy as np
import pytest

from benchmarks.quality import kalman

STEPS, AHEAD = 4, 2


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=[2, 2, 2])
    initial, state_noise = factors @ factors.swapaxes(1, 2)
    transition = np.array([[0.9, 0.3], [-0.2, 0.7]])
    emission = rng.normal(size=[3, 2])
    return kalman.System(initial, transition, state_noise, emission, np.array([0.1, 0.5, 1.0]))


@pytest.fixture(scope="module")
def covariance(system):
    """Of all elements of x_1:STEPS+AHEAD, flattened."""
    times = STEPS + AHEAD
    states = np.zeros([times, 2, times, 2])
    marginal = system.initial
    for t in range(times):
        block = marginal
        for later in range(t, times):
            states[later, :, t], states[t, :, later] = block, block.T
            block = system.transition @ block
        marginal = system.transition @ marginal @ system.transition.T + system.state_noise
    both = np.einsum("ei,aibj,fj->aebf", system.emission, states, system.emission)
    return both.reshape(3 * times, 3 * times) + np.diag(np.tile(system.noise, times))


@pytest.fixture(scope="module")
def given(system):
    """Sequences, and masks: nothing, a whole step, single elements and everything is missing."""
    observed = kalman.sample(system, np.random.default_rng(1), 4, STEPS)
    mask = np.ones(observed.shape, bool)
    mask[1, 1] = mask[1, 3] = False
    mask[2] = np.random.default_rng(2).random(mask[2].shape) < 0.5
    mask[3] = False
    return np.where(mask, observed, 1e9), mask  # what is missing must not matter


def condition(covariance, observed, mask):
    """Returns log p(known), and the means and variances of all elements given the known ones."""
    known = np.concatenate([mask.ravel(), np.zeros(3 * AHEAD, bool)])
    x = observed.ravel()[mask.ravel()]
    within, across = covariance[known][:, known], covariance[:, known]
    gain = np.linalg.solve(within, across.T).T
    log_prob = -0.5 * (x @ np.linalg.solve(within, x) + np.linalg.slogdet(2 * np.pi * within)[1])
    return log_prob, gain @ x, np.diag(covariance - gain @ across.T)


def test_filter_smoother_and_forecast_are_those_of_the_joint_gaussian(system, covariance, given):
    observed, mask = given
    log_probs, filtered = kalman.filter_states(system, observed, mask)
    smoothed = kalman.observation_moments(system, kalman.smooth_states(system, filtered))
    ahead = kalman.observation_moments(system, kalman.forecast_states(system, filtered, AHEAD))
    for row in range(len(observed)):
        log_prob, *expected = condition(covariance, observed[row], mask[row])
        assert log_probs[row] == pytest.approx(log_prob)
        for ours, later, exact in zip(smoothed, ahead, expected, strict=True):
            exact = exact.reshape(STEPS + AHEAD, 3)
            np.testing.assert_allclose(ours[row][~mask[row]], exact[:STEPS][~mask[row]])
            np.testing.assert_allclose(later[row], exact[STEPS:])


def test_samples_have_the_covariance_of_the_system(system, covariance):
    x = kalman.sample(system, np.random.default_rng(3), 100_000, STEPS + AHEAD)
    np.testing.assert_allclose(np.cov(x.reshape(len(x), -1).T), covariance, atol=0.3)
