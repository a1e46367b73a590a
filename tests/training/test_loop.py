"""Training in a run directory gives the same result however often it is interrupted."""

import errno
import functools
import os
import signal
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.kill_matrix import arrays
from tests.conftest import SOME_CORES, assert_close
from tests.training.conftest import batch, checkpoint, fit, log_of, make_run, state
from vaeseq.errors import LostWorker, Stopped, UsageError
from vaeseq.training.callbacks import Report, SaveCheckpoints
from vaeseq.training.loop import batches_by_step, train
from vaeseq.training.run import Run
from vaeseq.training.signals import Interrupted

# With resampling, the only randomness in training that a core does not have itself.
OBJECTIVES = {"SRNN": {"objective": "fivo", "num_particles": 3}}


@pytest.mark.parametrize(
    ("vae_type", "changes"),
    [
        *((name, {}) for name in SOME_CORES),
        ("SEQVAE", {"seqvae_segment": 4}),
        ("SEQVAE", {"posterior_steps": 6, "posterior_updates": 2}),
    ],
)
def test_training_in_parts_is_bitwise_equal_to_one_training(tmp_path, vae_type, changes, compiled):
    compiled = functools.partial(compiled, vae_type, **OBJECTIVES.get(vae_type, {}), **changes)
    one, parts = make_run(tmp_path / "one"), make_run(tmp_path / "parts")
    fit(one, model := compiled(), 8)
    expected = state(model)
    for seed, stop in ((1, 4), (2, 8)):  # the second's initial weights are replaced
        fit(parts, model := compiled(seed=seed), stop)
    assert_close(state(model), expected, 0)
    assert [line["step"] for line in parts.metrics()] == [3, 6, 8]
    assert log_of(parts) == log_of(one)
    best = []
    for run in (one, parts):
        model = compiled()
        assert run.restore_best(model) == 3, "step 4 was only an end"
        best.append(model.get_weights())
    assert_close(*best, 0)


def test_a_run_directory_has_all_its_parts(tmp_path, compiled):
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


@pytest.mark.parametrize(("metric", "best"), [("valid_loss", 2), ("-valid_loss", 1)])
def test_the_best_weights_are_those_of_the_lowest_or_highest_metric(
    tmp_path, compiled, metric, best
):
    run, values = make_run(tmp_path), iter([3.0, 1.0, 2.0])
    report = Report(run, 3, 1, lambda: {"valid_loss": next(values)}, metric, dict)
    train(compiled(), batch, report)
    assert run.restore_best(compiled()) == best and run.restore_latest(compiled()) == 3


def test_a_metric_that_is_not_finite_is_no_best_one_also_after_an_interruption(tmp_path, compiled):
    run, values = make_run(tmp_path), iter([np.nan, 1.0, 0.5])
    for steps in (2, 3):
        report = Report(run, steps, 1, lambda: {"valid_loss": next(values)}, "valid_loss", dict)
        train(compiled(), batch, report)
        assert run.restore_best(compiled()) == steps


def test_batches_of_other_shapes_are_refused(tmp_path, compiled):
    report = Report(make_run(tmp_path), 2, 2, dict, "-step", dict)

    def growing(step):
        return np.concatenate([batch(step)] * (step + 1))

    with pytest.raises(ValueError, match=r"batch\(1\) has an array of shape .* the same shapes"):
        train(compiled(), growing, report)
    with pytest.raises(ValueError, match=r"batch\(0\) has arrays of 4 and 5 rows"):
        batches_by_step(lambda step: {"a": np.zeros(4), "b": np.zeros(5)}, 0, 1)


@pytest.mark.parametrize("error", [UsageError("no such text"), StopIteration("at the end")])
def test_errors_of_the_batches_are_raised_as_they_are(tmp_path, compiled, error):
    def ending(step):
        if step == 2:
            raise error
        return batch(step)

    report = Report(make_run(tmp_path), 4, 4, dict, "-step", dict)
    with pytest.raises(type(error), match=str(error)):
        train(compiled(), ending, report)


