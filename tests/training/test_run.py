"""A run directory: what is in it, and that a training goes on from it as if it had not stopped."""

import errno
import json
import math
import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from benchmarks.kill_matrix import arrays
from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq import UsageError
from vaeseq.errors import Stopped
from vaeseq.training import callbacks
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import train
from vaeseq.training.run import Run
from vaeseq.training.signals import Interrupted


def make_run(path, program="prog"):
    run = Run(path, {"program": program, "hparams": {}})
    with run.beginning():
        pass
    return run


def batch(step):
    return np.random.default_rng(step).normal(size=[4, 6, 2]).astype(np.float32)


def fit(run, model, stop, every=3, batch=batch):
    def validate():
        return {"valid_loss": abs(model.trained_steps - 4.0)}

    report = Report(run, stop, every, validate, "valid_loss", lambda: {".txt": b"a sample"})
    train(model, batch, report)


def compiled(vae_type="RNN", seed=1, **changes):
    keras.utils.set_random_seed(seed)
    model = Waves(SMALL.replace(vae_type=vae_type, dropout=0.3, **changes))
    model.compile()
    return model


def same_metrics(*runs):
    """Whether the metrics of runs are bitwise the same, but for the time they took."""
    lines = [[{**line, "seconds": 0} for line in run.metrics()] for run in runs]
    return all(line == lines[0] for line in lines)


def test_pieces_are_bitwise_one_whole(tmp_path, vae_type):
    whole, run = compiled(vae_type), make_run(tmp_path / "whole")
    fit(run, whole, 8)
    pieces = make_run(tmp_path / "pieces")
    for seed, stop in ((1, 4), (2, 8)):  # the second's weights are read
        model = compiled(vae_type, seed)
        fit(pieces, model, stop)
    assert_close(model.get_weights(), whole.get_weights(), 0)
    assert_close(model.optimizer.variables, whole.optimizer.variables, 0)
    assert [line["step"] for line in pieces.metrics()] == [3, 6, 8]
    assert same_metrics(run, pieces)
    best = [compiled(vae_type) for _ in "ab"]
    assert run.restore_best(best[0]) == pieces.restore_best(best[1]) == 3, "4 was only an end"
    assert_close(best[0].get_weights(), best[1].get_weights(), 0)


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
    assert {"loss", "valid_loss"} <= tags


def test_the_best_weights_are_those_of_the_lowest_metric(tmp_path):
    run, model = make_run(tmp_path), compiled()
    values = iter([3.0, 1.0, 2.0])
    train(model, batch, Report(run, 3, 1, lambda: {"valid_loss": next(values)}, "valid_loss", dict))
    again = compiled()
    assert run.restore_best(again) == 2 and run.restore_latest(again) == 3


def test_another_model_is_refused_by_name_and_shape(tmp_path):
    run = make_run(tmp_path)
    run.save(compiled())
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
    with pytest.raises(UsageError, match="no valid checkpoint"):
        Run(tmp_path, {}).restore_best(compiled())
    with pytest.raises(UsageError, match="just begun"):
        make_run(tmp_path)


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--log-dir: cannot write"):
        make_run(tmp_path / "file" / "run")


