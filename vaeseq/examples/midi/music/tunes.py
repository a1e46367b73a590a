"""The tunes in ABC notation that the package `music21` contains: three books of dance tunes.

They are O'Neill's Music of Ireland (Chicago, 1903), Ryan's Mammoth Collection (Boston, 1883) and
Aird's Selection of Scotch, English, Irish and Foreign Airs (Glasgow, from 1782), which volunteers
have transcribed.
"""

import importlib.util
from pathlib import Path

import numpy as np

from vaeseq.examples.midi.music import upbeat
from vaeseq.examples.midi.music.abc_file import TICKS, Tune
from vaeseq.examples.midi.music.midi_file import Refused, TimeSignature

_BOOKS = ("oneills1850", "ryansMammoth", "airdsAirs")
_DUPLE = ((2, 4), (4, 4), (2, 2))


def find_books() -> list[Path]:
    """Returns the paths of the books' files; an empty list if music21 is not installed."""
    spec = importlib.util.find_spec("music21")
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(spec.submodule_search_locations[0], "corpus")
    return [path for book in _BOOKS for path in sorted((folder / book).glob("*.abc"))]


def is_duple(tune: Tune) -> bool:
    """Returns whether a tune is in 2/4, 4/4 or 2/2 from its first full bar to its end."""
    meter = _meter(tune)
    return meter is not None and (meter.numerator, meter.denominator) in _DUPLE


def bars_add_up(tune: Tune) -> bool:
    """Returns whether all full bars of a tune begin whole bars after its first full bar.

    They do not if a repeated passage has an upbeat that its end does not leave room for.
    """
    meter = _meter(tune)
    if meter is None or isinstance(tune.midi, Refused):
        return False
    bar = meter.bar * TICKS
    begins, ends = tune.measures.T
    full = begins[ends - begins == bar]
    late = (full - upbeat.beats(tune.midi) * TICKS) % bar
    return len(full) > 0 and not np.any(late)


def _meter(tune: Tune) -> TimeSignature | None:
    """Returns the only meter of a tune; None if it changes."""
    if isinstance(tune.midi, Refused) or not tune.midi.time_signatures:
        return None
    has_upbeat = upbeat.beats(tune.midi) > 0
    meters = tune.midi.time_signatures[has_upbeat:]
    return meters[0] if len(meters) == 1 and (has_upbeat or not meters[0].tick) else None
