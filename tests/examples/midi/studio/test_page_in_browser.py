"""The page of the studio in a real browser: what a person does with it, and what it does not do."""

import base64
import io
import json
import math
import threading

import numpy as np
import pretty_midi
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.examples.midi.conftest import save
from tests.examples.midi.studio.browser import Page, as_array, open_browser
from tests.examples.midi.studio.conftest import TOKEN
from vaeseq.examples.midi.studio.app import LOCAL_HOSTS, Studio

TUNE = {"frames": 32, "notes": [[0, 4, 60], [4, 4, 64], [8, 8, 67], [20, 12, 72]]}


class Quiet(WSGIRequestHandler):
    def log_request(self, code="-", size="-"):
        pass


class Serving:
    """A server in a thread, which can stop and come back."""

    def __init__(self, app):
        self.app, self.port = app, 0
        self.start()

    def start(self):
        self.server = make_server("127.0.0.1", self.port, self.app, True, request_handler=Quiet)
        self.port = self.server.port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    with open_browser(downloads) as browser:
        yield browser


@pytest.fixture(scope="module")
def serving(studio_of):
    """Serves the studio of a kind of run."""
    running = {}

    def serve(kind):
        if kind not in running:
            running[kind] = Serving(studio_of(kind).studio)
        return running[kind]

    yield serve
    for server in running.values():
        server.stop()


@pytest.fixture
def page_of(browser, serving, downloads):
    """Opens the page of a kind of run; afterwards nothing may have failed or left the machine."""
    opened = []

    def open_page(kind, fragment=""):
        address = f"http://127.0.0.1:{serving(kind).port}/?token={TOKEN}"
        opened.append(Page(browser, address, downloads))
        return opened[-1].open(fragment)

    yield open_page
    for page in opened:
        page.resize(1400, 1300)
        page.run("globalThis.studio?.player.stop()")
        addresses, failed = page.traffic()
        assert not page.outside(addresses), "no request leaves the machine"
        assert not failed
        assert not page.errors()


@pytest.fixture
def page(page_of):
    return page_of("melody")


def fragment_of(**values):
    """Returns the fragment of a session that differs from a new one by some values."""
    text = json.dumps({"v": 1, **values})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def notes_of(content):
    """Returns the notes of a MIDI file as [start, end, pitch] in seconds."""
    midi = pretty_midi.PrettyMIDI(io.BytesIO(content))
    return sorted([x.start, x.end, x.pitch] for i in midi.instruments for x in i.notes)


# --- a person's way --------------------------------------------------------------------------


def test_from_opening_to_a_saved_file(page):
    page.type("#bars", "2")
    page.drag("#pad", (0.5, 0.5), (0.2, 0.3), (0.05, 0.05))
    assert page.state["place"] == 0
    assert page.run("return studio.player.playing"), "the pad is heard as soon as it is touched"
    pad = page.run("return studio.answers.lane('pad').answer.pieces")
    assert page.piece == pad[0]

    page.press("#roll", "\ue007")  # Enter adds a note
    page.drag("#roll", (0.51, 0.5), (0.74, 0.5))
    assert page.state["shown"]["from"] == "own"
    edited = page.piece
    assert [16, 8] in [note[:2] for note in edited["notes"]]

    page.type("#tempo", "90")
    page.type("#transpose", "3")
    page.click("#save-mid")
    second = 60 / 90 / 4
    expected = [[s * second, (s + n) * second, p + 3] for s, n, p in edited["notes"]]
    np.testing.assert_allclose(notes_of(page.saved(".mid")), sorted(expected), atol=2e-3)
    assert page.words.startswith("Saved ")


def test_space_plays_and_stops(page):
    page.press("#pad", " ")
    page.wait("return studio.player.position > 1")
    assert page.element("#play").get_attribute("aria-label") == "Stop"
    assert page.element("#playhead").is_displayed()
    page.press("#pad", " ")
    assert not page.run("return studio.player.playing")


def test_the_music_changes_over_in_the_middle_of_playing(page):
    page.click("#play")
    page.wait("return studio.player.position > 3")
    before = page.run("return studio.player.position")
    page.drag("#pad", (0.9, 0.1))
    page.wait(f"return studio.player.position > {min(before + 1, 12)}")
    heard = page.run(
        "const end = studio.player.music.piece.frames;"
        "return studio.player.voices.filter((v) => v.end > studio.player.sound.context.currentTime)"
        ".map((v) => v.pitch)"
    )
    assert set(heard) <= {note[2] for note in page.piece["notes"]}


# --- the pad and the line --------------------------------------------------------------------


