"""The metrics of a run: one JSON object for each report, a line each, in metrics.jsonl."""

import json
import math
from collections.abc import Mapping
from typing import TypeAlias

from absl import logging

from vaeseq.errors import UsageError
from vaeseq.training import files

_FILE = "metrics.jsonl"
_LINE: files.Schema = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z][a-z0-9_]{0,63}$"},
    "properties": {"step": {"type": "integer", "minimum": 1}},
    "additionalProperties": {"type": ["number", "null"]},
    "required": ["step", "seconds"],
    "maxProperties": 100,
}

Metrics: TypeAlias = dict[str, float]
"""The metrics of one report by name; `step` is one of them."""


class MetricsLog:
    """The metrics of all reports of a run, in the order of their steps."""

    def __init__(self, folder: files.Folder):
        self._folder = folder

    def append(self, metrics: Mapping[str, float]) -> None:
        """Appends the metrics of a report. Values that are not finite become null."""
        with open(self._folder.file(_FILE), "a", encoding="utf-8") as file:
            file.write(_to_json(metrics))
            files.sync(file)

    def read(self) -> list[Metrics]:
        """Returns the metrics of all reports, without lines that a crash has damaged."""
        if not self._folder.file(_FILE).exists():
            return []
        lines: list[Metrics] = []
        for text in self._text().splitlines():
            try:
                line = files.parse_json(text, _LINE, _FILE)
            except UsageError:
                continue
            if not lines or line["step"] > lines[-1]["step"]:
                lines.append({name: math.nan if x is None else x for name, x in line.items()})
        return lines

    def drop_irregular(self, every: int) -> list[Metrics]:
        """Removes reports on steps that are not multiples of `every`; returns the others."""
        kept = [line for line in self.read() if line["step"] % every == 0]
        self._write(kept)
        return kept

    def forget_after(self, step: int) -> None:
        """Removes reports on later steps, which the training will make again."""
        lines = self.read()
        if lines and lines[-1]["step"] > step:
            logging.warning("the checkpoint of step %d is missing", lines[-1]["step"])
        self._write([line for line in lines if line["step"] <= step])

    def _write(self, lines: list[Metrics]) -> None:
        text = "".join(map(_to_json, lines))
        if self._folder.file(_FILE).exists() and text != self._text():
            self._folder.write(_FILE, text)

    def _text(self) -> str:
        return self._folder.read(_FILE, errors="replace")


def _to_json(metrics: Mapping[str, float]) -> str:
    line = {name: x if math.isfinite(x) else None for name, x in metrics.items()}
    return json.dumps(line) + "\n"
