"""A page that shows and plays samples: one file that needs nothing but the samples beside it."""

import base64
import hashlib
import importlib.resources
import math
import re
import string
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import pretty_midi

from vaeseq.examples.midi.music import render
from vaeseq.examples.midi.music.midi_file import DRUMS, Notes
from vaeseq.examples.midi.music.render import Statistics

NAME, SUFFIX = "index", ".html"

_COLORS, _DRUM_COLOR = 7, "i7"  # classes i0, i1, ... of the template
_PIXELS_PER_SECOND = 20  # at least; the roll is as wide as the page if that is more
_PIXELS_PER_KEY = 6
_LEAST_HEIGHT, _KEYS_WIDTH, _AXIS_HEIGHT = 120, 36, 18  # pixels
_TIME_STEPS = (1, 2, 5, 10, 30, 60, 300, 600)  # seconds between the labels of the time axis
_MAX_LABELS = 12
_BLACK = frozenset({1, 3, 6, 8, 10})  # pitch classes


class Sample(NamedTuple):
    """A sample, whose files are beside the page: `name` with .mid, .wav and .png."""

    name: str
    notes: Notes  # with times in seconds
    statistics: Statistics
    prime_seconds: float = 0.0  # the time at which the generated music starts


def render_page(
    samples: Sequence[Sample],
    held_out: Statistics,
    settings: Mapping[str, object],
    picture: str | None = None,
) -> bytes:
    """Returns the page as HTML.

    It has a content security policy that allows its own script and style only, and no address
    outside the folder. Without scripts, everything works except the position in the piano rolls.

    Args:
      samples: the samples.
      held_out: statistics of the data, with which those of the samples are compared.
      settings: what the samples were made with, by the name of the flag.
      picture: the name of a picture of all samples, if there is one.
    """
    template = importlib.resources.files(__package__).joinpath("page.html").read_text("utf-8")
    programs = sorted({int(x) for sample in samples for x in np.unique(sample.notes.program)})
    colors = {program: f"i{index % _COLORS}" for index, program in enumerate(programs)}
    colors[DRUMS] = _DRUM_COLOR
    content = string.Template(template).substitute(
        policy=_policy(template),
        title=f"{len(samples)} sample{'s' * (len(samples) != 1)} of vaeseq-midi",
        settings="\n".join(_item(f"{name} {value}") for name, value in settings.items()),
        instruments="\n".join(_item(_instrument(x), colors[x]) for x in programs),
        picture=_figure(picture) if picture else "",
        samples="\n".join(_article(sample, held_out, colors) for sample in samples),
    )
    return content.encode("utf-8", "backslashreplace")  # file names may not be valid Unicode


def _policy(template: str) -> str:
    def digest(tag: str) -> str:
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        return f"'sha256-{digest}'"

    # In some browsers 'self' does not mean the files beside a page that is itself a file.
    return (
        f"default-src 'none'; script-src {digest('script')}; style-src {digest('style')}; "
        "img-src 'self' file:; media-src 'self' file:; base-uri 'none'; form-action 'none'"
    )


def _item(text: str, kind: str = "") -> str:
    return f'<li class="{kind}">{escape(text)}</li>' if kind else f"<li>{escape(text)}</li>"


def _instrument(program: int) -> str:
    return "Drums" if program == DRUMS else pretty_midi.program_to_instrument_name(program)


def _figure(picture: str) -> str:
    return (
        f'<figure><img src="{escape(picture)}" alt="Piano rolls of the samples">'
        "<figcaption>The samples in order, one below the other.</figcaption></figure>"
    )


