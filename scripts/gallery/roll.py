"""Piano rolls of files, as small pictures that need no script."""

from pathlib import Path

import numpy as np

from vaeseq.examples.midi.collect import read_file

_WIDTH, _ROW, _LEAST_ROWS, _MARGIN = 720, 6, 15, 1  # pixels, pixels, keys, keys
_GIVEN, _MADE, _LINE = "#8a8f98", "#2f7fd1", "#8a8f9855"  # to be seen on white and on black


def picture(path: Path, given: float = 0.0) -> str:
    """Returns the piano roll of a MIDI or ABC file as SVG; a line is a bar, or a C.

    Args:
      path: the file.
      given: where the generated music begins, in seconds.
    """
    midi = read_file(path)
    notes = midi.in_seconds()
    low, high = int(notes.pitch.min()) - _MARGIN, int(notes.pitch.max()) + _MARGIN
    low, high = low - max(0, _LEAST_ROWS - 1 - high + low), high
    width, height = _WIDTH / notes.length, _ROW * (high - low + 1)
    beat = midi.tempos[0] * (midi.ticks_per_beat or 1)
    bar = beat * (midi.time_signatures[0].bar if midi.time_signatures else 4)
    lines = [f"M{width * x:.1f} 0V{height}" for x in np.arange(bar, notes.length - 0.01, bar)]
    octaves = range(-(-low // 12) * 12, high + 1, 12)
    lines += [f"M0 {_ROW * (high - key + 1)}H{_WIDTH}" for key in octaves]
    paths: dict[str, list[str]] = {"given": [], "made": []}
    for start, end, pitch in zip(notes.start, notes.end, notes.pitch, strict=True):
        long = max(width * (end - start) - 1, 1)  # so that repeated notes are seen
        part = f"M{width * start:.1f} {_ROW * (high - pitch)}h{long:.1f}v{_ROW}h-{long:.1f}z"
        paths["given" if start < given - 0.01 else "made"].append(part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" preserveAspectRatio="none">\n'
        f'<path class="lines" stroke="{_LINE}" d="{"".join(lines)}"/>\n'
        f'<path class="given" fill="{_GIVEN}" d="{"".join(paths["given"])}"/>\n'
        f'<path class="made" fill="{_MADE}" d="{"".join(paths["made"])}"/>\n</svg>\n'
    )
