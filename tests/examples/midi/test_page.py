"""The page that shows and plays samples."""

import base64
import hashlib
import html.parser
import re

import numpy as np
import pytest

from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.render import roll_statistics
from vaeseq.examples.midi.music.roll import HELD, KEYS, RollFormat, to_notes
from vaeseq.examples.midi.page import Sample, render_page

NASTY = "</script><img src=x onerror='alert(1)'>&\" ${name} \udcff"


class Elements(html.parser.HTMLParser):
    """Collects the elements of a page, and checks that they are closed in order."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, page):
        super().__init__()
        self.found, self.open, self.texts = [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, kind=None):
        return [x for name, x in self.found if name == tag and kind in (None, x.get("class"))]


@pytest.fixture
def samples(melody):
    """A melody with drums, after a prime of one second; silence; a single low note."""
    frames, form = melody
    low = np.zeros_like(frames)
    low[3:5, 0] = HELD
    return [
        Sample(f"sample-{index:02d}", to_notes(x, form), roll_statistics(x, form), start)
        for index, (x, start) in enumerate([(frames, 1.0), (0 * frames, 0.0), (low, 0.0)], 1)
    ]


@pytest.fixture
def text(samples):
    settings = {"--temperature": 0.8, "--prime": NASTY}
    return render_page(samples, samples[0].statistics, settings, "path.png").decode()


def test_nothing_outside_the_folder_is_named(text):
    assert not re.search(r"(?i)\b(https?|ftp|data|javascript|wss?):|//|@import|url\(|srcset", text)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|eval|innerHTML)\b", text)
    elements = Elements(text)
    assert not {tag for tag, _ in elements.found} & {"link", "iframe", "object", "embed", "base"}
    addresses = {x[name] for _, x in elements.found for name in ("src", "href") if name in x}
    names = {f"sample-0{i}{suffix}" for i in (1, 2, 3) for suffix in (".mid", ".wav", ".png")}
    assert addresses == names | {"path.png"}


def test_names_are_shown_and_never_executed(text):
    elements = Elements(text)
    shown = NASTY.replace("\udcff", "\\udcff")
    assert f"--prime {shown}" in elements.texts
    assert len(elements.all("img")) == len(elements.all("script")) == 1
    assert not [x for _, x in elements.found if any(name.startswith("on") for name in x)]


def test_the_policy_allows_the_own_script_and_style_only(text):
    (policy,) = [
        x["content"]
        for x in Elements(text).all("meta")
        if x.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    for tag in ("script", "style"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert not Elements(text).all(tag)[0]
    assert not [x for _, x in Elements(text).found if "style" in x]


def test_each_sample_has_its_player_links_notes_and_statistics(text, samples):
    elements = Elements(text)
    assert [x["src"] for x in elements.all("audio")] == [f"{x.name}.wav" for x in samples]
    assert all("controls" in x and x["aria-label"] for x in elements.all("audio"))
    notes = [x["d"].count("M") for x in elements.all("path") if "opacity" in x]
    assert sum(notes) == sum(len(x.notes.start) for x in samples) == 7
    labels = [x["aria-label"] for x in elements.all("svg") if x.get("role") == "img"]
    assert labels == ["6 notes", "0 notes", "1 notes"]
    assert elements.texts.count("pitch range") == 3 and "C4 to F4" in elements.texts
    assert {"C4", "C-1", "Flute", "Drums", "0:01", "0:02"} <= set(elements.texts)


def test_a_dashed_line_marks_where_the_prime_ends(text):
    (line,) = Elements(text).all("line", "prime")
    assert line["x1"] == line["x2"] == "33.33%"
    assert re.search(r"\.prime \{[^}]*stroke-dasharray", text)


def test_notes_lie_where_they_sound(text):
    """The melody begins at 0, 0.5, 1 and 1.5 s; the lowest drum is 36, the highest key 65."""
    (melody,) = [x["d"] for x in Elements(text).all("path", "i0")][:1]
    starts = re.findall(r"M([\d.]+) (\d+)h0.5v1", melody)
    assert [(float(x), 66 - int(row)) for x, row in starts] == [
        *((0, 60), (0.5, 62), (1, 64), (1.5, 65)),
    ]
    colors = [x["class"] for x in Elements(text).all("path") if "opacity" in x]
    assert colors == ["i0", "i7", "i0"] and f"{DRUMS}" not in text


def test_a_single_sample_and_many_instruments_have_a_page():
    form = RollFormat(8.0, programs=tuple(range(0, 96, 8)), apart=True)
    frames = np.zeros([8, form.num_keys], np.uint8)
    frames[:, 60::KEYS] = HELD
    statistics = roll_statistics(frames, form)
    text = render_page([Sample("sample-01", to_notes(frames, form), statistics)], statistics, {})
    elements = Elements(text.decode())
    assert "1 sample of vaeseq-midi" in elements.texts and not elements.all("img")
    used = {x["class"] for x in elements.all("path") if "opacity" in x}
    assert used == {f"i{index}" for index in range(7)}
    assert len(elements.all("li")) == 12