def test_a_training_that_has_ended_does_not_need_further_batches(tmp_path, compiled):
    def ending(step):
        if step > 1:
            raise UsageError("no more data")
        return batch(step)

    report = Report(make_run(tmp_path), 9, 2, dict, "-step", dict, enough=lambda metrics: True)
    assert train(compiled(), ending, report)


def test_several_steps_per_execution_are_refused(tmp_path):
    model = SimpleNamespace(optimizer=keras.optimizers.Adam(), steps_per_execution=2)
    report = Report(make_run(tmp_path), 2, 2, dict, "-step", dict)
    with pytest.raises(ValueError, match="steps_per_execution must be 1"):
        train(model, batch, report)


def test_a_metric_that_no_report_has_is_refused(tmp_path, compiled):
    report = Report(make_run(tmp_path), 2, 2, lambda: {"valid_loss": 1.0}, "val_loss", dict)
    with pytest.raises(ValueError, match=r"no .val_loss.; it has step, .*valid_loss"):
        train(compiled(), batch, report)


def test_validation_may_return_numpy_numbers(tmp_path, compiled):
    run = make_run(tmp_path)
    report = Report(run, 2, 2, lambda: {"valid_loss": np.float32(0.5)}, "valid_loss", dict)
    train(compiled(), batch, report)
    assert run.metrics()[-1]["valid_loss"] == 0.5


def test_a_signal_while_saving_after_a_lost_worker_saves_again(tmp_path, compiled, monkeypatch):
    run, model = make_run(tmp_path), compiled()
    save = run.checkpoints.save

    def interrupted(model):
        monkeypatch.setattr(run.checkpoints, "save", save)
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted), run.training(model):
        model.fit(batch(0), verbose=0)
        monkeypatch.setattr(run.checkpoints, "save", interrupted)
        raise LostWorker("a worker is gone")
    assert run.restore_latest(compiled()) == 1


def test_accumulated_gradients_are_refused(tmp_path):
    model = SimpleNamespace(optimizer=keras.optimizers.Adam(gradient_accumulation_steps=2))
    report = Report(make_run(tmp_path), 2, 2, dict, "-step", dict)
    with pytest.raises(ValueError, match="every batch is a step"):
        train(model, batch, report)


def test_no_report_ends_the_training_of_several_workers(tmp_path):
    cluster = tf.train.ClusterSpec({"worker": ["host:1", "host:2"]})
    resolver = SimpleNamespace(cluster_spec=lambda: cluster)
    strategy = SimpleNamespace(cluster_resolver=resolver)
    model = SimpleNamespace(optimizer=keras.optimizers.Adam(), distribute_strategy=strategy)
    report = Report(make_run(tmp_path), 2, 2, dict, "-step", dict, enough=bool)
    with pytest.raises(ValueError, match="cannot end the training of several workers"):
        train(model, batch, report)


def test_a_run_does_not_go_on_with_other_hyperparameters(tmp_path, compiled):
    def run(**hparams):
        return Run(tmp_path, {"program": "prog", "hparams": {"sizes": (1, 2), **hparams}})

    with run(rate=1.0).beginning():
        pass
    fit(run(rate=1.0), compiled(), 1)
    fit(run(rate=1.0, new=True), compiled(), 2)  # of a new version, at its default
    with pytest.raises(UsageError, match=r"started with other values of rate \(see its run.json\)"):
        fit(run(rate=2.0), compiled(), 3)


# Interruptions: wherever a signal arrives, the state after the last complete step is saved.


def interrupt_once(function, when):
    """Returns the function, but a signal interrupts call number `when`."""
    calls = iter(range(1000))

    def interrupted(*args, **kwargs):
        if next(calls) == when:
            signal.raise_signal(signal.SIGTERM)
        return function(*args, **kwargs)

    return interrupted


def constant():
    return {"valid_loss": 1.0}


def a_sample():
    return {".txt": b"a sample"}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, compiled):
    """What a training without interruption leaves."""
    run = make_run(tmp_path_factory.mktemp("uninterrupted"))
    fit(run, model := compiled(), 8, validate=constant)
    lines = [{**line, "valid_loss": 0} for line in log_of(run)]
    return SimpleNamespace(state=state(model), lines=lines, newest=arrays(checkpoint(run, 8)))


