"""Models from the pool, and scorers of them: both are traced once for all tests here."""

import pytest

from tests.conftest import SMALL, Waves
from vaeseq.model.scoring import WindowScorer


@pytest.fixture
def waves(vae_type, pooled):
    """A compiled model of each core."""
    return pooled(Waves, SMALL.replace(vae_type=vae_type))


@pytest.fixture
def seq_vae(pooled):
    """A compiled model with one latent variable for the whole sequence."""
    return pooled(Waves, SMALL.replace(vae_type="SEQVAE"))


@pytest.fixture(scope="session")
def scorer():
    """Returns the scorer of a model with some number of samples: `scorer(model, 2)`."""
    scorers = {}

    def scorer(model, num_samples=1, **kwargs):
        key = id(model), num_samples, *kwargs.items()
        if key not in scorers:  # it keeps its model alive, so the id stays that of this model
            scorers[key] = WindowScorer(model, num_samples, **kwargs)
        return scorers[key]

    return scorer
