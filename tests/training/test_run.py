"""A run directory: how it begins, who may open it, who may train in it."""

import json

import pytest

from tests.training.conftest import ABOUT, fit, make_run
from vaeseq import Stopped, UsageError
from vaeseq.training.run import Run


def test_a_directory_without_a_run_or_with_another_one_is_refused(tmp_path, compiled):
    with pytest.raises(UsageError, match=r"no run in .*; start one with `prog train`"):
        Run.open(tmp_path, "prog")
    make_run(tmp_path, "another")
    with pytest.raises(UsageError, match="of another program"):
        Run.open(tmp_path, "prog")
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(UsageError, match="--log-dir: cannot read"):
        Run.open(tmp_path, "prog")
    with pytest.raises(UsageError, match="no valid checkpoint"):
        Run(tmp_path, {}).restore_best(compiled())
    with pytest.raises(UsageError, match="just begun"):
        make_run(tmp_path)


def test_what_the_program_adds_to_run_json_must_match_its_schema(tmp_path):
    with (run := Run(tmp_path, {**ABOUT, "corpus": "a.txt"})).beginning():
        pass
    assert Run.open(tmp_path, "prog", {"corpus": {"type": "string"}}).about["corpus"] == "a.txt"
    with pytest.raises(UsageError, match=r"run.json: \$.corpus"):
        Run.open(run.path, "prog", {"corpus": {"type": "integer"}})


def test_a_directory_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--log-dir: cannot write"):
        make_run(tmp_path / "file" / "run")


def test_a_file_of_the_caller_that_is_missing_is_not_blamed_on_the_run(tmp_path):
    run = Run(tmp_path / "run", {"program": "prog", "hparams": {}})
    with pytest.raises(FileNotFoundError), run.beginning():
        (tmp_path / "missing.txt").read_text()


def test_run_json_names_the_version_that_made_it(tmp_path):
    make_run(tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["vaeseq"]


def test_a_second_process_is_refused_and_the_lock_of_a_killed_one_is_not_in_the_way(
    tmp_path, compiled
):
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


def test_incomplete_files_of_a_killed_process_are_removed(tmp_path, compiled):
    run = make_run(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000003.safetensors.unfinished").write_text("half")
    fit(run, compiled(), 1)
    assert not list(tmp_path.rglob("*.unfinished"))


def test_a_folder_in_the_way_of_a_file_is_refused_before_the_training(tmp_path, compiled):
    run = make_run(tmp_path)
    (tmp_path / "x.unfinished").mkdir()
    with pytest.raises(UsageError, match=r"x\.unfinished is a folder; remove it"):
        fit(run, compiled(), 1)


def test_a_training_that_stops_before_its_first_checkpoint_names_none(tmp_path, compiled):
    def stop(step):
        raise OSError(28, "No space left on device")

    with pytest.raises(Stopped, match=r"the disk is full; there is no checkpoint in .* yet$"):
        fit(make_run(tmp_path), compiled(), 1, batch=stop)