def test_run_json_says_what_made_it(tmp_path):
    make_run(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["vaeseq"]


# Interruptions: wherever a signal arrives, the state after the last whole step is saved.


def interrupt_once(function, when):
    """The function, but its call number `when` is interrupted by a signal."""
    calls = iter(range(1000))

    def interrupted(*args, **kwargs):
        if next(calls) == when:
            signal.raise_signal(signal.SIGTERM)
        return function(*args, **kwargs)

    return interrupted


@pytest.mark.parametrize("where", ["validate", "sample", "log", "save", "save_best", "step", "end"])
def test_interrupted_anywhere_it_goes_on_as_if_nothing_had_happened(
    tmp_path, monkeypatch, where, whole
):
    run, model = make_run(tmp_path), compiled()
    parts = {"validate": lambda: {"valid_loss": 1.0}, "sample": lambda: {".txt": b"a sample"}}
    if where in parts:
        parts[where] = interrupt_once(parts[where], 1)
    elif where not in ("step", "end"):
        monkeypatch.setattr(run, where, interrupt_once(getattr(run, where), 1))

    def report(model):
        return Report(run, 8, 3, parts["validate"], "valid_loss", parts["sample"])

    first = report(model)
    if where == "step":
        first.on_train_batch_begin = interrupt_once(first.on_train_batch_begin, 4)
    if where == "end":
        first.on_train_end = interrupt_once(first.on_train_end, 0)
    if where == "save_best":  # a second best
        parts["validate"] = lambda: {"valid_loss": -float(len(run.metrics()))}
        first = report(model)
    with pytest.raises(Interrupted):
        train(model, batch, first)
    monkeypatch.undo()
    model = compiled(seed=2)
    train(model, batch, report(model))
    assert_close(model.get_weights(), whole.weights, 0)
    assert_close(model.optimizer.variables, whole.optimizer, 0)
    lines = [{**line, "seconds": 0, "valid_loss": 0} for line in run.metrics()]
    assert lines == whole.lines
    assert arrays(checkpoint(run, 8)) == whole.newest
    for name in ("step-000000003.txt", "step-000000006.txt"):
        assert (tmp_path / "samples" / name).read_text() == "a sample"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """What an uninterrupted training leaves."""
    run, model = make_run(tmp_path_factory.mktemp("whole")), compiled()
    train(
        model,
        batch,
        Report(run, 8, 3, lambda: {"valid_loss": 1.0}, "valid_loss", lambda: {".txt": b"s"}),
    )
    lines = [{**line, "seconds": 0, "valid_loss": 0} for line in run.metrics()]
    variables = [x.numpy() for x in model.optimizer.variables]
    newest = arrays(checkpoint(run, 8))
    return SimpleNamespace(
        weights=model.get_weights(), optimizer=variables, lines=lines, newest=newest
    )


def test_a_final_report_that_was_interrupted_is_made_up_for(tmp_path):
    run, model = make_run(tmp_path), compiled()
    validate = interrupt_once(lambda: {"valid_loss": 1.0}, 1)
    with pytest.raises(Interrupted):
        train(model, batch, Report(run, 4, 3, validate, "valid_loss", lambda: {".txt": b"s"}))
    assert [line["step"] for line in run.metrics()] == [3]
    model = compiled(seed=2)
    assert not train(
        model, batch, Report(run, 4, 3, validate, "valid_loss", lambda: {".txt": b"s"})
    )
    assert [line["step"] for line in run.metrics()] == [3, 4]


def test_asking_for_fewer_steps_than_there_are_takes_nothing_back(tmp_path):
    run = make_run(tmp_path)
    fit(run, compiled(), 4)
    fit(run, compiled(), 2)
    assert [line["step"] for line in run.metrics()] == [3, 4]
    assert run.restore_best(compiled()) == 4


def test_checkpoints_between_reports_change_nothing(tmp_path, monkeypatch, whole):
    monkeypatch.setattr(callbacks, "_SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(callbacks, "_MOST_OF_TIME", math.inf)
    run, saved = make_run(tmp_path), []
    save = run.save
    monkeypatch.setattr(run, "save", lambda model: (saved.append(model.trained_steps), save(model)))
    model = compiled()
    train(
        model,
        batch,
        Report(run, 8, 3, lambda: {"valid_loss": 1.0}, "valid_loss", lambda: {".txt": b"s"}),
    )
    assert len(saved) > 5 and saved == sorted(set(saved))
    assert_close(model.get_weights(), whole.weights, 0)


# Damage: what is not valid is named and passed over.


@pytest.fixture
def damaged_run(tmp_path):
    """A run with checkpoints of the steps 1 to 4, and a way to train it."""
    run = make_run(tmp_path)
    run.keep = 4
    model = compiled()
    train(
        model,
        batch,
        Report(run, 4, 1, lambda: {"valid_loss": 1.0}, "valid_loss", lambda: {".txt": b"s"}),
    )
    return run


def checkpoint(run, step):
    return run.path / f"checkpoints/step-{step:09d}.safetensors"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_valid_checkpoint_is_gone_on_from(damaged_run, caplog):
    run = damaged_run
    flip(checkpoint(run, 4))
    checkpoint(run, 3).write_bytes(checkpoint(run, 3).read_bytes()[:-9])
    (run.path / "checkpoints" / "model.pkl").write_bytes(b"")
    caplog.set_level("INFO", logger="absl")
    logging.get_absl_logger().propagate = True
    model = compiled(seed=2)
    fit(run, model, 5)
    said = caplog.text
    assert "step-000000004.safetensors: it is damaged: its checksum does not match" in said
    assert "passed over" in said and "step-000000003" in said and "model.pkl: not a name" in said
    assert "from step 2 to 5" in said
    assert checkpoint(run, 4).with_suffix(".safetensors") not in run.path.glob("*")
    whole = compiled()
    whole.fit(
        np.concatenate([batch(step) for step in range(5)]), batch_size=4, shuffle=False, verbose=0
    )
    assert_close(model.get_weights(), whole.get_weights(), 0)


def test_a_missing_checkpoint_is_named_and_its_reports_are_made_again(damaged_run, caplog):
    run = damaged_run
    checkpoint(run, 4).unlink()
    checkpoint(run, 3).unlink()
    logging.get_absl_logger().propagate = True
    assert run.restore_latest(compiled()) == 2
    assert "the checkpoint of step 4 is missing" in caplog.text
    assert [line["step"] for line in run.metrics()] == [1, 2]


def test_a_checkpoint_under_another_name_or_of_another_model_is_passed_over(damaged_run):
    run = damaged_run
    checkpoint(run, 9).write_bytes(checkpoint(run, 2).read_bytes())
    assert run.restore_latest(compiled()) == 4
    assert checkpoint(run, 9).with_suffix(".invalid").exists(), "it must not look newer"


def test_when_no_checkpoint_is_valid_nothing_is_trained_over(damaged_run):
    for step in range(1, 5):
        flip(checkpoint(damaged_run, step))
    with pytest.raises(UsageError, match=r"no checkpoint in .* is valid: it is damaged.*remove"):
        fit(damaged_run, compiled(), 9)
    assert len(damaged_run.metrics()) == 4


def test_a_damaged_best_is_passed_over_and_made_again(damaged_run):
    best = damaged_run.path / "checkpoints" / "best.safetensors"
    flip(best)
    assert damaged_run.restore_best(compiled()) == 4, "the newest instead"
    train(
        compiled(),
        batch,
        Report(
            damaged_run, 5, 1, lambda: {"valid_loss": 2.0}, "valid_loss", lambda: {".txt": b"s"}
        ),
    )
    assert damaged_run.restore_best(compiled()) == 5


def test_only_so_many_checkpoints_are_kept(damaged_run):
    damaged_run.keep = 1
    fit(damaged_run, compiled(), 6, every=1)
    assert [path.name for path in sorted(damaged_run.path.glob("checkpoints/step*"))] == [
        "step-000000006.safetensors"
    ]


def test_metrics_survive_torn_repeated_and_foreign_lines(tmp_path):
    run = make_run(tmp_path)
    for step in (1, 2):
        run.log({"step": step, "seconds": 0.5, "loss": math.nan})
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 2, "seconds": 1}\n[]\n{"a": 1}\n\xff\x00\n{"step": 3, "sec')
    assert [line["step"] for line in run.metrics()] == [1, 2]
    assert math.isnan(run.metrics()[0]["loss"])
    run._forget_after(1)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"step": 1, "seconds": 0.5, "loss": None}


def test_a_full_disk_stops_the_run_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    run, model = make_run(tmp_path), compiled()
    fsync, calls = os.fsync, iter(range(1000))

    def full(descriptor):
        if next(calls) >= 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Stopped, match=r"the disk is full; the newest checkpoint in .* of step 3"):
        fit(run, model, 9)
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.unfinished")), "what is left is free again"
    assert run.restore_latest(compiled()) == 3