def test_the_cells_are_what_python_decodes(page_of, melodies):
    corners = [{"seed": 5}, {"piece": TUNE}, {"seed": 7}, {"seed": 8}]
    fragment = fragment_of(corners=corners, bars=2, seed=3, temperature=0.5)
    page = page_of("melody", fragment)
    expected = melodies.ask("pad", corners=corners, frames=32, seed=3, temperature=0.5, sliders={})
    assert page.run("return studio.answers.lane('pad').answer") == expected
    assert expected["pieces"][10] == TUNE, "a given corner stays what it is"
    for cell, place in ((0, (0.01, 0.01)), (10, (0.99, 0.01)), (60, (0.5, 0.5))):
        page.drag("#pad", place)
        assert page.piece == expected["pieces"][cell]


def test_a_drag_over_the_pad_asks_for_nothing(page):
    page.traffic()
    page.drag("#pad", (0.1, 0.1), (0.9, 0.9), (0.1, 0.9))
    asked = [x for x in page.traffic()[0] if "/api/pad" in x or "/api/draw" in x]
    assert not asked
    assert page.state["place"] == 9 * 11 + 1


def test_a_path_is_drawn_walked_and_saved(page):
    page.click("#mode-path")
    page.drag("#pad", (0.05, 0.05), (0.23, 0.05), (0.23, 0.23))
    path = page.state["path"]
    assert path[0] == 0
    assert path[-1] == 24
    assert page.state["shown"] == {"from": "path"}
    pad = page.run("return studio.answers.lane('pad').answer.pieces")
    walked = page.piece
    assert walked["frames"] == 16 * len(path)
    for step, cell in enumerate(path):
        part = {n[2] for n in walked["notes"] if 16 * step <= n[0] < 16 * step + 16}
        assert part <= {note[2] for note in pad[cell]["notes"]}
    page.wait("return studio.player.position > 2")
    page.press("#pad", "\ue014", "\ue007")  # an arrow and Enter go on with it
    assert page.state["path"] == [*path, 25]
    page.click("#path-play")
    page.run("document.querySelector('#save-what').value = 'path'")
    page.click("#save-mid")
    assert len(notes_of(page.saved(".mid"))) == len(page.piece["notes"])
    page.click("#path-clear")
    assert page.state["path"] == []


def test_a_line_has_as_many_steps_as_wanted(page, melodies):
    page.type("#steps", "7")
    assert len(page.elements("#line .tile")) == 7
    page.click("#line .tile:nth-child(7)")
    ends = page.state["ends"]
    expected = melodies.ask(
        *("line",),
        start=ends[0], end=ends[1], steps=7, frames=16, seed=1, temperature=0.7,
    )["pieces"]  # fmt: skip
    assert page.piece == expected[6]
    page.click("#line-play")
    assert page.piece["frames"] == 7 * 16


def test_sliders_say_what_they_do_and_move_the_pad(page, melodies):
    page.wait("return studio.info.ready && document.querySelector('#sliders input')")
    attribute = page.run("return studio.info.attributes[0]")
    name = attribute["name"]
    slider = f"#slider-{name}"
    page.wait(f"return document.querySelector('{slider}').closest('div').innerText.includes('now')")
    assert f"r {attribute['correlation']:.2f}" in page.element("#sliders").text
    page.press(slider, "\ue011")  # Home: the least
    assert page.state["sliders"] == {name: -3}
    asked = page.run("return JSON.parse(studio.answers.lane('pad').key.slice(4))")
    assert asked["sliders"] == {name: -3}
    assert page.run("return studio.answers.lane('pad').answer") == melodies.ask("pad", **asked)
    page.click("#shape")
    assert page.state["shown"]["from"] == "own"
    page.click("#sliders-zero")
    assert page.state["sliders"] == {}
    assert page.element("#dials").text.count("nats") == 2


def test_a_melody_without_notes_has_no_place_on_the_sliders(page):
    page.wait("return studio.info.ready && document.querySelector('#sliders input')")
    page.run(
        "studio.act('no notes', {...studio.state, shown: {from: 'own', piece: arguments[0]}})",
        {"frames": 16, "notes": []},
    )
    page.wait("return studio.answers.lane('attributes').answer?.attributes.pitch === null")
    assert "now" not in page.element("#slider-pitch-now").text
    page.run("studio.set('the seed', {seed: 6})")
    page.wait()
    assert page.run("return JSON.parse(studio.answers.lane('pad').key.slice(4)).seed") == 6


def test_a_view_that_fails_stops_nothing_else(page):
    page.run("studio.show(() => { throw new Error('broken view'); })")
    page.run("studio.set('the seed', {seed: 6})")
    page.wait()
    assert page.run("return JSON.parse(studio.answers.lane('pad').key.slice(4)).seed") == 6
    assert page.element("#seed").get_attribute("value") == "6"
    page.run("studio.views.pop()")
    errors = page.errors()
    assert errors and all("broken view" in error for error in errors), "the console has them"


