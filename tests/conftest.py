"""The models over which the laws are tested, a pool of compiled ones, and programs in process."""

import collections
import contextlib
import functools
import gc
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# One process of tests for each core: more threads only wait for each other.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from benchmarks.kill_matrix import VERSE
from tests.pool import Pool
from vaeseq import codec
from vaeseq.examples.text import app as text_app
from vaeseq.training import curves


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def pytest_collection_finish():
    """Excludes what was imported from garbage collection, which is slow with so many objects."""
    gc.collect()
    gc.freeze()


SMALL = vaeseq.HParams(
    latent_size=3,
    rnn_hidden_sizes=(5,),
    obs_encoder_fc_layers=(6,),
    obs_decoder_fc_hidden_layers=(7,),
    latent_decoder_fc_layers=(8,),
)


# Hyperparameters of vaeseq-text.
TINY = "rnn_hidden_sizes=[8],embed_size=4,batch_size=6,sequence_size=10"


class Waves(vaeseq.ModelBase):
    """Real-valued observations [B, T, 2]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([2]))


class Bits(vaeseq.ModelBase):
    """Binary observations [B, T]."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())


@pytest.fixture(scope="session", autouse=True)
def stubbed_curves():
    """Replaces the picture of every report, which takes longer than the training of small models.

    Tests of the picture itself import `plot_curves` directly.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "plot_curves", lambda metrics: b"a picture")
        yield


# For slow tests of what every core gets from its base class.
SOME_CORES = ("ISEQ", "RNN", "SEQVAE", "SRNN")


@pytest.fixture(params=sorted(vaeseq.VAE_TYPES))
def vae_type(request):
    return request.param


@pytest.fixture(scope="session")
def pools():
    """A pool for each folder of tests.

    TensorFlow relaxes the shapes of a function that has seen several, which changes the rounding
    of its results, so only tests that use the same shapes may share a model.
    """
    return collections.defaultdict(Pool)


@pytest.fixture
def pool(request, pools):
    folder = request.path.parent
    if folder not in pools:
        pools.clear()  # the models of another folder, which take memory
    return pools[folder]


@pytest.fixture
def pooled(pool):
    """Takes compiled models from the pool: `pooled(Waves, hparams)`; see `tests.pool`."""
    yield pool.take
    pool.put_back_all()


@pytest.fixture
def waves(vae_type):
    keras.utils.set_random_seed(1)
    return Waves(SMALL.replace(vae_type=vae_type))


@pytest.fixture
def bits(vae_type):
    keras.utils.set_random_seed(1)
    return Bits(SMALL.replace(vae_type=vae_type))


@pytest.fixture
def observed():
    return np.random.default_rng(0).normal(size=[4, 6, 2]).astype(np.float32)


@pytest.fixture
def corpus(tmp_path):
    """A short text."""
    path = tmp_path / "corpus.txt"
    path.write_text(VERSE * 20, encoding="utf-8")
    return path


@pytest.fixture
def run_program(monkeypatch, capsys):
    """Runs a program in this process; returns exit code, stdout and stderr."""

    def run(app, *arguments):
        monkeypatch.setattr(sys, "argv", [app.__name__, *map(str, arguments)])
        with pytest.raises(SystemExit) as exit:
            app.main()
        return exit.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def terminal(monkeypatch):
    """Makes stdout and stderr a terminal in a block; returns a function that reads what it got."""

    @contextlib.contextmanager
    def connect():
        ours, theirs = os.openpty()
        with contextlib.ExitStack() as stack:
            patch = stack.enter_context(monkeypatch.context())
            for name, descriptor in (("stdout", theirs), ("stderr", os.dup(theirs))):
                patch.setattr(sys, name, stack.enter_context(open(descriptor, "w")))
            yield lambda: os.read(ours, 1 << 20).decode()
        os.close(ours)

    return connect


@pytest.fixture
def main(run_program):
    """Runs vaeseq-text."""
    return functools.partial(run_program, text_app)


def assert_close(actual, expected, tolerance=1e-5):
    """Nests of tensors are close; the message says which is not."""
    tf.nest.assert_same_structure(actual, expected)
    pairs = zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True)
    for index, (x, y) in enumerate(pairs):
        np.testing.assert_allclose(x, y, tolerance, tolerance, err_msg=f"tensor {index}")
