"""Several workers train as one. Each test starts processes on this machine."""

import contextlib
import json
import os
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, TINY, VERSE, Waves, assert_close
from vaeseq import UsageError, workers
from vaeseq.training.loop import batches_by_step

PROGRAM = [sys.executable, "-c", "from vaeseq.examples.text.app import main; main()"]


def train(folder, run, *flags, steps=50, hparams=f"{TINY},dropout=0.2"):
    corpus = folder / "corpus.txt"
    corpus.write_text(VERSE * 20)
    required = ["train", "--log-dir", folder / run, "--train-corpus", corpus, "--num-steps", steps]
    command = [*PROGRAM, *map(str, required), "--hparams", hparams, *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process):
    """The error output of a process that must end well."""
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return err


def newest(run):
    return safetensors.numpy.load_file(max((run / "checkpoints").glob("step-*")))


def test_two_and_three_workers_make_the_steps_of_one(tmp_path):
    finish(train(tmp_path, "one"))
    expected = newest(tmp_path / "one")
    for number in ("2", "3"):
        run = tmp_path / number
        finish(train(tmp_path, number, "--workers", number))
        for name, array in newest(run).items():
            if name != "run/seconds":
                np.testing.assert_allclose(array, expected[name], 0, 1e-5, err_msg=name)
        (line,) = (run / "metrics.jsonl").read_text().splitlines()
        (alone,) = (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()
        for name, value in json.loads(alone).items():
            assert name == "seconds" or json.loads(line)[name] == pytest.approx(value, abs=1e-5)


def test_a_batch_that_cannot_be_shared_is_one_line_and_leaves_nothing(tmp_path):
    process = train(tmp_path, "run", "--workers", "2", "--seed", "1", hparams="batch_size=5")
    _, err = process.communicate(timeout=100)
    *said, last = err.splitlines()
    assert process.returncode == 2 and "a batch_size of 5 cannot be shared by 2 replicas" in last
    assert len(said) == 1 and "waiting for the workers" in said[0]
    assert not (tmp_path / "run").exists()


def test_a_worker_that_dies_ends_the_others_and_starting_again_resumes(tmp_path):
    """Two workers as on two machines: each is started with its TF_CONFIG."""
    with cluster(tmp_path, 2) as (chief, other):
        wait_for(tmp_path / "run" / "checkpoints", chief)
        other.kill()
        _, err = chief.communicate(timeout=100)
    assert chief.returncode == 1, err
    assert "worker 1 is gone; start all workers again" in err and "Traceback" not in err
    step = int(newest(tmp_path / "run")["run/step"])
    assert step >= 500
    err = finish(train(tmp_path, "run", "--workers", "2", steps=step + 3))
    assert f"from step {step} to {step + 3}" in err


def test_when_the_chief_dies_the_others_end(tmp_path):
    with cluster(tmp_path, 2) as (chief, other):
        wait_for(tmp_path / "run" / "checkpoints", chief)
        chief.kill()
        _, err = other.communicate(timeout=100)
    assert other.returncode == 1 and "Traceback" not in err and "is gone" in err, err


@contextlib.contextmanager
def cluster(folder, number):
    """Workers that train without end."""
    ports = workers._free_ports(number)
    addresses = [f"localhost:{port}" for port in ports]
    processes = []
    before = os.environ.copy()
    try:
        for index in range(number):
            task = {"type": "worker", "index": index}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            processes.append(train(folder, "run", steps=10**6))
        yield processes
    finally:
        os.environ.clear()
        os.environ.update(before)
        for process in processes:
            process.kill()
            process.communicate()


def wait_for(path, process):
    deadline = time.monotonic() + 150
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.1)


def test_several_devices_make_the_steps_of_one(tmp_path):
    """MirroredStrategy in a process of its own, as devices cannot be added later."""
    code = f"""if True:
        import numpy as np, tensorflow as tf
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
        from tests.test_workers import trained
        one = trained(tf.distribute.get_strategy(), "{tmp_path}/one")
        two = trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), "{tmp_path}/two")
        for x, y in zip(one.weights, two.weights):
            np.testing.assert_allclose(x.numpy(), y.numpy(), 0, 1e-5)
        assert two.evaluate(np.ones([4, 6, 2]), verbose=0, return_dict=True)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def trained(strategy, path):
    """A model with latents, dropout and clipping, after 50 steps."""

    def batch(step):
        return np.random.default_rng(step).normal(size=[6, 5, 2]).astype(np.float32)

    run = vaeseq.Run(path, {"program": "prog", "hparams": {}})
    for stop in (20, 50):
        with strategy.scope():
            keras.utils.set_random_seed(1)
            model = Waves(SMALL.replace(vae_type="SRNN", dropout=0.3, clip_gradient_norm=0.5))
            model.compile()
        validate = lambda: {"valid_loss": 1.0}  # noqa: E731
        vaeseq.train(model, batch, vaeseq.Report(run, stop, 30, validate, "valid_loss", dict))
    return model


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
    ],
)
def test_a_wrong_tf_config_is_the_users_mistake(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UsageError, match="TF_CONFIG must be like"):
        workers.strategy()


def test_a_worker_that_does_not_come_is_named(monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS_TO_COME", 0.3)
    (port,) = workers._free_ports(1)
    with pytest.raises(workers.LostWorker, match=f"the worker at localhost:{port} did not come"):
        workers._wait_for([f"localhost:{port}"])
