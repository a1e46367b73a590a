"""The answers to the requests of the page."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import numpy as np
from werkzeug.wrappers import Response

from vaeseq.errors import UsageError
from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.instruments import NAMES, describe_programs
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.examples.midi.program import MidiProgram, open_corpora
from vaeseq.examples.midi.studio import pieces
from vaeseq.examples.midi.studio.composer import PAD_SIZE, Composer, Source, Style
from vaeseq.examples.midi.studio.turns import Turns

_BEATS_PER_BAR = 4

Fields = Mapping[str, Any]


class Api:
    """Answers requests. All calls of the model take turns.

    Args:
      name: the name of the run.
      model: its model.
      form: the format of its rolls.
      train: the training pieces.
    """

    def __init__(self, name: str, model: MidiModel, form: RollFormat, train: Corpus):
        self._name, self._form = name, form
        self._composer, self._turns = Composer(model, form), Turns()
        self._lowest, self._highest = self._pitches(train)
        self._answers: dict[str, Callable[[Fields], Response]] = {"info": self._info}
        self._answers["draw"] = self._draw
        if model.has_sequence_latent:
            self._answers |= {"pad": self._pad, "line": self._line}

    @classmethod
    def of_run(cls, log_dir: str) -> Self:
        """Opens a run.

        Raises:
          UsageError: if there is none, or the studio cannot play it.
        """
        run, model = MidiProgram().trained(log_dir)
        form, train, _ = open_corpora(run)
        if len(form.programs) != 1 or form.programs[0] == DRUMS:
            raise UsageError(
                f"--log-dir: the run has {len(form.programs)} keyboards "
                f"({describe_programs(form.programs)}), and the studio has one; train without "
                "--drums and --instruments apart"
            )
        return cls(Path(log_dir).resolve().name, model, form, train)

    @property
    def names(self) -> Sequence[str]:
        """The names of the requests that the run supports."""
        return list(self._answers)

    def answer(self, name: str, fields: Fields) -> Response:
        """Answers a request.

        Raises:
          ValueError: if a field is wrong; the message names it.
          Busy: if too many requests wait for the model.
        """
        return self._answers[name](fields)

    def close(self) -> None:
        """Ends what runs in the background."""

    def _info(self, fields: Fields) -> Response:
        form, model = self._form, self._composer.model
        # If frames are counted per second, the tempo only names a speed; see `Performance`.
        frames_per_beat = form.rate * (1 if form.beats else 60 / form.tempo)
        return _json(
            {
                "run": self._name,
                "version": version("vaeseq"),
                "kind": "melody" if model.hparams.decoder == "melody" else "roll",
                "frames_per_beat": frames_per_beat,
                "beats_per_bar": _BEATS_PER_BAR,
                "window": model.hparams.sequence_size,
                "max_frames": pieces.MAX_FRAMES,
                "tempo": form.tempo,
                "program": form.programs[0],
                "programs": NAMES,
                "lowest": self._lowest,
                "highest": self._highest,
                "pad_size": PAD_SIZE,
                "attributes": [],
                "usage": None,
                "ready": True,
                "can": self.names,
            }
        )

    def _draw(self, fields: Fields) -> Response:
        with self._turns.take():
            rolls = self._composer.draw(int(fields["count"]), self._style(fields))
        return self._pieces(rolls)

    def _pad(self, fields: Fields) -> Response:
        corners = [self._source(x, f"corners[{i}]") for i, x in enumerate(fields["corners"])]
        with self._turns.take():
            rolls = self._composer.pad(corners, self._style(fields))
        return self._pieces(rolls, size=PAD_SIZE)

    def _line(self, fields: Fields) -> Response:
        start, end = (self._source(fields[name], name) for name in ("start", "end"))
        with self._turns.take():
            rolls = self._composer.line(start, end, int(fields["steps"]), self._style(fields))
        return self._pieces(rolls)

    def _style(self, fields: Fields) -> Style:
        return Style(int(fields["frames"]), float(fields["temperature"]), int(fields["seed"]))

    def _source(self, content: Fields, where: str) -> Source:
        if "seed" in content:
            return Source(seed=int(content["seed"]))
        return Source(roll=self._roll(content["piece"], f"{where}.piece"))

    def _roll(self, content: Fields, where: str = "piece") -> np.ndarray:
        """Returns a piece of a request as the model sees it."""
        return self._composer.see(pieces.parse(content, where, self._form))

    def _pitches(self, corpus: Corpus) -> tuple[int, int]:
        """Returns the lowest and the highest pitch of pieces, as the model sees them."""
        used = np.zeros(KEYS, bool)
        for begin, end in corpus.spans:
            used |= self._composer.see(corpus.frames[begin:end]).any(axis=0)
        keys = np.flatnonzero(used)
        return int(keys.min(initial=KEYS - 1)), int(keys.max(initial=0))

    def _pieces(self, rolls: Sequence[np.ndarray] | np.ndarray, **others: object) -> Response:
        return _json({**others, "pieces": [pieces.to_json(roll, self._form) for roll in rolls]})


def _json(content: object) -> Response:
    return Response(json.dumps(content, allow_nan=False), mimetype="application/json")
