import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq import UsageError
from vaeseq.run import Progress, Report, Run, batches_by_step


def make_run(path, program="prog"):
    run = Run(path, {"program": program, "hparams": {}})
    run.begin()
    return run


def fit(run, model, stop, every=3):
    start = run.restore_latest(model)

    def batch(step):
        return np.random.default_rng(step).normal(size=[4, 6, 2]).astype(np.float32)

    def validate():
        return {"valid_loss": 1.0 / (1 + int(model.optimizer.iterations))}

    report = Report(run, stop, every, validate, "valid_loss", lambda: "a sample")
    dataset = batches_by_step(batch, start, stop)
    model.fit(dataset, shuffle=False, verbose=0, callbacks=[report, Progress(stop)])


def compiled(vae_type="RNN", seed=1):
    keras.utils.set_random_seed(seed)
    model = Waves(SMALL.replace(vae_type=vae_type))
    model.compile()
    return model


def test_a_run_goes_on_where_it_stopped(tmp_path, vae_type):
    whole, pieces = compiled(vae_type), compiled(vae_type)
    fit(make_run(tmp_path / "whole"), whole, 7)
    run = make_run(tmp_path / "pieces")
    fit(run, pieces, 4)
    again = compiled(vae_type, seed=2)
    fit(run, again, 7)
    assert_close(again.get_weights(), whole.get_weights(), 0)
    assert [line["step"] for line in run.metrics()] == [3, 4, 6, 7]


def test_a_run_directory_has_all_its_parts(tmp_path):
    run = make_run(tmp_path / "run")
    fit(run, compiled(), 7)
    names = {path.name for path in run.path.rglob("*") if path.is_file()}
    assert {
        "run.json",
        "metrics.jsonl",
        "curves.png",
        "best.safetensors",
        "step-000000007.safetensors",
        "step-000000006.safetensors",
        "step-000000003.txt",
    } <= names
    assert not any("unfinished" in name for name in names)
    assert "step-000000003.safetensors" not in names, "old checkpoints are removed"
    (events,) = run.path.glob("tensorboard/*")
    tags = {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert {"loss", "valid_loss", "model/000/kernel"} <= tags


def test_the_best_weights_are_those_of_the_lowest_metric(tmp_path):
    run, model = make_run(tmp_path), compiled()
    values = iter([3.0, 1.0, 2.0])
    report = Report(run, 3, 1, lambda: {"valid_loss": next(values)}, "valid_loss", str)
    model.fit(np.zeros([12, 6, 2]), batch_size=4, verbose=0, callbacks=[report])
    again = compiled()
    assert run.restore_best(again) == 2 and run.restore_latest(again) == 3


def test_another_model_is_refused_by_name_and_shape(tmp_path):
    run = make_run(tmp_path)
    run.save(compiled(), 1)
    other = Bits(SMALL.replace(vae_type="RNN"))
    other.compile()
    with pytest.raises(UsageError, match="is of another model: model/000/kernel"):
        run.restore_latest(other)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no run in .*; start one with `prog train`"):
        Run.open(tmp_path, "prog")
    make_run(tmp_path, "another")
    with pytest.raises(UsageError, match="of another program"):
        Run.open(tmp_path, "prog")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match="cannot read"):
        Run.open(tmp_path, "prog")
    with pytest.raises(UsageError, match="no checkpoint yet"):
        Run(tmp_path, {}).restore_best(compiled())


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--log-dir: cannot write"):
        make_run(tmp_path / "file" / "run")


def test_run_json_says_what_made_it(tmp_path):
    make_run(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["vaeseq"]
