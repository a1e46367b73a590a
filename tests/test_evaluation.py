import numpy as np
import pytest

from tests.conftest import SMALL, Waves
from vaeseq import objectives
from vaeseq.evaluation import Reader


def windows(observed, width):
    for start in range(0, observed.shape[1], width):
        window = observed[:, start : start + width]
        length = window.shape[1]
        padded = np.pad(window, [(0, 0), (0, width - length), (0, 0)])
        yield padded, [length] * len(window)


def test_reading_window_by_window_is_reading_at_once(observed):
    model = Waves(SMALL.replace(vae_type="RNN"))
    score, _ = Reader(model, num_samples=5).read(windows(observed, 4))
    assert score.bound == pytest.approx(float(np.sum(model.log_prob(observed))), rel=1e-5)
    assert score.elbo == pytest.approx(score.bound, rel=1e-5) and score.kl == 0


def test_one_particle_over_one_window_is_the_elbo(waves, observed):
    score, _ = Reader(waves).read(windows(observed, 6), seed=3)
    elbo = float(np.sum(objectives.elbo(waves.infer(observed)[0])))
    assert score.elbo == pytest.approx(elbo, rel=0.2)


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN"])
def test_particles_raise_the_bound_towards_the_likelihood(vae_type):
    model = Waves(SMALL.replace(vae_type=vae_type))
    observed = np.random.default_rng(0).normal(size=[50, 6, 2]).astype(np.float32)
    scores = [Reader(model, samples).read(windows(observed, 3))[0] for samples in (1, 8, 64)]
    bounds = [score.bound for score in scores]
    assert bounds == sorted(bounds)
    assert scores[-1].elbo < scores[-1].bound
    whole = float(np.sum(model.log_prob(observed, num_samples=2000)))
    assert bounds[-1] == pytest.approx(whole, rel=0.05)


def test_a_row_that_has_ended_adds_nothing(waves, observed):
    short, _ = Reader(waves, 2).read([(observed[:, :3], [3, 0, 0, 0])])
    longer, _ = Reader(waves, 2).read(
        [(observed[:, :3], [3, 0, 0, 0]), (observed[:, 3:], [0, 0, 0, 0])]
    )
    assert longer == pytest.approx(short)


def test_no_windows_are_refused(waves):
    with pytest.raises(ValueError, match="no windows"):
        Reader(waves).read([])