# --- editing ---------------------------------------------------------------------------------


@pytest.fixture
def tune(page_of):
    """The page with a known melody in its roll."""
    return page_of("melody", fragment_of(shown={"from": "own", "piece": TUNE}))


def place_of(page, frame, pitch):
    """Returns where a frame and a pitch are in the roll, as shares."""
    rows = page.run(
        "const notes = studio.piece().notes.map((note) => note[2]);"
        "return [Math.min(...notes), Math.max(...notes)]"
    )
    low, high = rows[0] - 3, rows[1] + 3
    more = max(0, 26 - (high - low + 1))
    low -= more // 2
    high += math.ceil(more / 2)
    return frame / page.piece["frames"], (high - pitch + 0.5) / (high - low + 1)


def test_notes_are_moved_lengthened_and_removed_by_hand(tune):
    tune.drag("#roll", place_of(tune, 10, 67), place_of(tune, 11, 68), place_of(tune, 13, 69))
    assert [11, 8, 69] in tune.piece["notes"]
    tune.drag("#roll", place_of(tune, 18.9, 69), place_of(tune, 17, 69), place_of(tune, 15.5, 69))
    assert [11, 5, 69] in tune.piece["notes"]
    tune.drag("#roll", place_of(tune, 25, 72))
    tune.click("#note-remove")
    assert len(tune.piece["notes"]) == 3
    for _ in range(3):
        tune.click("#undo")
    assert tune.piece == TUNE


def test_notes_are_edited_with_the_keyboard_alone(tune):
    right, left, up, down = "\ue014", "\ue012", "\ue013", "\ue015"
    tune.press("#roll", right, right, up, ".", "+")
    assert tune.piece["notes"][1:3] == [[5, 5, 65], [10, 6, 67]], "the next note starts later"
    tune.press("#roll", down, ",", "-")
    assert tune.piece == TUNE
    tune.press("#roll", left, "\ue017")  # Delete
    assert tune.piece["notes"] == TUNE["notes"][1:]
    assert "C" in tune.element("#roll-note").text or "E4" in tune.element("#roll-note").text


def test_locked_bars_stay(tune):
    tune.click("#locks button:nth-child(2)")
    assert tune.state["locked"] == [1]
    tune.click("#fill")
    filled = tune.piece
    assert filled["frames"] == 32
    assert [n for n in filled["notes"] if n[0] >= 16] == [n for n in TUNE["notes"] if n[0] >= 16]
    tune.click("#locks button:nth-child(1)")
    tune.click("#fill")
    assert "Every bar is locked" in tune.words
    assert tune.piece == filled
    tune.click("#lock-all")
    assert tune.state["locked"] == []
    tune.click("#lock-all")
    assert tune.state["locked"] == [0, 1]


@pytest.fixture
def page_by_second(browser, studio_by_second, downloads):
    """The page of a run in which a bar of the music has 17.14 frames."""
    server = Serving(studio_by_second(112.0).studio)
    page = Page(browser, f"http://127.0.0.1:{server.port}/?token={TOKEN}", downloads)
    yield page
    browser.get("about:blank")
    server.stop()
    page.traffic()  # it was of another server
    assert not page.errors()


def test_bars_are_whole_frames_if_frames_are_counted_by_second(page_by_second):
    piece = {"frames": 68, "notes": [[0, 4, 60], [51, 17, 72]]}
    page = page_by_second.open(fragment_of(shown={"from": "own", "piece": piece}))
    page.click("#locks button:nth-child(4)")
    page.click("#fill")
    assert page.piece["frames"] == 68
    assert [51, 17, 72] in page.piece["notes"]
    bars, beats = page.run(
        "const drawn = {}; const real = CanvasRenderingContext2D.prototype.fillRect;"
        "CanvasRenderingContext2D.prototype.fillRect = function (...box) {"
        "if (this.canvas.id === 'roll' && box[2] === 1) "
        "(drawn[this.fillStyle] ??= []).push(box[0]); real.apply(this, box)};"
        "studio.render(); CanvasRenderingContext2D.prototype.fillRect = real;"
        "return Object.values(drawn)"
    )
    width = page.run("return document.querySelector('#roll').clientWidth")
    assert bars == [round(bar * width / 4) for bar in range(4)]
    assert len(beats) == 12


def test_the_model_continues_and_varies(tune):
    tune.type("#more", "2")
    tune.click("#continue")
    assert tune.piece["frames"] == 64
    assert [n for n in tune.piece["notes"] if n[0] + n[1] < 32] == TUNE["notes"][:3]
    tune.click("#undo")
    tune.click("#like")
    assert tune.state["tiles"]["body"]["piece"] == TUNE
    assert len(tune.run("return studio.answers.lane('tiles').answer.pieces")) == 4
    tune.click("#generate")
    assert tune.state["tiles"]["name"] == "draw"


