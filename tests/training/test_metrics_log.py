import json
import math

import pytest

from vaeseq.training.files import Folder
from vaeseq.training.metrics_log import MetricsLog


@pytest.fixture
def log(tmp_path):
    return MetricsLog(Folder(tmp_path))


def steps(log):
    return [line["step"] for line in log.read()]


def test_damaged_repeated_and_foreign_lines_are_ignored(log, tmp_path):
    for step in (1, 2):
        log.append({"step": step, "seconds": 0.5, "loss": math.nan})
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 2, "seconds": 1}\n[]\n{"a": 1}\n\xff\x00\n{"step": 3, "sec')
    assert steps(log) == [1, 2]
    assert math.isnan(log.read()[0]["loss"])
    log.forget_after(1)
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line) == {"step": 1, "seconds": 0.5, "loss": None}


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 3}',
        '{"seconds": 3}',
        '{"step": 0, "seconds": 1}',
        '{"step": 3.0, "seconds": 1}',
        '{"step": true, "seconds": 1}',
        '{"step": null, "seconds": 1}',
        '{"step": 3, "seconds": "1"}',
        '{"step": 3, "seconds": 1, "loss": true}',
        '{"step": 3, "seconds": 1, "loss": [1]}',
        '{"step": 3, "seconds": 1, "Loss": 1}',
        '{"step": 3, "seconds": 1, "a b": 1}',
        '{"step": 3, "seconds": 1, "": 1}',
        f'{{"step": 1{"0" * 400}, "seconds": 1}}',
        f'{{"step": 3, "seconds": 1{"0" * 400}}}',
        f'{{"step": 3, "seconds": 1{"0" * 9000}}}',
        f'{{"loss": null, "step": 3, "seconds": 1{"0" * 400}}}',
        json.dumps({"step": 3, "seconds": 1, **{f"a{i}": 0 for i in range(200)}}),
        "[" * 10**5,
    ],
)
def test_a_line_that_no_report_writes_is_ignored(log, tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 2, "seconds": null}}\n{line}\n')
    assert steps(log) == [2]


@pytest.mark.parametrize("more", [{"Valid Loss": 1.0}, {f"a{i}": 0.0 for i in range(200)}])
def test_metrics_that_would_be_ignored_are_refused(log, tmp_path, more):
    with pytest.raises(ValueError, match="at most 200 numbers with names such as valid_loss"):
        log.append({"step": 1, "seconds": 1.0, **more})
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_file_that_is_already_right_is_not_written_again(log, tmp_path):
    text = '{"step":2, "seconds" :1}\n{"step": 4,"seconds": 1.0}\n'
    (tmp_path / "metrics.jsonl").write_text(text)
    log.forget_after(4)
    log.drop_irregular(2)
    assert (tmp_path / "metrics.jsonl").read_text() == text
    assert [line["step"] for line in log.drop_irregular(4)] == [4]
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 4,"seconds": 1.0}\n'


def test_without_reports_there_is_no_file(log, tmp_path):
    log.forget_after(0)
    assert log.read() == log.drop_irregular(3) == [] and not list(tmp_path.iterdir())


def test_irregular_reports_are_dropped(log):
    for step in (3, 5, 6, 7):
        log.append({"step": step, "seconds": 0.5})
    assert [line["step"] for line in log.drop_irregular(3)] == steps(log) == [3, 6]
