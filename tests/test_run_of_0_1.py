"""Run directories written by vaeseq 0.1 resume, evaluate and generate.

`tests/data/run_0_1` was made by the code of version 0.1: ten steps of an SRNN with a policy
gradient, and, as oracles, the same run continued to step 16, its evaluation and its samples. The
run in its folder `without_adversary` has no policy gradient.
Version 0.1 stored the gates of an LSTM in the order i, f, o, g; since then it is i, f, g, o.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

DATA = Path(__file__).parent / "data" / "run_0_1"
# The arrays of LSTMs in its checkpoints: weights, and for each weight two moments of Adam.
GATES = {
    "model": range(7, 19),
    "optimizer": range(15, 39),
    "adversary": [*range(4, 7), *range(19, 25)],
}


@pytest.fixture
def old_run(tmp_path):
    return shutil.copytree(DATA / "run", tmp_path / "run")


def test_it_resumes(main, tmp_path):
    data = DATA / "without_adversary"
    actual = resume(main, shutil.copytree(data / "run", tmp_path / "run"))
    compare(actual, with_gates_of_now(data / "continued.safetensors"), 1e-6)
    lines = [json.loads(path.read_text()) for path in (data / "continued.jsonl", metrics(tmp_path))]
    del lines[0]["seconds"], lines[1]["seconds"]
    assert 0 < lines[1].pop("kl_weight") < 1  # version 0.1 did not log it
    assert lines[1] == pytest.approx(lines[0], abs=1e-5)


def test_it_resumes_with_a_policy_gradient(main, old_run):
    # Adam saw the gradient of a symbol once for each time that it occurred, and the first half of
    # the samples came from the prior. Six steps later nothing is farther away than this, which
    # gates in another order would be.
    actual = resume(main, old_run)
    compare(actual, with_gates_of_now(DATA / "continued.safetensors"), 1e-2)


def resume(main, run):
    """Continues a run to step 16, and returns the arrays of its checkpoint."""
    code, _, err = main("train", "--log-dir", run, "--num-steps", 16, "--keep", 1)
    assert code == 0, err
    return safetensors.numpy.load_file(run / "checkpoints" / "step-000000016.safetensors")


def with_gates_of_now(path):
    """Returns the arrays of a checkpoint of version 0.1 as they are stored now."""
    arrays = safetensors.numpy.load_file(path)
    for name, array in arrays.items():
        group, number, *_ = name.split("/")
        if group in GATES and int(number) in GATES[group]:
            i, f, o, g = np.split(array, 4, axis=-1)
            arrays[name] = np.concatenate([i, f, g, o], axis=-1)
    return arrays


def compare(actual, expected, tolerance):
    assert actual.keys() == expected.keys()
    for name in expected.keys() - {"run/seconds"}:
        np.testing.assert_allclose(actual[name], expected[name], tolerance, tolerance, err_msg=name)


def test_it_evaluates(main, old_run):
    code, out, err = main("evaluate", "--log-dir", old_run, "--seed", 1)
    assert code == 0, err
    expected = json.loads((DATA / "evaluate.json").read_text())
    result = json.loads(out)
    for name in ("elbo", "kl"):
        assert result[name] == pytest.approx(expected[name], abs=1e-5)
    # Version 0.1 resampled all particles of the bound every few steps.
    assert result == pytest.approx(expected, rel=0.01)


def test_it_generates(main, old_run):
    flags = ["--length", 60, "--num-samples", 2, "--seed", 3, "--prime", "Shall "]
    code, out, err = main("generate", "--log-dir", old_run, *flags)
    assert code == 0, err
    assert out == (DATA / "generated.txt").read_text()


def metrics(tmp_path):
    return tmp_path / "run" / "metrics.jsonl"