# --- the session -----------------------------------------------------------------------------


def test_the_address_restores_the_session(page):
    page.type("#bars", "2")
    page.click("[data-corner='1'] button:nth-of-type(1)")
    page.drag("#pad", (0.7, 0.2))
    page.press("#roll", "\ue007")
    page.click("#locks button:nth-child(1)")
    state, piece, pad = page.state, page.piece, page.run("return studio.answers.lane('pad').answer")
    page.wait("return location.hash.slice(1) === studio.fragment")
    fragment = page.run("return location.hash.slice(1)")
    page.open(fragment)
    assert page.state == state
    assert page.piece == piece
    assert page.run("return studio.answers.lane('pad').answer") == pad
    assert page.element("#bars").get_attribute("value") == "2"


def test_every_act_is_undone_and_done_again(page):
    states = [page.state]
    acts = [
        lambda: page.type("#seed", "9"),
        lambda: page.type("#bars", "2"),
        lambda: page.drag("#pad", (0.1, 0.1), (0.5, 0.5), (0.9, 0.9)),
        lambda: page.click("#generate"),
        lambda: page.click("#tiles .tile:nth-child(3)"),
        lambda: page.drag("#roll", (0.1, 0.3), (0.3, 0.3)),
        lambda: page.drag("#ruler", (0.1, 0.5), (0.3, 0.5)),
        lambda: page.press("#temperature", "\ue014"),
        lambda: page.click("#repeat"),
    ]
    for act in acts:
        act()
        if page.state != states[-1]:
            states.append(page.state)
    assert len(states) == len(acts) + 1, "a drag is one act"
    for state in states[-2::-1]:
        page.click("#undo")
        assert page.state == state
    assert not page.element("#undo").is_enabled()
    for state in states[1:]:
        page.press("#pad", "\ue009" + "\ue008" + "z")  # Ctrl Shift Z
        assert page.state == state
    assert not page.element("#redo").is_enabled()


def test_an_address_that_holds_no_session_opens_a_new_one(page_of):
    page = page_of("melody", "%%%")
    assert "session" in page.words
    assert page.state == page.module("state", "return m.initial(studio.info)")
    for fragment in ("AAAA", fragment_of(v=99), "x" * 5000, fragment_of()[:-3]):
        page.run(
            "document.querySelector('#status').textContent = ''; studio.open(arguments[0])",
            fragment,
        )
        assert "session" in page.words
        assert not page.element("#undo").is_enabled()


def test_a_paste_opens_a_session_and_nothing_else(page):
    state, words = page.state, page.words
    for text in ("F# minor", "#", "https://example.org/music#F-sharp", "C#eyes", "no. #1"):
        paste(page, text)
        assert (page.state, page.words) == (state, words), text
    link = f"http://127.0.0.1:1/?token=other#{fragment_of(seed=9)}"
    for text in (link, link.replace("?token=other", "")):
        page.run("studio.set('the seed', {seed: 1})")
        paste(page, text)
        assert page.state["seed"] == 9
    paste(page, link[:-3])
    assert "cut off" in page.words


def test_a_session_of_any_content_is_valid(page):
    rng = np.random.default_rng(0)
    hostile = [None, -1, 1e300, "x", [], [[]], {}, [{"piece": {}}] * 4, {"from": "own"}, True]
    names = [*page.state, "unknown", "__proto__"]
    fragments = [
        fragment_of(**{n: hostile[rng.integers(len(hostile))] for n in rng.choice(names, 8)})
        for _ in range(200)
    ]
    body = """
        return values[0].map((fragment) => {
          const { state } = m.decode(fragment, studio.info);
          return [state, m.decode(m.encode(state, studio.info), studio.info).state];
        })"""
    for state, again in page.module("address", body, fragments):
        assert state == again
        assert [set(corner) for corner in state["corners"]] == [{"seed"}] * 4
        assert 0.05 <= state["temperature"] <= 2


# --- files -----------------------------------------------------------------------------------


def test_own_files_become_corners_and_stay_what_they_are(page, tmp_path):
    path = save(tmp_path / "own" / "scale.mid", key=57, count=4)
    page.choose("[data-corner='2'] [title='Open a file']", path)
    page.wait("return !!studio.state.corners[2].piece")
    page.wait()
    assert page.words == "scale.mid is read."
    page.drag("#pad", (0.01, 0.99))
    assert [note[2] for note in page.piece["notes"]] == [57, 58, 59, 60]
    assert page.words == "", "what was said is over"


