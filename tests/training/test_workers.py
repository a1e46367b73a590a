"""Several workers train as one. Some tests start processes on this machine."""

import contextlib
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from tests.conftest import SMALL, TINY, assert_close
from tests.training import follower
from tests.training.conftest import make_run
from vaeseq import UsageError, workers
from vaeseq.errors import LostWorker
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import batches_by_step, train

PROGRAM = [sys.executable, "-c", "from vaeseq.examples.text.app import main; main()"]
MINUTES = 10 * 60  # only against waiting forever


@pytest.fixture
def command(tmp_path, corpus):
    """The arguments of vaeseq-text that train the run `name`."""

    def arguments(name, *flags, steps=50, hparams=f"{TINY},dropout=0.2"):
        run = ["train", "--log-dir", tmp_path / name, "--train-corpus", corpus]
        return [*map(str, run), "--num-steps", str(steps), "--hparams", hparams, *flags]

    return arguments


def start(arguments, **environment):
    return subprocess.Popen(
        [*PROGRAM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def newest(run):
    return safetensors.numpy.load_file(max((run / "checkpoints").glob("step-*")))


@pytest.mark.parametrize("number", ["2", pytest.param("3", marks=pytest.mark.slow)])
def test_several_workers_make_the_steps_of_one(main, command, tmp_path, number):
    code, _, err = main(*command("one"))
    assert code == 0, err
    process = start(command("several", "--workers", number))
    _, err = process.communicate(timeout=MINUTES)
    assert process.returncode == 0, err
    expected = newest(tmp_path / "one")
    for name, array in newest(tmp_path / "several").items():
        if name != "run/seconds":
            np.testing.assert_allclose(array, expected[name], 0, 1e-5, err_msg=name)
    alone, together = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("one", "several")
    )
    assert together == pytest.approx({**alone, "seconds": together["seconds"]}, abs=1e-5)


def test_a_batch_that_cannot_be_shared_is_one_line_and_leaves_nothing(
    main, command, tmp_path, monkeypatch
):
    @contextlib.contextmanager
    def two_workers(number, main):
        yield SimpleNamespace(num_replicas_in_sync=2, cluster_resolver=None)

    monkeypatch.setattr(workers, "launch", two_workers)
    code, _, err = main(*command("run", "--workers", "2", hparams="batch_size=5"))
    assert code == 2 and err.count("\n") == 1, err
    assert "a batch_size of 5 cannot be shared by 2 replicas" in err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def two_workers(command):
    """A chief and another worker that train without end, started as on two machines."""
    arguments = command("run", steps=10**6)
    processes = [start(arguments, TF_CONFIG=config) for config in workers.cluster_configs(2)]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)


def test_if_a_worker_dies_the_chief_saves_and_the_same_command_resumes(
    main, command, tmp_path, two_workers
):
    chief, other = two_workers
    wait_for(tmp_path / "run" / "checkpoints", chief)
    other.kill()
    _, err = chief.communicate(timeout=MINUTES)
    assert chief.returncode == 1, err
    assert "worker 1 is gone; start all workers again" in err and "Traceback" not in err
    step = int(newest(tmp_path / "run")["run/step"])
    assert f"saved at step {step}" in err
    code, _, err = main(*command("run", steps=step + 3))
    assert code == 0 and f"from step {step} to {step + 3}" in err


@pytest.mark.slow
def test_if_the_chief_dies_the_others_end(tmp_path, two_workers):
    chief, other = two_workers
    wait_for(tmp_path / "run" / "checkpoints", chief)
    chief.kill()
    _, err = other.communicate(timeout=MINUTES)
    assert other.returncode == 1 and "Traceback" not in err and "is gone" in err, err


def test_the_other_workers_end_with_the_chief(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program", str(tmp_path), "wait"])
    with pytest.raises(UsageError, match="a mistake"), workers._followers(2, follower.main):
        assert json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
        while not (tmp_path / "started").exists():
            time.sleep(0.01)
        raise UsageError("a mistake")
    number, config = (tmp_path / "started").read_text().splitlines()
    assert json.loads(config)["task"]["index"] == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(number), 0)
    assert "TF_CONFIG" not in os.environ


