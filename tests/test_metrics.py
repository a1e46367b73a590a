"""Scores of samples against closed forms and brute force."""

import itertools
import statistics
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import assert_close
from vaeseq import metrics


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def brute_force(samples, observed, fair):
    """E|X - y| - 1/2 E|X - X'| for vectors [N, E], by double sums."""
    number = len(samples)
    errors = [np.linalg.norm(x - observed) for x in samples]
    distances = [np.linalg.norm(x - y) for x, y in itertools.product(samples, samples)]
    return np.mean(errors) - 0.5 * np.sum(distances) / (number * (number - 1 if fair else number))


@pytest.mark.parametrize("fair", [True, False])
def test_crps_is_that_of_double_sums(fair, rng):
    samples, observed = rng.normal(size=[7, 4, 3]), rng.normal(size=[4, 3])
    score = metrics.crps(samples, observed, fair=fair)
    assert score.shape == (4, 3)
    for b, t in np.ndindex(4, 3):
        expected = brute_force(samples[:, b, t, None], observed[b, t, None], fair)
        assert score[b, t] == pytest.approx(expected)


@pytest.mark.parametrize("fair", [True, False])
@pytest.mark.parametrize("event_axes", [1, 2])
def test_energy_score_is_that_of_double_sums(event_axes, fair, rng):
    samples, observed = rng.normal(size=[6, 4, 3, 2]), rng.normal(size=[4, 3, 2])
    score = metrics.energy_score(samples, observed, event_axes=event_axes, fair=fair)
    assert score.shape == (4, 3)[: 3 - event_axes]
    for index in np.ndindex(score.shape):
        row = samples[(slice(None), *index)].reshape(6, -1)
        assert score[index] == pytest.approx(brute_force(row, observed[index].ravel(), fair))


def test_energy_score_of_one_variable_is_its_crps(rng):
    samples, observed = rng.normal(size=[9, 5, 1]), rng.normal(size=[5, 1])
    np.testing.assert_allclose(
        metrics.energy_score(samples, observed), metrics.crps(samples, observed)[:, 0]
    )


def test_fair_crps_of_a_gaussian_is_the_closed_form_for_any_number_of_samples(rng):
    y = 0.7
    normal = statistics.NormalDist()
    exact = y * (2 * normal.cdf(y) - 1) + 2 * normal.pdf(y) - 1 / np.sqrt(np.pi)
    few = metrics.crps(rng.normal(size=[2, 200_000]), np.full(200_000, y))
    many = metrics.crps(rng.normal(size=[200_000]), y)
    plain = metrics.crps(rng.normal(size=[2, 200_000]), np.full(200_000, y), fair=False)
    assert few.mean() == pytest.approx(exact, abs=0.01)
    assert many == pytest.approx(exact, abs=0.01)
    assert plain.mean() == pytest.approx(exact + 2 / np.sqrt(np.pi) / 4, abs=0.01)  # E|X - X'| / 2N


def test_crps_of_one_sample_is_the_absolute_error_and_of_bits_the_brier_score():
    assert metrics.crps([3.0], 1.0, fair=False) == 2.0
    bits = np.array([True, False, False, False])
    assert metrics.crps(bits, 1, fair=False) == pytest.approx(0.75**2)


def test_crps_keeps_its_precision_far_from_zero(rng):
    samples, observed = rng.normal(size=[50, 10]), rng.normal(size=[10])
    near = metrics.crps(samples, observed)
    np.testing.assert_allclose(metrics.crps(samples + 1e9, observed + 1e9), near, rtol=1e-5)