def test_a_long_file_says_how_much_of_it_a_corner_uses(page, tmp_path):
    path = save(tmp_path / "own" / "long.mid", key=57, count=40)  # 20 beats
    page.run("studio.set('bars', {bars: 4})")
    page.choose("[data-corner='2'] [title='Open a file']", path)
    page.wait("return !!studio.state.corners[2].piece")
    assert "the first 4 of 5 bars are used" in page.words


def drop(page, selector, path):
    """Drops a file on an element, and waits until the page has said what it read."""
    page.run(
        "const bytes = Uint8Array.from(atob(arguments[0]), (x) => x.charCodeAt(0));"
        "const transfer = new DataTransfer();"
        "transfer.items.add(new File([bytes], arguments[1]));"
        "document.querySelector(arguments[2]).dispatchEvent("
        "new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}))",
        *(base64.b64encode(path.read_bytes()).decode(), path.name, selector),
    )
    page.wait(f"return document.querySelector('#status').textContent.startsWith('{path.name}')")


def test_a_dropped_file_becomes_the_melody(page, tmp_path):
    drop(page, "header", save(tmp_path / "own" / "scale.mid", key=57, count=4))
    assert page.state["shown"]["from"] == "own"
    assert [note[2] for note in page.piece["notes"]] == [57, 58, 59, 60]


@pytest.mark.parametrize("place", ["header", "#roll-drop"])
def test_a_file_that_becomes_the_melody_brings_its_tempo(page, tmp_path, place):
    before = page.state
    assert before["tempo"] == 120
    drop(page, place, save(tmp_path / "own" / "slow.mid", key=57, count=4, tempo=60.0))
    assert page.state["tempo"] == 60
    assert page.words == "slow.mid: the tempo is now 60, as fast as the file"
    page.click("#save-mid")
    expected = [[0.25 * i, 0.25 * i + 0.25, 57 + i] for i in range(4)]
    np.testing.assert_allclose(notes_of(page.saved(".mid")), expected, atol=2e-3)
    page.click("#undo")
    assert page.state == before


def test_a_tempo_that_is_not_taken_is_told(page, tmp_path):
    drop(page, "[data-corner='2']", save(tmp_path / "own" / "slow.mid", tempo=60.0))
    assert page.state["tempo"] == 120, "three other corners have it"
    assert page.words == "slow.mid: heard at tempo 120; at 60 it is as fast as the file"
    drop(page, "header", save(tmp_path / "own" / "slower.mid", tempo=20.0))
    assert page.state["tempo"] == 30, "the lowest"
    assert page.words.endswith("heard at tempo 30; at 20 it is as fast as the file")


def test_a_file_that_is_refused_is_told_in_words(page, tmp_path):
    path = tmp_path / "broken.mid"
    path.write_bytes(b"MThd, not")
    before = page.state
    page.choose("#roll-file", path)
    page.wait("return document.querySelector('#status').classList.contains('bad')")
    assert page.words.startswith("broken.mid is not a MIDI file")
    assert page.state == before
    assert "400" in page.errors()[0], "the browser itself logs the refusal"
    page.traffic()


def test_sound_and_picture_are_saved(page):
    page.click("#save-wav")
    assert page.saved(".wav")[:4] == b"RIFF"
    page.click("#save-png")
    assert Image.open(io.BytesIO(page.saved(".png"))).format == "PNG"


# --- pure functions --------------------------------------------------------------------------


def test_pieces_are_cut_joined_and_walked(page):
    body = """
        const long = {frames: 8, notes: [[0, 6, 60], [6, 2, 62]]};
        return [
          m.slice(long, 2, 7), m.fit(long, 10).frames, m.join([long, long]).notes,
          m.walk([long, long, long], 4).notes, m.cut(long, 5, 2).map((x) => x.frames),
          m.put(long, [4, 3, 64], true).notes, m.put(long, [4, 3, 64], false).notes.length,
          m.within([9, 4, 200], 8, [21, 108]),
        ]"""
    part, frames, joined, walked, parts, one, several, moved = page.module("piece", body)
    assert part == {"frames": 5, "notes": [[0, 4, 60], [4, 1, 62]]}
    assert frames == 10
    assert joined == [[0, 6, 60], [6, 2, 62], [8, 6, 60], [14, 2, 62]]
    assert walked == [[0, 6, 60], [6, 2, 62], [8, 4, 60]], "held over the border of two steps"
    assert parts == [4, 4]
    assert one == [[0, 4, 60], [4, 3, 64], [7, 1, 62]]
    assert several == 3, "of several voices, only the same key gives way"
    assert moved == [7, 1, 108]


# --- sound -----------------------------------------------------------------------------------


def strength(samples, rate, pitch):
    """Returns how strong the first harmonics of a pitch are."""
    time = np.arange(len(samples)) / rate
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    window = np.hanning(len(samples)) * samples
    waves = (np.exp(-2j * np.pi * k * frequency * time) for k in (1, 2, 3))
    return sum(abs(window @ wave) for wave in waves)