@pytest.mark.parametrize("where", ["validate", "sample", "log", "save", "save_best", "step", "end"])
def test_after_an_interruption_anywhere_training_resumes_as_if_nothing_had_happened(
    tmp_path, monkeypatch, where, uninterrupted, compiled
):
    run, model = make_run(tmp_path), compiled()
    validate, sample = constant, a_sample
    if where == "validate":
        validate = interrupt_once(constant, 1)
    if where == "sample":
        sample = interrupt_once(a_sample, 1)
    if where == "save_best":  # a second best

        def validate():
            return {"valid_loss": -float(len(run.metrics()))}

    methods = {
        "log": (run.metrics_log, "append"),
        "save": (run.checkpoints, "save"),
        "save_best": (run.checkpoints, "save_best"),
    }
    if where in methods:
        owner, name = methods[where]
        monkeypatch.setattr(owner, name, interrupt_once(getattr(owner, name), 1))

    def report():
        return Report(run, 8, 3, validate, "valid_loss", sample)

    first = report()
    if where == "step":
        first.on_train_batch_begin = interrupt_once(first.on_train_batch_begin, 4)
    if where == "end":
        first.on_train_end = interrupt_once(first.on_train_end, 0)
    with pytest.raises(Interrupted):
        train(model, batch, first)
    monkeypatch.undo()
    train(model := compiled(seed=2), batch, report())
    assert_close(state(model), uninterrupted.state, 0)
    assert [{**line, "valid_loss": 0} for line in log_of(run)] == uninterrupted.lines
    assert arrays(checkpoint(run, 8)) == uninterrupted.newest
    for name in ("step-000000003.txt", "step-000000006.txt"):
        assert (tmp_path / "samples" / name).read_text() == "a sample"


def test_a_training_ends_for_good_if_a_report_is_good_enough(tmp_path, compiled):
    run, validate = make_run(tmp_path), interrupt_once(dict, 1)

    def resume(model):
        report = Report(run, 9, 2, validate, "-step", dict, lambda metrics: metrics["step"] == 4)
        return train(model, batch, report)

    with pytest.raises(Interrupted):  # in the report that ends it
        resume(compiled())
    for _ in range(2):
        assert not resume(model := compiled())
        assert model.trained_steps == 4
        assert [line["step"] for line in run.metrics()] == [2, 4]


def test_a_final_report_that_was_interrupted_is_made_later(tmp_path, compiled):
    run, validate = make_run(tmp_path), interrupt_once(constant, 1)
    with pytest.raises(Interrupted):
        fit(run, compiled(), 4, validate=validate)
    assert [line["step"] for line in run.metrics()] == [3]
    assert not fit(run, compiled(seed=2), 4, validate=validate)
    assert [line["step"] for line in run.metrics()] == [3, 4]


def test_asking_for_fewer_steps_than_were_made_removes_nothing(tmp_path, compiled):
    run = make_run(tmp_path)
    fit(run, compiled(), 4)
    fit(run, compiled(), 2)
    assert [line["step"] for line in run.metrics()] == [3, 4]
    assert run.restore_best(compiled()) == 4


def test_checkpoints_between_reports_change_nothing(tmp_path, monkeypatch, uninterrupted, compiled):
    run, model, saved = make_run(tmp_path), compiled(), []
    save = run.checkpoints.save

    def save_and_note(model):
        saved.append(model.trained_steps)
        save(model)

    monkeypatch.setattr(run.checkpoints, "save", save_and_note)
    report = Report(run, 8, 3, constant, "valid_loss", a_sample)
    saving = SaveCheckpoints(run, report.is_due, seconds_between=0.0, max_share=np.inf)
    with run.training(model):
        batches = batches_by_step(batch, 0, 8)
        model.fit(batches, shuffle=False, verbose=0, callbacks=[saving, report])
    assert saved == list(range(1, 9))
    assert_close(state(model), uninterrupted.state, 0)