def test_of_two_processes_the_second_is_refused_and_a_dead_ones_lock_is_not_in_the_way(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "lock").write_text("4711")  # left by a process that was killed
    with (
        run.locked(),
        pytest.raises(UsageError, match="another process is training"),
        Run(tmp_path, {}).training(compiled()),
    ):
        pass
    with Run(tmp_path, {}).training(compiled()) as step:
        assert step == 0


def test_what_a_killed_process_did_not_finish_is_removed(tmp_path):
    run = make_run(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000003.safetensors.unfinished").write_text("half")
    fit(run, compiled(), 1)
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_training_that_explodes_keeps_its_checkpoint(tmp_path):
    def exploding(step):
        return batch(step) * (np.nan if step == 4 else 1)

    run = make_run(tmp_path)
    with pytest.raises(Stopped, match=r"step 5: observed, log_prob.* not finite.* of step 3$"):
        fit(run, compiled(), 9, batch=exploding)
    assert run.restore_latest(compiled()) == 3


def test_pieces_with_a_policy_gradient_are_the_whole(tmp_path):
    """Discriminator, its optimizer and its dropout are part of the run, in every phase."""
    adversarial = {
        "policy_gradient": "prefix",
        "policy_elbo_steps": 2,
        "policy_judge_steps": 3,
        "policy_rollouts": 2,
        "policy_reward_step": 3,
        "policy_baseline": "batch",
        "discriminator": "cnn",
        "discriminator_size": 3,
    }
    runs = []
    for name, stops in {"whole": [8], "pieces": [1, 4, 8]}.items():
        runs.append(make_run(tmp_path / name))
        for stop in stops:
            model = compiled("SEQVAE", **adversarial)
            fit(runs[-1], model, stop)
    last = "checkpoints/step-000000008.safetensors"
    found = [arrays(run.file(last)) for run in runs]
    assert any("adversary" in name for name in found[0])
    for name, x in found[0].items():
        if name != "run/seconds":
            np.testing.assert_array_equal(x, found[1][name], err_msg=name)
    assert same_metrics(*runs)


def test_a_report_says_nothing_of_what_has_had_no_value_since_the_last(tmp_path):
    run, phases = make_run(tmp_path), {"policy_elbo_steps": 1, "policy_judge_steps": 1}
    fit(run, compiled(policy_gradient="stepwise", discriminator_size=3, **phases), 3, every=1)
    told = [{"loss", "discriminator_loss"} & line.keys() for line in run.metrics()]
    assert told == [{"loss"}, {"discriminator_loss"}, {"loss", "discriminator_loss"}]
    assert run.file("curves.png").exists()


def test_the_bar_shows_what_is_learned(tmp_path, capsys):
    """Not a loss of 0 while the discriminator learns alone."""
    run, phases = make_run(tmp_path), {"policy_elbo_steps": 1, "policy_judge_steps": 1}
    for step, shown in {1: ", loss=", 2: ", discriminator_loss=", 3: ", loss="}.items():
        model = compiled(policy_gradient="stepwise", discriminator_size=3, **phases)
        fit(run, model, step, every=1)
        assert shown in capsys.readouterr().err.splitlines()[-1]