@pytest.mark.parametrize("font", [True, False])
def test_what_sounds_are_the_notes_of_the_roll(page, font):
    rate, second = 22050, 0.25
    text = page.module(
        "sound",
        """
        const [piece, second, rate, hasFont] = values;
        const {SoundFont} = await import('/static/soundfont.js');
        const fetched = hasFont && await fetch('/static/TimGM6mb.sf2');
        const font = hasFont ? new SoundFont(await fetched.arrayBuffer()) : null;
        const context = new OfflineAudioContext(1, rate * second * piece.frames, rate);
        const sound = new m.Sound(context, font);
        for (const [start, length, pitch] of piece.notes) {
          sound.play(73, pitch, start * second, length * second);
        }
        const data = (await context.startRendering()).getChannelData(0);
        const bytes = new Uint8Array(data.buffer);
        let text = '';
        for (let i = 0; i < bytes.length; i += 8192) {
          text += String.fromCharCode(...bytes.subarray(i, i + 8192));
        }
        return btoa(text);
        """,
        {"frames": 24, "notes": [[0, 4, 60], [4, 4, 64], [8, 4, 67], [12, 2, 60], [16, 4, 72]]},
        second,
        rate,
        font,
    )
    samples = as_array(text)
    for start, length, pitch in ([0, 4, 60], [4, 4, 64], [8, 4, 67], [12, 2, 60], [16, 4, 72]):
        middle = int((start + 0.5 * length) * second * rate)
        part = samples[middle : middle + 4096]
        strengths = {p: strength(part, rate, p) for p in range(pitch - 6, pitch + 7)}
        assert max(strengths, key=strengths.get) == pitch
    silent = samples[int(23 * second * rate) :]
    loud = samples[: int(20 * second * rate)]
    assert np.abs(silent).max() < 0.02 * np.abs(loud).max(), "notes end"
    assert 0.05 < np.abs(samples).max() <= 1, "loud enough, and never clipped"


# --- trouble ---------------------------------------------------------------------------------


def test_a_server_that_is_gone_is_told_and_comes_back(page, serving):
    serving("melody").stop()
    page.run("studio.set('the seed', {seed: 12345})")
    page.wait("return !document.querySelector('#banner').hidden")
    assert "does not answer" in page.element("#banner").text
    serving("melody").start()
    page.wait("return document.querySelector('#banner').hidden")
    page.wait()
    page.errors(), page.traffic()  # those of the time without a server
    assert page.run("return studio.answers.lane('pad').answer.pieces.length") == 121


@pytest.fixture
def restart(browser, serving, studio_of):
    """Starts a server again, with another token and perhaps another run."""
    again = set()

    def start(kind, token, run=None):
        server = serving(kind)
        server.stop()
        server.app = Studio(studio_of(run or kind).studio._api, token, LOCAL_HOSTS)
        server.start()
        again.add(kind)
        return f"http://127.0.0.1:{server.port}/?token={token}"

    yield start
    browser.get("about:blank")
    browser.get_log("browser"), browser.get_log("performance")  # what failed was meant to
    for kind in again:
        server = serving(kind)
        server.stop()
        server.app = studio_of(kind).studio
        server.start()


def paste(page, text):
    page.run(
        "const clipboardData = new DataTransfer(); clipboardData.setData('text', arguments[0]);"
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData}))",
        text,
    )


def goes_on(page, seed):
    """Waits until a page that is stale goes on, without having been loaded again."""
    page.wait("return document.querySelector('#banner').hidden")
    page.wait()
    assert page.run("return globalThis.same"), "the page is the same one"
    assert page.run("return JSON.parse(studio.answers.lane('pad').key.slice(4)).seed") == seed
    assert len(page.run("return studio.answers.lane('pad').answer.pieces")) == 121
    page.errors(), page.traffic()  # those of the time with a wrong token


def become_stale(page, seed):
    page.run("globalThis.same = true; studio.set('the seed', {seed: arguments[0]})", seed)
    page.wait("return document.querySelector('#banner').textContent.includes('started again')")


def test_a_page_with_the_token_of_before_goes_on_with_a_pasted_address(page, restart):
    address = restart("melody", "again")
    become_stale(page, 77)
    paste(page, "http://127.0.0.1/?token=")
    assert page.element("#banner").is_displayed()
    paste(page, address)
    goes_on(page, 77)
    assert page.browser.current_url.startswith(address + "#"), "to be loaded again"
    assert page.state["seed"] == 77
    page.click("#undo")
    assert page.state["seed"] == 1


def test_a_page_with_the_token_of_before_goes_on_when_the_new_one_is_open(page, restart):
    address = restart("melody", "again")
    become_stale(page, 78)
    old = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    page.browser.get(address)
    page.wait()
    page.browser.close()
    page.browser.switch_to.window(old)
    goes_on(page, 78)