def test_quantile_loss_of_known_quantiles():
    samples = np.arange(1.0, 10.0)[:, None]  # i is the quantile i / 10
    loss = metrics.quantile_loss(samples, [8.0], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(loss, [[0.1 * 7], [0.5 * 3], [0.1 * 1]])
    assert metrics.quantile_loss(samples, [8.0], 0.5).shape == (1,)


def test_twice_the_mean_quantile_loss_is_the_crps(rng):
    samples, observed = rng.normal(size=[2000, 5]), rng.normal(size=[5])
    losses = metrics.quantile_loss(samples, observed, np.linspace(0.001, 0.999, 999))
    np.testing.assert_allclose(2 * losses.mean(0), metrics.crps(samples, observed), atol=0.005)


@pytest.mark.parametrize("number", [19, 50])
def test_intervals_of_the_true_distribution_cover_their_level(number, rng):
    samples, observed = rng.gumbel(size=[number, 100_000]), rng.gumbel(size=[100_000])
    share = metrics.coverage(samples, observed, [0.5, 0.9])
    np.testing.assert_allclose(share, [0.5, 0.9], atol=0.01)


def test_coverage_by_step_is_the_mean_over_the_other_axes():
    samples = np.broadcast_to(np.arange(9.0)[:, None, None, None], [9, 2, 3, 4])
    observed = np.full([2, 3, 4], 4.0)
    observed[0, 1] = 100.0  # outside, at step 1 of one row of two
    assert metrics.coverage(samples, observed, 0.5).shape == ()
    np.testing.assert_array_equal(
        metrics.coverage(samples, observed, 0.5, axis=(0, 2)), [1, 0.5, 1]
    )
    assert metrics.coverage(samples, observed, [0.5, 0.8], axis=-1).shape == (2, 2, 3)


def test_an_interval_wider_than_its_samples_is_refused(rng):
    with pytest.raises(ValueError, match=r"level 0.9 needs at least 19 samples, not 18"):
        metrics.coverage(rng.normal(size=[18, 3]), np.zeros(3))


SCORES = {
    "crps": metrics.crps,
    "energy_score": metrics.energy_score,
    "quantile_loss": metrics.quantile_loss,
    "coverage": lambda *args, **options: metrics.coverage(*args, axis=(), **options),
}


@pytest.mark.parametrize("name", SCORES)
def test_what_is_missing_has_no_score_and_does_not_count(name, rng):
    score = SCORES[name]
    samples, observed = rng.normal(size=[20, 4, 3]), rng.normal(size=[4, 3])
    mask = np.ones([4, 3], bool)
    mask[1] = False
    absent, hidden = samples.copy(), observed.copy()
    absent[:, 1], hidden[1] = np.nan, 1e30  # what is behind the mask does not matter
    by_mask = score(absent, hidden, mask=mask)
    hidden[1] = np.nan
    np.testing.assert_array_equal(score(samples, hidden), by_mask)
    np.testing.assert_array_equal(score(samples, hidden, mask=mask[:, 0]), by_mask)
    kept = np.array([0, 2, 3])
    part = score(samples[:, kept], observed[kept])
    axis = by_mask.ndim - (1 if name == "energy_score" else 2)
    np.testing.assert_allclose(np.take(by_mask, kept, axis), part)
    assert np.isnan(np.take(by_mask, 1, axis)).all()


def test_missing_elements_leave_the_marginal_energy_score(rng):
    samples, observed = rng.normal(size=[20, 4, 3]), rng.normal(size=[4, 3])
    expected = metrics.energy_score(samples[..., :2], observed[..., :2])
    observed[:, 2] = np.nan
    np.testing.assert_allclose(metrics.energy_score(samples, observed), expected)


def test_coverage_counts_what_was_observed(rng):
    samples, observed = rng.normal(size=[20, 50]), rng.normal(size=[50])
    part = metrics.coverage(samples[:, ::2], observed[::2])
    observed[1::2] = np.nan
    np.testing.assert_array_equal(metrics.coverage(samples, observed), part)
    assert np.isnan(metrics.coverage(samples, np.full(50, np.nan))).all()


@pytest.mark.parametrize("name", SCORES)
def test_shapes_and_numbers_that_do_not_fit_are_refused(name, rng):
    score = SCORES[name]
    samples, observed = rng.normal(size=[20, 4, 3]), rng.normal(size=[4, 3])
    with pytest.raises(ValueError, match=r"which is \[3\]; they are \[20, 4, 3\]"):
        score(samples, observed[0])
    with pytest.raises(ValueError, match="samples must be"):
        score(samples[:0], observed)
    with pytest.raises(ValueError, match=r"mask must be .* it is bool \[3\]"):
        score(samples, observed, mask=np.ones(3, bool))
    with pytest.raises(ValueError, match="mask must be of True and False"):
        score(samples, observed, mask=observed)
    for bad in (np.nan, np.inf):
        samples[5, 1, 2] = bad
        with pytest.raises(ValueError, match="1 samples are NaN or infinite"):
            score(samples, observed)


@pytest.mark.parametrize("name", SCORES)
def test_infinite_observations_are_refused_and_masked_arrays_are_gaps(name, rng):
    score = SCORES[name]
    samples, observed = rng.normal(size=[20, 4, 3]), rng.normal(size=[4, 3])
    masked = np.ma.masked_array(observed, rng.random([4, 3]) < 0.3)
    assert_close(score(samples, masked), score(samples, masked.filled(np.nan)), 0)
    observed[1, 2] = -np.inf
    with pytest.raises(ValueError, match="infinite numbers in observed: 1; if"):
        score(samples, observed)


def test_arguments_out_of_range_are_refused(rng):
    samples, observed = rng.normal(size=[20, 4]), rng.normal(size=[4])
    for scored in (metrics.crps, metrics.energy_score):
        with pytest.raises(ValueError, match="at least 2 samples"):
            scored(samples[:1], observed)
    for levels in (0, 1, -0.5, np.nan, [[0.5]]):
        with pytest.raises(ValueError, match="quantiles must be numbers between 0 and 1"):
            metrics.quantile_loss(samples, observed, levels)
        with pytest.raises(ValueError, match="levels must be numbers between 0 and 1"):
            metrics.coverage(samples, observed, levels)
    for axis in (1, -2):
        with pytest.raises(ValueError, match=f"axis {axis} is not one of the 1 of observed"):
            metrics.coverage(samples, observed, 0.5, axis=axis)
    for axes in (0, 2):
        with pytest.raises(ValueError, match="event_axes must be from 1 to 1"):
            metrics.energy_score(samples, observed, event_axes=axes)


def test_scores_need_numpy_alone():
    code = (
        "import sys, vaeseq; vaeseq.metrics.crps; vaeseq.plot_fan\n"
        "assert not {'tensorflow', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
