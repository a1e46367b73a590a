"""The answers to the requests of the page."""

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from absl import logging
from werkzeug.wrappers import Response

from vaeseq.errors import UsageError
from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.model import MidiModel, training_windows
from vaeseq.examples.midi.music.attributes import (
    ATTRIBUTES,
    BEATS_PER_BAR,
    frames_per_beat,
    measure,
)
from vaeseq.examples.midi.music.instruments import NAMES, describe_programs
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.examples.midi.program import MidiProgram, open_corpora
from vaeseq.examples.midi.studio import exchange, pieces
from vaeseq.examples.midi.studio.composer import PAD_SIZE, Composer, Source, Style
from vaeseq.examples.midi.studio.sliders import Slider, learn
from vaeseq.examples.midi.studio.turns import Busy, Turns
from vaeseq.model.latent_usage import LatentUsage, latent_usage

_MAX_VALID_FRAMES = 1 << 14  # by which the use of z is measured

Fields = Mapping[str, Any]
Result = TypeVar("Result")


class Measured(NamedTuple):
    """What is measured in the background."""

    sliders: Mapping[str, Slider]
    usage: LatentUsage | None
    windows: int  # by which the usage is measured


class Api:
    """Answers requests. All calls of the model take turns.

    Args:
      name: the name of the run.
      model: its model.
      form: the format of its rolls.
      train: the training pieces.
      valid: the held-out pieces.
    """

    def __init__(self, name: str, model: MidiModel, form: RollFormat, train: Corpus, valid: Corpus):
        self._name, self._model, self._form = name, model, form
        self._composer, self._turns = Composer(model, form), Turns()
        # The page draws and locks bars of whole frames; what is kept must be what it shows.
        self._frames_per_bar = max(1, round(BEATS_PER_BAR * frames_per_beat(form)))
        self._lowest, self._highest = self._pitches(train)
        self._weights = _digest(model)
        self._reading = threading.Lock()  # files, one at a time
        self._measured: Measured | None = None
        self._closing = threading.Event()
        self._background = threading.Thread(
            target=self._measure, args=(train, valid), name="studio", daemon=True
        )
        self._answers = self._supported()
        self._background.start()

    def _supported(self) -> dict[str, Callable[[Fields], Response]]:
        """Returns what answers each request that the run supports."""
        answers: dict[str, Callable[[Fields], Response]] = {
            "info": self._info,
            "draw": self._draw,
            "continue": self._continue,
            "like": self._like,
            "upload": self._upload,
            "download": self._download,
            "attributes": self._attributes,
        }
        if self._composer.latent is not None:
            answers |= {"pad": self._pad, "shape": self._shape}
        if self._composer.can_draw_lines:
            answers["line"] = self._line
        if self._composer.can_fill:
            answers["fill"] = self._fill
        return answers

    @classmethod
    def of_run(cls, log_dir: str) -> Self:
        """Opens a run.

        Raises:
          UsageError: if there is none, or the studio cannot play it.
        """
        run, model = MidiProgram().trained(log_dir)
        form, train, valid = open_corpora(run)
        if len(form.programs) != 1 or form.programs[0] == DRUMS:
            raise UsageError(
                f"--log-dir: the run has {len(form.programs)} keyboards "
                f"({describe_programs(form.programs)}), and the studio has one; train without "
                "--drums and --instruments apart"
            )
        return cls(Path(log_dir).resolve().name, model, form, train, valid)

    @property
    def names(self) -> Sequence[str]:
        """The names of the requests that the run supports."""
        return list(self._answers)

    @property
    def is_ready(self) -> bool:
        """Whether all is measured."""
        return not self._background.is_alive()

    def answer(self, name: str, fields: Fields) -> Response:
        """Answers a request.

        Raises:
          ValueError: if a field is wrong; the message names it.
          Refused: if a file cannot be used.
          Busy: if too many requests wait for the model, or a slider is not measured yet.
        """
        return self._answers[name](fields)

    def close(self) -> None:
        """Ends what runs in the background, and all use of the model: Python may end then."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._background.join()
        self._turns.end()

    def _measure(self, train: Corpus, valid: Corpus) -> None:
        """Measures what the model can do."""
        try:
            if self._composer.latent is None:
                return
            for call in self._composer.latent.compile():
                self._in_background(call)
            sliders = learn(self._composer, train, self._in_background)
            windows = list(training_windows(self._model, valid.head(_MAX_VALID_FRAMES)))
            usage = self._in_background(lambda: latent_usage(self._model, windows))
            self._measured = Measured(sliders, usage, sum(len(lengths) for _, lengths in windows))
        except _Closed:
            pass
        except Exception:
            logging.exception("the studio cannot measure what the model does")

    def _in_background(self, call: Callable[[], Result]) -> Result:
        if self._closing.is_set():
            raise _Closed
        with self._turns.take_in_background():
            return call()

    def _info(self, fields: Fields) -> Response:
        form, model, measured = self._form, self._model, self._measured
        sliders = measured.sliders if measured else {}
        return _json(
            {
                "run": self._name,
                "weights": self._weights,
                "version": version("vaeseq"),
                "kind": "melody" if model.hparams.decoder == "melody" else "roll",
                "frames_per_beat": frames_per_beat(form),
                "frames_per_bar": self._frames_per_bar,
                "beats_per_bar": BEATS_PER_BAR,
                "window": model.hparams.sequence_size,
                "max_frames": pieces.MAX_FRAMES,
                "tempo": form.tempo,
                "program": form.programs[0],
                "programs": NAMES,
                "lowest": self._lowest,
                "highest": self._highest,
                "pad_size": PAD_SIZE,
                "attributes": [
                    {
                        "name": name,
                        **ATTRIBUTES[name]._asdict(),
                        "effect": slider.effect,
                        "correlation": slider.correlation,
                        "others": slider.others,
                    }
                    for name, slider in sliders.items()
                ],
                "usage": _usage(measured, model) if measured else None,
                "ready": self.is_ready,
                "can": self.names,
            }
        )

    def _draw(self, fields: Fields) -> Response:
        with self._turns.take():
            rolls = self._composer.draw(int(fields["count"]), self._style(fields))
        return self._pieces(rolls)

    def _pad(self, fields: Fields) -> Response:
        corners = [self._source(x, f"corners[{i}]") for i, x in enumerate(fields["corners"])]
        style = self._style(fields)
        with self._turns.take():
            rolls = self._composer.pad(corners, style)
        return self._pieces(rolls, size=PAD_SIZE)

    def _line(self, fields: Fields) -> Response:
        start, end = (self._source(fields[name], name) for name in ("start", "end"))
        style = self._style(fields)
        with self._turns.take():
            rolls = self._composer.line(start, end, int(fields["steps"]), style)
        return self._pieces(rolls)

    def _shape(self, fields: Fields) -> Response:
        source, style = self._source(fields["source"], "source"), self._style(fields)
        with self._turns.take():
            roll = self._composer.shape(source, style)
        return _json({"piece": self._piece(roll), "attributes": measure(roll, self._form)})

    def _continue(self, fields: Fields) -> Response:
        roll, frames = self._roll(fields["piece"]), int(fields["frames"])
        if len(roll) + frames > pieces.MAX_FRAMES:
            raise ValueError(
                f"frames: {len(roll)} and {frames} are more than {pieces.MAX_FRAMES} frames"
            )
        with self._turns.take():
            whole = self._composer.extend(roll, frames, *_drawing(fields))
        return _json({"piece": self._piece(whole)})

    def _like(self, fields: Fields) -> Response:
        roll, amount = self._roll(fields["piece"]), float(fields["amount"])
        with self._turns.take():
            rolls = self._composer.vary(roll, amount, int(fields["count"]), *_drawing(fields))
        return self._pieces(rolls)

    def _fill(self, fields: Fields) -> Response:
        roll = self._roll(fields["piece"])
        bars = np.arange(len(roll)) // self._frames_per_bar
        locked = np.isin(bars, [int(bar) for bar in fields["locked"]])
        with self._turns.take():
            filled = self._composer.fill(roll, locked, *_drawing(fields))
        return _json({"piece": self._piece(filled)})

    def _attributes(self, fields: Fields) -> Response:
        return _json({"attributes": measure(self._roll(fields["piece"]), self._form)})

    def _upload(self, fields: Fields) -> Response:
        with self._reading:
            given = exchange.read(fields["body"], fields["name"], self._model, self._form)
        roll = self._composer.see(given.roll)
        return _json({"piece": self._piece(roll), "tempo": given.tempo, "message": given.message})

    def _download(self, fields: Fields) -> Response:
        rolls = [self._roll(x, f"pieces[{i}]") for i, x in enumerate(fields["pieces"])]
        kind, transpose = fields["kind"], int(fields.get("transpose", 0))
        program = int(fields["program"]) if "program" in fields else None
        with self._reading:
            body = exchange.write(
                *(kind, rolls, self._form, fields.get("tempo"), transpose, program)
            )
        response = Response(body, mimetype=exchange.TYPES[kind])
        response.headers.set("Content-Disposition", "attachment", filename=f"vaeseq.{kind}")
        return response

    def _style(self, fields: Fields) -> Style:
        return Style(int(fields["frames"]), *_drawing(fields), self._shift(fields))

    def _shift(self, fields: Fields) -> np.ndarray | None:
        """Returns what the sliders of a request add to a point; None if all are 0."""
        amounts = {name: x for name, x in fields.get("sliders", {}).items() if x}
        if not amounts:
            return None
        if amounts.keys() <= ATTRIBUTES.keys() and not self.is_ready:
            raise Busy
        sliders = self._measured.sliders if self._measured else {}
        for name in amounts:
            if name not in sliders:
                raise ValueError(f"sliders: this run has no slider {name[:40]!r}")
        shift: np.ndarray = np.sum([x * sliders[name].vector for name, x in amounts.items()], 0)
        return shift.astype(np.float32)

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

    def _piece(self, roll: np.ndarray) -> dict[str, Any]:
        return pieces.to_json(roll, self._form)

    def _pieces(self, rolls: Sequence[np.ndarray] | np.ndarray, **others: object) -> Response:
        return _json({**others, "pieces": [self._piece(roll) for roll in rolls]})


class _Closed(Exception):
    """The studio ends while it measures."""


def _digest(model: MidiModel) -> str:
    """Returns a short name of the weights of a model."""
    hashed = hashlib.sha256()
    for variable in model.variables:
        hashed.update(np.asarray(variable).tobytes())
    return hashed.hexdigest()[:12]


def _drawing(fields: Fields) -> tuple[float, int]:
    """Returns the temperature and the seed of a request."""
    return float(fields["temperature"]), int(fields["seed"])


def _usage(measured: Measured, model: MidiModel) -> dict[str, float] | None:
    usage = measured.usage
    return usage and {
        "kl": usage.sequence_kl,
        "mutual_information": usage.mutual_information,
        "windows": measured.windows,
        "active_units": usage.active_units,
        "units": model.core.latent_size,
    }


def _json(content: object) -> Response:
    return Response(json.dumps(content, allow_nan=False), mimetype="application/json")