def test_another_run_in_its_place_opens_the_session_anew(page_of, restart):
    page = page_of("melody", fragment_of(run="melody run"))
    page.run("studio.set('the seed', {seed: 79})")
    page.wait()
    address = restart("melody", "again", "nade")
    page.run("studio.generate()")
    page.wait("return document.querySelector('#banner').textContent.includes('started again')")
    page.run("document.querySelector('#run').textContent = ''")
    paste(page, address)
    page.wait("return document.querySelector('#run')?.textContent.includes('piano rolls')")
    page.wait()
    assert page.state["seed"] == 79
    assert page.piece


def test_a_stale_page_that_is_loaded_again_lets_in_and_keeps_the_session(page_of, restart):
    page = page_of("melody", fragment_of(seed=80))
    address = restart("melody", "again")
    page.browser.refresh()
    assert page.element("h1").text == "The studio is closed"
    assert page.element("#kept").is_displayed()
    page.element("#told").send_keys("nonsense", "\ue007")
    page.wait("return document.querySelector('#said').textContent")
    page.element("#told").clear()
    page.element("#told").send_keys(address, "\ue007")
    page.wait()
    assert page.state["seed"] == 80


def test_the_session_of_another_run_is_told_and_shown(page_of):
    shown = page_of("melody", fragment_of(run="other", path=[1, 2], shown={"from": "path"}))
    assert "made with the run other" in shown.words
    assert "weights" in page_of("melody", fragment_of(weights="0")).words


def test_what_a_run_cannot_show_is_not_shown(page_of):
    for source in ("pad", "path", "line"):
        rolls = page_of("nade", fragment_of(run="other", path=[1], shown={"from": source}))
        assert "made with the run other" in rolls.words
        assert rolls.piece
        assert rolls.element("#play").is_enabled()


def test_two_pages_at_once_have_sessions_of_their_own(page, melodies):
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    try:
        page.open(fragment_of(seed=5))
        page.run("for (const seed of [6, 7]) studio.set('the seed', {seed})")
        page.browser.switch_to.window(first)
        page.run("for (const seed of [8, 9]) studio.set('the seed', {seed})")
        page.wait()
        answer = "const lane = studio.answers.lane('pad'); return [lane.key.slice(4), lane.answer]"
        for window in (first, page.browser.window_handles[-1]):
            page.browser.switch_to.window(window)
            page.wait()
            request, pad = page.run(answer)
            assert pad == melodies.ask("pad", **json.loads(request))
            assert page.state["seed"] == (9 if window == first else 7)
    finally:
        page.browser.close()
        page.browser.switch_to.window(first)


def test_a_request_that_is_no_longer_wanted_is_aborted(page):
    page.run("for (const seed of [7, 8, 9]) studio.set('the seed', {seed})")
    page.wait()
    assert page.run("return JSON.parse(studio.answers.lane('pad').key.slice(4)).seed") == 9


def test_a_busy_model_is_waited_for(page):
    page.run(
        "const real = window.fetch; let times = 0; window.fetch = (...all) => "
        "times++ < 2 ? Promise.resolve(new Response('{}', {status: 503, "
        "headers: {'Retry-After': '0.5'}})) : real(...all);"
        "studio.set('the seed', {seed: 4});"
    )
    page.wait("return document.querySelector('#banner').textContent.includes('busy')")
    page.wait()
    assert page.element("#banner").get_attribute("hidden")


# --- every control, every size ---------------------------------------------------------------


def test_a_usual_length_is_a_click(page):
    assert [x.text for x in page.elements("#lengths button")] == ["2", "4", "8", "16"]
    for number, bars in enumerate((2, 4, 8, 16), 1):
        page.click(f"#lengths button:nth-child({number})")
        assert page.state["bars"] == bars
        assert page.element("#bars").get_attribute("value") == str(bars)
        assert page.element("#lengths [aria-pressed='true']").text == str(bars)
    page.type("#bars", "3")
    assert page.state["bars"] == 3
    assert not page.elements("#lengths [aria-pressed='true']")


def test_a_new_session_has_four_bars(page):
    body = "return values.map((window) => m.initial({...studio.info, window}).bars)"
    assert page.module("state", body, 16, 64, 256) == [1, 4, 4]


def test_sixteen_bars_are_read_on_a_small_screen(page):
    page.resize(360, 800)
    page.click("#lengths button:nth-child(4)")
    page.drag("#pad", (0.1, 0.9))
    page.click("#play")  # stops
    assert page.piece["frames"] == 256
    assert len(page.elements("#locks button")) == 16
    wide, seen, bar = page.run(
        "const scroll = document.querySelector('#roll-scroll');"
        "scroll.scrollLeft = 1e6;"
        "return [scroll.scrollWidth, scroll.clientWidth,"
        "document.querySelector('#locks button').offsetWidth]"
    )
    assert bar > 70
    assert wide > 3 * seen
    assert page.run("return document.documentElement.scrollWidth") <= 360
    page.click("#locks button:nth-child(16)")
    assert page.state["locked"] == [15]


