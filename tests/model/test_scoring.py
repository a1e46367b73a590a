import numpy as np
import pytest

from tests.conftest import SMALL, Waves
from vaeseq import objectives
from vaeseq.model import scoring
from vaeseq.model.scoring import Score, WindowScorer, windows


def in_windows(observed, width):
    """The rows of [B, T, 2], read from one sequence as a corpus is."""
    rows, steps = observed.shape[:2]
    spans = [(row * steps, (row + 1) * steps) for row in range(rows)]
    return windows(observed.reshape(rows * steps, 2), spans, width)


def totals(score):
    return Score(*map(np.sum, score))


def test_windows_have_every_step_of_every_row_once():
    sequence, spans = np.arange(1, 20), [(0, 7), (7, 7), (9, 19)]
    parts = [[], [], []]
    for observed, lengths in windows(sequence, spans, 4):
        assert observed.shape == (3, 4)
        for part, row, length in zip(parts, observed, lengths, strict=True):
            part.extend(row[:length])
            assert not row[length:].any()
    assert parts == [sequence[begin:end].tolist() for begin, end in spans]


def test_reading_window_by_window_is_reading_at_once(observed):
    model = Waves(SMALL.replace(vae_type="RNN"))
    score = totals(WindowScorer(model, num_samples=5).read(in_windows(observed, 4))[0])
    assert score.bound == pytest.approx(float(np.sum(model.log_prob(observed))), rel=1e-5)
    assert score.elbo == pytest.approx(score.bound, rel=1e-5) and score.kl == 0


def test_one_particle_over_one_window_is_the_elbo(waves, observed):
    score = totals(WindowScorer(waves).read(in_windows(observed, 6), seed=3)[0])
    elbo = float(np.sum(objectives.elbo(waves.infer(observed)[0])))
    assert score.elbo == pytest.approx(elbo, rel=0.2)


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN"])
def test_particles_raise_the_bound_towards_the_likelihood(vae_type):
    model = Waves(SMALL.replace(vae_type=vae_type))
    observed = np.random.default_rng(0).normal(size=[50, 6, 2]).astype(np.float32)
    reads = (WindowScorer(model, samples).read(in_windows(observed, 3)) for samples in (1, 8, 64))
    scores = [totals(score) for score, _ in reads]
    bounds = [score.bound for score in scores]
    assert bounds == sorted(bounds)
    assert scores[-1].elbo < scores[-1].bound
    whole = float(np.sum(model.log_prob(observed, num_samples=2000)))
    assert bounds[-1] == pytest.approx(whole, rel=0.05)


def test_a_row_that_has_ended_adds_nothing(waves, observed):
    short, _ = WindowScorer(waves, 2).read([(observed[:, :3], [3, 0, 0, 0])])
    longer, _ = WindowScorer(waves, 2).read(
        [(observed[:, :3], [3, 0, 0, 0]), (observed[:, 3:], [0, 0, 0, 0])]
    )
    np.testing.assert_allclose(longer, short, rtol=1e-5)
    assert np.all(longer.elbo[1:] == 0)


def test_no_windows_are_refused(waves):
    with pytest.raises(ValueError, match="no windows"):
        WindowScorer(waves).read([])


def test_particles_that_are_drawn_again_often_tell_more_of_a_long_sequence(monkeypatch):
    """The truth lies above both bounds, and that of weights of whole sequences is looser."""
    model = Waves(SMALL.replace(vae_type="SRNN"))
    observed = np.random.default_rng(0).normal(size=[8, 48, 2]).astype(np.float32)
    bounds = []
    for steps in (48, 4):
        monkeypatch.setattr(scoring, "_STEPS_BETWEEN_DRAWS", steps)
        bounds.append(totals(WindowScorer(model, 32).read(in_windows(observed, 48))[0]).bound)
    assert bounds[0] < bounds[1]


def test_a_score_has_the_elbo_of_one_particle_and_the_bound_of_many(observed):
    model = Waves(SMALL.replace(vae_type="SRNN"))
    read = lambda reader: reader.read(in_windows(observed, 6), seed=3)[0]  # noqa: E731
    score, one = scoring.score(model, 50, read), read(WindowScorer(model))
    assert np.array_equal(score.elbo, one.elbo) and np.array_equal(score.kl, one.kl)
    assert score.bound.sum() > score.elbo.sum()


def test_one_row_is_read_whatever_its_shape_is_known_to_be(waves, observed):
    """A state of one row has a shape that is known, and what is drawn of it has not."""
    state = waves.initial_state(1)
    score, _ = WindowScorer(waves).read(in_windows(observed[:1], 4), state)
    assert np.isfinite(score.elbo).all() and score.elbo.shape == (1,)