def test_the_chief_waits_for_the_other_workers_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program", str(tmp_path), "end"])
    with workers._followers(2, follower.main):
        pass
    assert (tmp_path / "started").exists()


def test_several_devices_make_the_steps_of_one(tmp_path, compiled):
    """MirroredStrategy, in a process of its own: TensorFlow cannot add devices later."""
    code = f"""if True:
        import numpy as np, tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
        import keras
        from tests.conftest import Waves
        from tests.training.test_workers import HPARAMS, train_in_two_parts
        with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
            keras.utils.set_random_seed(1)
            model = Waves(HPARAMS)
            model.compile()
        train_in_two_parts(model, "{tmp_path}/two")
        np.savez("{tmp_path}/two.npz", *model.get_weights())
        assert model.evaluate(np.ones([4, 6, 2]), verbose=0, return_dict=True)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = compiled("SRNN", **OBJECTIVE)
    assert model.hparams == HPARAMS
    train_in_two_parts(model, tmp_path / "one")
    two = np.load(tmp_path / "two.npz")
    for weight, array in zip(model.weights, two.values(), strict=True):
        np.testing.assert_allclose(weight.numpy(), array, 0, 1e-5, err_msg=weight.path)


# Latents, resampling, dropout and clipping: what a replica alone cannot compute.
# The first 12 steps train the posterior apart; the 8th, after which training is resumed, as well.
OBJECTIVE = {"objective": "fivo", "num_particles": 2, "posterior_steps": 12, "posterior_updates": 2}
HPARAMS = SMALL.replace(vae_type="SRNN", dropout=0.3, **OBJECTIVE)


def train_in_two_parts(model, path):
    """Makes 20 steps, in two parts, with gradients large enough to be clipped."""

    def batch(step):
        return 3 * np.random.default_rng(step).normal(size=[6, 5, 2]).astype(np.float32)

    def validate():
        return {"valid_loss": 1.0}

    run = make_run(path)
    for stop in (8, 20):
        train(model, batch, Report(run, stop, 12, validate, "valid_loss", dict))
        assert model.trained_steps == stop
        if stop == 8:  # the second part starts from the checkpoint
            for variable in [*model.weights, *model.optimizer.variables]:
                variable.assign(tf.zeros(variable.shape, variable.dtype))


@pytest.mark.parametrize(
    ("cluster", "others"),
    [
        ({}, False),
        ({"worker": ["a:1"]}, False),
        ({"worker": ["a:1"], "evaluator": ["b:1"]}, False),  # which makes no steps
        ({"worker": ["a:1", "b:1"]}, True),
        ({"chief": ["a:1"], "worker": ["b:1"]}, True),
    ],
)
def test_a_worker_knows_whether_there_are_others(cluster, others):
    resolver = SimpleNamespace(cluster_spec=lambda: tf.train.ClusterSpec(cluster))
    assert workers.has_others(SimpleNamespace(cluster_resolver=resolver)) == others


def test_replicas_get_their_rows_of_the_same_batch():
    class Two:
        num_replicas_in_sync = 2

        def distribute_datasets_from_function(self, function):
            return [function(tf.distribute.InputContext(2, worker, 2)) for worker in (0, 1)]

    def batch(step):
        return np.arange(4) + 10 * step

    parts = batches_by_step(batch, 3, 5, Two())
    assert_close(
        [list(part.as_numpy_iterator()) for part in parts],
        [[np.array([30, 31]), np.array([40, 41])], [np.array([32, 33]), np.array([42, 43])]],
        0,
    )
    with pytest.raises(UsageError, match="batch_size of 3 cannot be shared by 2 replicas"):
        batches_by_step(lambda step: np.arange(3), 0, 1, Two())


@pytest.mark.parametrize(
    "config",
    [
        *["{", "[]", "{}", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'],
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": [1, 2]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_malformed_tf_config_is_a_usage_error(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="TF_CONFIG must be like"):
        workers.strategy()


def test_a_worker_that_does_not_start_is_named():
    (port,) = workers.free_ports(1)
    with pytest.raises(LostWorker, match=f"the worker at localhost:{port} did not start"):
        workers.wait_for_workers([f"localhost:{port}"], timeout=0)