def test_everything_has_a_name_and_fits(page):
    for width, scheme in ((360, "light"), (800, "dark"), (1400, "light"), (1920, "dark")):
        page.resize(width, 900, scheme)
        wide = page.run("return document.documentElement.scrollWidth")
        assert wide <= width, f"at {width} pixels the page is {wide} wide"
    unnamed = page.run(
        "return [...document.querySelectorAll('button, input, select, canvas')]"
        ".filter((x) => x.checkVisibility() && !x.closest('[aria-hidden]'))"
        ".filter((x) => !(x.ariaLabel || x.labels?.length || x.textContent.trim()))"
        ".map((x) => x.outerHTML)"
    )
    assert not unnamed


def test_a_run_of_piano_rolls_shows_what_it_can(page_of, studio_of):
    page = page_of("nade")
    can = studio_of("nade").ask("info")["can"]
    assert "pad" not in can
    assert not page.elements("#pad")
    assert "no latent variable" in page.element("#pad-section").text
    assert page.element("#tiles-title").text == "Four pieces"
    for width in (720, 800, 1920):
        page.resize(width, 900)
        assert page.run("return document.documentElement.scrollWidth") <= width
        assert page.element("#pad-section").size["height"] < 200, "no empty box"
        right = "return document.querySelector(arguments[0]).getBoundingClientRect().right"
        assert page.run(right, ".middle") == page.run(right, "main"), "no empty column"
    page.click("#tiles .tile:nth-child(2)")
    expected = studio_of("nade").ask("draw", **page.state["tiles"]["body"])["pieces"]
    assert page.piece == expected[1]


def test_every_button_does_something(page_of):
    """Whatever can be pressed changes the session, the sound, what is said, or what is open."""
    seen = (
        "return JSON.stringify([studio.state, studio.player.playing, document.body.innerText,"
        "document.querySelector('#help').open, document.querySelector('#file').onchange ? 1 : 0,"
        "[...document.querySelectorAll('[aria-pressed]')].map((x) => x.ariaPressed)])"
    )
    shown = {"from": "own", "piece": TUNE}
    fragment = fragment_of(path=[0, 1, 2], locked=[0], loop=[0, 1], shown=shown)
    tune = page_of("melody", fragment)
    tune.run("studio.set('first', {seed: 5}); studio.set('second', {seed: 6}); studio.undo()")
    tune.wait()
    tune.press("#roll", "\ue014")
    pressed = set()
    names = tune.run(
        "return [...document.querySelectorAll('button')].filter((x) => x.checkVisibility())"
        ".map((x) => (x.dataset.test = x.ariaLabel || x.textContent))"
    )
    assert len(names) == len(set(names)), "no two buttons have one name"
    for name in names:
        tune.run("document.querySelector('#status').textContent = ''")
        tune.run("document.querySelector('#file').onchange = null")
        found = tune.run(
            "return [...document.querySelectorAll('button')].find((x) => !x.disabled && "
            "[x.dataset.test, x.ariaLabel].includes(arguments[0]))",
            name,
        )
        if not found:  # what can be undone, for example, depends on the act before
            continue
        before = tune.run(seen)
        tune.run("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()
        tune.wait()
        pressed.add(name)
        if name != "Explore":  # it is chosen at first
            tune.wait("return (" + seen.removeprefix("return ") + f") !== {json.dumps(before)}")
        tune.run("document.querySelector('#help').close()")
    assert set(names) - pressed <= {"Redo", "Remove note", "Loop all", "Lock bar 2", "All to 0"}
    for path in tune.downloads.iterdir():
        path.unlink()


def test_the_keyboard_reaches_everything(page):
    reachable = page.run(
        "return [...document.querySelectorAll('button, input, select, canvas[role]')]"
        ".filter((x) => x.checkVisibility()).every((x) => x.tabIndex === 0)"
    )
    assert reachable
    for key, name in (("r", "roll"), ("p", "pad")):
        page.press("#generate", key)
        assert page.run("return document.activeElement.id") == name
    page.press("#pad", "c")
    assert page.state["shown"]["from"] == "own"
    page.press("#pad", "l")
    assert page.state["tiles"]["name"] == "like"
    page.press("#pad", "?")
    assert page.run("return document.querySelector('#help').open")
    ActionChains(page.browser).send_keys("\ue00c").perform()
    assert not page.run("return document.querySelector('#help').open")
    assert page.browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
