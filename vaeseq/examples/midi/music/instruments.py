"""The names of the instruments of General MIDI."""

import difflib
from collections.abc import Iterable

import pretty_midi

from vaeseq.examples.midi.music.midi_file import DRUMS

NAMES = [pretty_midi.program_to_instrument_name(program) for program in range(DRUMS)]
"""The names of the programs 0 to 127."""


def parse_program(text: str) -> int:
    """Returns the program that a name or a number, 0 to 127, stands for.

    Raises:
      ValueError: if there is none; the message says what was meant.
    """
    if text.isdecimal() and int(text) < DRUMS:
        return int(text)
    by_name = {_simplify(name): program for program, name in enumerate(NAMES)}
    if (program := by_name.get(_simplify(text))) is not None:
        return program
    close = difflib.get_close_matches(_simplify(text), by_name, 1)
    hint = f"did you mean {NAMES[by_name[close[0]]]!r}?" if close else "such as Violin, or 40"
    raise ValueError(
        f"{text!r} is no instrument of General MIDI, nor a number from 0 to 127; {hint}"
    )


def describe_programs(programs: Iterable[int]) -> str:
    """Returns the names of programs in words."""
    return ", ".join("drums" if program == DRUMS else NAMES[program] for program in programs)


def _simplify(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))