def _article(sample: Sample, held_out: Statistics, colors: Mapping[int, str]) -> str:
    name = escape(sample.name)
    links = "\n".join(
        f'<a href="{name}{x}" aria-label="{name}{x}">{x}</a>' for x in (".mid", ".wav", ".png")
    )
    compared = zip(
        render.describe(sample.statistics).items(),
        render.describe(held_out).values(),
        strict=True,
    )
    statistics = "\n".join(
        f"<div><dt>{escape(what)}</dt><dd>{escape(own)}<small>data {escape(other)}</small></dd>"
        "</div>"
        for (what, own), other in compared
    )
    return f"""<article aria-labelledby="{name}">
<div class="bar">
<h2 id="{name}">{name}</h2>
<audio controls preload="metadata" src="{name}.wav" aria-label="{name}"></audio>
{links}
</div>
<p class="missing" hidden>{name}.wav cannot be played: keep this page beside its files.</p>
{_roll(sample, colors)}
<dl>
{statistics}
</dl>
</article>"""


def _roll(sample: Sample, colors: Mapping[int, str]) -> str:
    """Returns the piano roll: a column with names of keys, and the notes, which can scroll."""
    notes, seconds = sample.notes, max(sample.notes.length, 1e-3)
    low = int(notes.pitch.min(initial=60)) - 1
    high = max(int(notes.pitch.max(initial=60)) + 1, low + 12)
    rows = high - low + 1
    height = max(_LEAST_HEIGHT, _PIXELS_PER_KEY * rows)
    box = f'width="100%" height="{height}" viewBox="0 0 {seconds:.6g} {rows}" '
    box += 'preserveAspectRatio="none" aria-hidden="true"'
    black = "".join(
        f"M0 {high - pitch}h{seconds:.6g}v1h-{seconds:.6g}z"
        for pitch in range(low, high + 1)
        if pitch % 12 in _BLACK
    )
    keys = "".join(
        f'<text x="4" y="{100 * (high - pitch + 0.5) / rows:.2f}%" dy="4">'
        f"{escape(pretty_midi.note_number_to_name(pitch))}</text>"
        for pitch in range(low, high + 1)
        if pitch % 12 == 0
    )
    prime = (
        _vertical(sample.prime_seconds / seconds, height, "prime") if sample.prime_seconds else ""
    )
    return f"""<div class="roll">
<svg width="{_KEYS_WIDTH}" height="{height}" aria-hidden="true">{keys}</svg>
<div class="scroll" tabindex="0" role="group" aria-label="Piano roll of {escape(sample.name)}">
<svg width="{math.ceil(_PIXELS_PER_SECOND * seconds)}" height="{height + _AXIS_HEIGHT}" \
data-seconds="{seconds:.6g}" role="img" aria-label="{len(notes.start)} notes">
<svg {box}><path class="black" d="{black}"/></svg>
{_axis(seconds, height)}
<svg class="notes" {box}>
{_paths(notes, high, colors)}
</svg>
{prime}{_vertical(0, height, "head")}
</svg>
</div>
</div>"""


def _paths(notes: Notes, high: int, colors: Mapping[int, str]) -> str:
    """Returns a path of rectangles for the notes of each color and velocity; louder is darker."""
    paths: dict[tuple[str, int], list[str]] = defaultdict(list)
    columns = (column.tolist() for column in notes[:5])
    for start, end, pitch, velocity, program in zip(*columns, strict=True):
        width = f"{end - start:.4g}"
        paths[colors[program], velocity].append(
            f"M{start:.6g} {high - pitch}h{width}v1h-{width}z",
        )
    return "\n".join(
        f'<path class="{color}" opacity="{0.4 + 0.6 * velocity / 127:.2f}" d="{"".join(parts)}"/>'
        for (color, velocity), parts in sorted(paths.items())
    )


def _axis(seconds: float, height: int) -> str:
    step = next((x for x in _TIME_STEPS if seconds / x <= _MAX_LABELS), _TIME_STEPS[-1])
    times = range(step, math.ceil(seconds), step)
    return "\n".join(
        f'{_vertical(time / seconds, height, "grid")}<text x="{100 * time / seconds:.4g}%" '
        f'y="{height + 13}" text-anchor="middle">{_clock(time)}</text>'
        for time in times
    )


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"


def _vertical(share: float, height: int, kind: str) -> str:
    x = f"{100 * share:.4g}%"
    return f'<line class="{kind}" x1="{x}" x2="{x}" y1="0" y2="{height}"/>'
