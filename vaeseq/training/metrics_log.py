"""The metrics of a run: one JSON object for each report, a line each, in metrics.jsonl."""

import json
import math
import re
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from absl import logging

from vaeseq.training import files

_FILE = "metrics.jsonl"
_NAME = re.compile("[a-z][a-z0-9_]{0,63}")
_MOST_METRICS = 200
_MOST = 1 << 53  # of a whole number: all below are floats, too

Metrics: TypeAlias = dict[str, float]
"""The metrics of one report by name; `step` is one of them."""


class _Line(NamedTuple):
    """A line of the file, and the metrics that it holds."""

    text: str
    metrics: Metrics


class MetricsLog:
    """The metrics of all reports of a run, in the order of their steps."""

    def __init__(self, folder: files.Folder):
        self._folder = folder

    def append(self, metrics: Mapping[str, float]) -> None:
        """Appends the metrics of a report. Values that are not finite become null.

        Raises:
          ValueError: for a line that `read` would ignore: with too many metrics, or wrong names.
        """
        line = _to_json(metrics)
        if _parse(line, set()) is None:
            raise ValueError(
                f"the metrics of a report must be at most {_MOST_METRICS} numbers with names such "
                f"as valid_loss, of small letters, digits and _; not {', '.join(metrics)}"
            )
        with open(self._folder.file(_FILE), "a", encoding="utf-8") as file:
            file.write(line)
            files.sync(file)

    def read(self) -> list[Metrics]:
        """Returns the metrics of all reports, without lines that a crash has damaged."""
        return [line.metrics for line in self._lines()]

    def drop_irregular(self, every: int) -> list[Metrics]:
        """Removes reports on steps that are not multiples of `every`; returns the others."""
        kept = [line for line in self._lines() if line.metrics["step"] % every == 0]
        self._write(kept)
        return [line.metrics for line in kept]

    def forget_after(self, step: int) -> None:
        """Removes reports on later steps, which the training will make again."""
        lines = self._lines()
        if lines and lines[-1].metrics["step"] > step:
            logging.warning("the checkpoint of step %d is missing", lines[-1].metrics["step"])
        self._write([line for line in lines if line.metrics["step"] <= step])

    def _lines(self) -> list[_Line]:
        """Returns the valid lines. Their steps increase."""
        lines: list[_Line] = []
        if not self._folder.file(_FILE).exists():
            return lines
        names: set[str] = set()
        for text in self._text().splitlines():
            metrics = _parse(text, names)
            if metrics and (not lines or metrics["step"] > lines[-1].metrics["step"]):
                lines.append(_Line(text, metrics))
        return lines

    def _write(self, lines: list[_Line]) -> None:
        text = "".join(f"{line.text}\n" for line in lines)
        if self._folder.file(_FILE).exists() and text != self._text():
            self._folder.write(_FILE, text)

    def _text(self) -> str:
        return self._folder.read(_FILE, errors="replace")


def _to_json(metrics: Mapping[str, float]) -> str:
    line = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
    return json.dumps(line) + "\n"


def _parse(text: str, names: set[str]) -> Metrics | None:
    """Returns the metrics of a line, or None if it is not one that a report writes.

    A schema would take twenty times as long, and a long training has many reports.

    Args:
      text: the line.
      names: names that are known to be valid; new ones are added.
    """
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not {"step", "seconds"} <= line.keys():
        return None
    if not line.keys() <= names:
        if len(line) > _MOST_METRICS or not all(map(_NAME.fullmatch, line)):
            return None
        names.update(line)
    if None in line.values():
        line = {name: math.nan if x is None else x for name, x in line.items()}
    is_valid = set(map(type, line.values())) <= {int, float} and type(line["step"]) is int
    if not is_valid or line["step"] < 1 or _has_too_many_digits(line):
        return None
    return line


def _has_too_many_digits(line: Metrics) -> bool:
    if max(map(abs, line.values())) <= _MOST:  # almost always; false for NaN
        return False
    return any(type(x) is int and abs(x) > _MOST for x in line.values())