@pytest.mark.parametrize(("seconds_between", "max_share"), [(1e9, 1.0), (0.0, 1e-12)])
def test_between_reports_saving_waits_for_its_interval(
    tmp_path, compiled, seconds_between, max_share
):
    run, model = make_run(tmp_path), compiled()
    run.checkpoints.keep = 9
    saving = SaveCheckpoints(run, lambda step: step in (1, 5), seconds_between, max_share)
    with run.training(model):
        batches = batches_by_step(batch, 0, 7)
        model.fit(batches, shuffle=False, verbose=0, callbacks=[saving])
    saved = [step for step in range(9) if checkpoint(run, step).exists()]
    assert saved == [1, 5, 7], "before reports, and at the end"


# Failures: a training that cannot continue stops with its last checkpoint.


def test_a_full_disk_stops_the_training_and_leaves_the_last_checkpoint(
    tmp_path, monkeypatch, compiled
):
    run, fsync = make_run(tmp_path), os.fsync

    def full(descriptor):
        if list(run.path.glob("samples/*.unfinished")):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Stopped, match=r"the disk is full; the newest checkpoint in .* of step 3"):
        fit(run, compiled(), 9)
    monkeypatch.undo()
    assert not list(tmp_path.rglob("*.unfinished")), "its space is free again"
    assert run.restore_latest(compiled()) == 3


def test_a_loss_that_is_not_finite_stops_the_training_and_leaves_the_last_checkpoint(
    tmp_path, compiled
):
    def exploding(step):
        return batch(step) * (1e30 if step == 4 else 1)

    run = make_run(tmp_path)
    with pytest.raises(Stopped, match=r"step 5: log_prob.* not finite.* of step 3$"):
        fit(run, compiled(), 9, batch=exploding)
    assert run.restore_latest(compiled()) == 3


# Policy gradients: discriminator, its optimizer and its dropout are part of the run.


ADVERSARIAL = {
    "policy_gradient": "prefix",
    "policy_elbo_steps": 2,
    "policy_judge_steps": 3,
    "policy_rollouts": 2,
    "policy_reward_step": 3,
    "policy_baseline": "batch",
    "discriminator": "cnn",
    "discriminator_size": 3,
}


PUBLISHED = ADVERSARIAL | {
    "policy_baseline": "none",
    "policy_elbo": "kl",
    "policy_log_prob": "encoded",
    "policy_rollout_average": 0.8,
    "policy_judge_steps": 2,
    "discriminator_samples": 4,
    "discriminator_epochs": 2,
    "batch_size": 4,
    "sequence_size": 6,
}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(ADVERSARIAL, id="in turn", marks=pytest.mark.slow),
        pytest.param(PUBLISHED, id="published"),
    ],
)
def test_training_in_parts_is_bitwise_equal_in_every_phase_of_a_policy_gradient(
    changes, tmp_path, compiled
):
    runs = []
    for name, stops in {"one": [8], "parts": [1, 4, 8]}.items():
        runs.append(make_run(tmp_path / name))
        for stop in stops:
            fit(runs[-1], compiled("SEQVAE", **changes), stop)
    one, parts = (arrays(checkpoint(run, 8)) for run in runs)
    assert any("adversary" in name for name in one)
    assert one == parts
    assert log_of(runs[0]) == log_of(runs[1])


def test_reports_and_the_bar_show_only_metrics_with_a_value_since_the_last_report(
    tmp_path, capsys, compiled
):
    """For example, no loss of 0 while the discriminator learns alone."""
    run = make_run(tmp_path)
    for step, shown in {2: ", loss=", 4: ", discriminator_loss=", 6: ", loss="}.items():
        fit(run, compiled("SEQVAE", **ADVERSARIAL), step, every=1)
        bars = [line for line in capsys.readouterr().err.splitlines() if "%|" in line]
        assert shown in bars[-1]
    found = [{"loss", "discriminator_loss"} & line.keys() for line in run.metrics()]
    phases = [{"loss"}] * 2 + [{"discriminator_loss"}] * 3 + [{"loss", "discriminator_loss"}]
    assert found == phases
