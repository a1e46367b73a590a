"""Small trainings in run directories, with models from the pool."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import SMALL, Waves
from vaeseq.training.callbacks import Report
from vaeseq.training.checkpoints import training_variables
from vaeseq.training.loop import train
from vaeseq.training.run import Run

ABOUT = {"program": "prog", "hparams": {}}


def make_run(path, program="prog"):
    run = Run(path, {**ABOUT, "program": program})
    with run.beginning():
        pass
    return run


def checkpoint(run, step):
    return run.path / f"checkpoints/step-{step:09d}.safetensors"


def batch(step):
    return np.random.default_rng(step).normal(size=[4, 6, 2]).astype(np.float32)


def fit(run, model, stop, every=3, batch=batch, validate=None, sample=None):
    """Trains with a report every three steps, of which the one at step 4 is the best."""

    def distance_to_step_4():
        return {"valid_loss": abs(model.trained_steps - 4.0)}

    def a_sample():
        return {".txt": b"a sample"}

    validate, sample = validate or distance_to_step_4, sample or a_sample
    return train(model, batch, Report(run, stop, every, validate, "valid_loss", sample))


def state(model):
    """The values of all variables that training changes, but for the means of the metrics."""
    variables = training_variables(model).items()
    return [np.asarray(x.numpy()) for name, x in variables if not name.startswith("metrics/")]


def log_of(run):
    """The metrics of a run without the time it took."""
    return [{**line, "seconds": 0} for line in run.metrics()]


@pytest.fixture(scope="session")
def pool(pools):
    """The pool of this folder, for fixtures that outlive a test."""
    return pools[Path(__file__).parent]


@pytest.fixture(scope="session")
def compiled(pool):
    """Returns a compiled model in its initial state; earlier ones can no longer be used."""

    def take(vae_type="RNN", seed=1, **changes):
        pool.put_back_all()
        return pool.take(Waves, SMALL.replace(vae_type=vae_type, dropout=0.3, **changes), seed=seed)

    return take
