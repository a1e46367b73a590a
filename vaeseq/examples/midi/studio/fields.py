"""The fields of the requests: their JSON Schemas, and what is wrong with a request in words."""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema

from vaeseq.examples.midi.music.roll import TEMPOS
from vaeseq.examples.midi.studio.pieces import MAX_FRAMES, MAX_NOTES

MAX_SLIDER = 3.0
"""The most standard deviations by which a slider moves an attribute."""
_MAX_PIECES = 128  # in a download

Schema = Mapping[str, Any]

_SEED: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_FRAMES: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_FRAMES}
_TEMPERATURE: Schema = {"type": "number", "minimum": 0.05, "maximum": 2}
_SLIDERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": "number", "minimum": -MAX_SLIDER, "maximum": MAX_SLIDER},
    "maxProperties": 16,
}


def _object(properties: Mapping[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


# `pieces.parse` looks at the notes, which are many.
_PIECE = _object({"frames": _FRAMES, "notes": {"type": "array", "maxItems": MAX_NOTES}})
_SOURCE: Schema = {
    "type": "object",
    "properties": {"seed": _SEED, "piece": _PIECE},
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": 16}
_DRAWING: Mapping[str, Schema] = {"temperature": _TEMPERATURE, "seed": _SEED}
_SHAPING: Mapping[str, Schema] = {"frames": _FRAMES, **_DRAWING, "sliders": _SLIDERS}

SCHEMAS: Mapping[str, Schema] = {
    "info": _object({}),
    "draw": _object({"count": _COUNT, "frames": _FRAMES, **_DRAWING}),
    "pad": _object(
        {
            "corners": {"type": "array", "items": _SOURCE, "minItems": 4, "maxItems": 4},
            **_SHAPING,
        },
        ("sliders",),
    ),
    "line": _object(
        {
            "start": _SOURCE,
            "end": _SOURCE,
            "steps": {"type": "integer", "minimum": 2, "maximum": 64},
            **_SHAPING,
        },
        ("sliders",),
    ),
    "continue": _object({"piece": _PIECE, "frames": _FRAMES, **_DRAWING}),
    "like": _object(
        {
            "piece": _PIECE,
            "amount": {"type": "number", "minimum": 0, "maximum": 1},
            "count": _COUNT,
            **_DRAWING,
        }
    ),
    "fill": _object(
        {
            "piece": _PIECE,
            "locked": {
                "type": "array",
                "items": {"type": "integer", "minimum": 0, "maximum": MAX_FRAMES - 1},
                "maxItems": MAX_FRAMES,
            },
            **_DRAWING,
        }
    ),
    "shape": _object({"source": _SOURCE, **_SHAPING}, ("sliders",)),
    "download": _object(
        {
            "kind": {"enum": ["mid", "wav", "png"]},
            "pieces": {"type": "array", "items": _PIECE, "minItems": 1, "maxItems": _MAX_PIECES},
            "tempo": {"type": "number", "minimum": TEMPOS[0], "maximum": TEMPOS[1]},
            "transpose": {"type": "integer", "minimum": -48, "maximum": 48},
            "program": {"type": "integer", "minimum": 0, "maximum": 127},
        },
        ("tempo", "transpose", "program"),
    ),
    "attributes": _object({"piece": _PIECE}),
}
"""The schema of each request that has a JSON body."""

_TOO_DEEP = "the request is nested too deeply"
_VALIDATORS = {name: jsonschema.Draft202012Validator(x) for name, x in SCHEMAS.items()}


def parse(name: str, body: bytes) -> dict[str, Any]:
    """Returns the fields of a request.

    Raises:
      ValueError: if the body is not JSON, or a field is wrong; the message names it.
    """
    try:
        content: dict[str, Any] = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        raise ValueError(f"the request is not JSON: {error}") from None
    flaw = _find_flaw(name, content)
    if flaw:
        raise ValueError(flaw)
    return content


def _find_flaw(name: str, content: Any) -> str | None:
    """Returns what is wrong with a request; None if nothing is."""
    try:
        for flaw in _VALIDATORS[name].iter_errors(content):
            where = flaw.json_path.removeprefix("$").removeprefix(".")
            return f"{where[:80] or 'the request'}: {flaw.message[:200]}"
    except RecursionError:
        return _TOO_DEEP
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
