"""The music of the studio: what a request asks for, and always the same."""

from argparse import Namespace

import numpy as np
import pytest
from werkzeug.test import Client

from tests.examples.midi.studio.conftest import TOKEN, Visitor, wait_until_ready
from vaeseq.errors import UsageError
from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.hparams import MELODY, MidiHParams
from vaeseq.examples.midi.interpolate import interpolate
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.performance import Performance
from vaeseq.examples.midi.music.roll import KEYS, RollFormat
from vaeseq.examples.midi.studio.app import create_app
from vaeseq.examples.midi.studio.composer import Composer, Source, Style
from vaeseq.examples.midi.studio.pieces import parse, to_json
from vaeseq.examples.midi.studio.sliders import _for_all_segments, _windows, learn
from vaeseq.model.latent_space import slerp

SOME = {"frames": 32, "temperature": 0.7, "seed": 5}
TUNE = {"frames": 32, "notes": [[0, 4, 60], [4, 2, 64], [8, 8, 67], [20, 12, 72]]}


def seeds(*numbers):
    return [{"seed": number} for number in numbers]


def check(piece, frames=32):
    assert piece["frames"] == frames
    assert piece["notes"] == sorted(piece["notes"])
    for start, length, pitch in piece["notes"]:
        assert 0 <= start < start + length <= frames and length >= 1 and 0 <= pitch < 128


def cut(piece, frames=16):
    """Returns the notes that end before a frame; others may be held on."""
    return [note for note in piece["notes"] if note[0] + note[1] < frames]


@pytest.mark.parametrize("kind", ["melody", "nade"])
def test_a_draw_is_a_function_of_its_request(studio_of, kind):
    visitor = studio_of(kind)
    pieces = visitor.ask("draw", count=3, **SOME)["pieces"]
    assert len(pieces) == 3 and pieces[0] != pieces[1]
    for piece in pieces:
        check(piece)
    assert visitor.ask("draw", count=3, **SOME)["pieces"] == pieces
    other = visitor.ask("draw", count=3, **SOME | {"seed": 6})["pieces"]
    assert other != pieces


def test_the_corners_of_a_pad_are_what_was_drawn_or_given(melodies):
    drawn = melodies.ask("draw", count=3, **SOME)["pieces"]
    corners = [*seeds(5, 6), {"piece": TUNE}, *seeds(7)]
    pad = melodies.ask("pad", corners=corners, **SOME)
    assert pad["size"] == 11 and len(pad["pieces"]) == 121
    for piece in pad["pieces"]:
        check(piece)
    assert [pad["pieces"][i] for i in (0, 10, 110, 120)] == [*drawn[:2], TUNE, drawn[2]]
    assert melodies.ask("pad", corners=corners, **SOME) == pad


def test_the_cells_of_a_pad_are_what_python_decodes(melodies):
    """The first row lies on the great circle between its corners."""
    composer = melodies.studio._api._composer
    pad = melodies.ask("pad", corners=seeds(1, 2, 3, 4), **SOME)["pieces"]
    z = [composer.latent.drawn_point(seed, 32)[0] for seed in (1, 2)]
    points = slerp(*z, 11)
    drawn = [composer.model.decode(x[None], 16, None, 0.7, (5, 0)).numpy() for x in points]
    first_windows = [cut(to_json(composer.model.to_rolls(x)[0], composer.form)) for x in drawn]
    assert first_windows == [cut(piece) for piece in pad[:11]]


def test_equal_corners_make_a_pad_of_one_piece(melodies):
    pieces = melodies.ask("pad", corners=seeds(3, 3, 3, 3), **SOME)["pieces"]
    assert all(piece == pieces[0] for piece in pieces)


def test_a_line_has_its_ends_and_as_many_steps_as_wanted(melodies):
    drawn = melodies.ask("draw", count=1, **SOME)["pieces"]
    fields = {"start": {"seed": 5}, "end": {"piece": TUNE}, "steps": 6, **SOME}
    pieces = melodies.ask("line", **fields)["pieces"]
    assert len(pieces) == 6 and pieces[0] == drawn[0] and pieces[-1] == TUNE
    assert melodies.ask("line", **fields)["pieces"] == pieces


def test_music_longer_than_a_window_has_several(melodies):
    """The model of the fixture has windows of 16 frames."""
    short, long = (
        melodies.ask("draw", count=1, **SOME | {"frames": n})["pieces"][0] for n in (16, 40)
    )
    check(long, 40)
    assert cut(long) == cut(short)


def test_given_music_is_heard_as_the_model_sees_it(melodies):
    """The top voice alone, on the keys of a piano."""
    chord = {"frames": 12, "notes": [[0, 8, 60], [0, 4, 64], [2, 1, 50], [8, 4, 10]]}
    fields = {"end": {"seed": 1}, "steps": 2, **SOME, "frames": 12}
    heard = melodies.ask("line", start={"piece": chord}, **fields)["pieces"][0]
    assert heard["notes"] == [[0, 4, 64], [8, 4, 22]]


@pytest.mark.parametrize("kind", ["melody", "nade"])
def test_a_continuation_keeps_what_was_given(studio_of, kind):
    visitor = studio_of(kind)
    fields = {"piece": TUNE, "frames": 24, "temperature": 1, "seed": 3}
    piece = visitor.ask("continue", **fields)["piece"]
    check(piece, 56)
    assert [note for note in piece["notes"] if note[0] < 32] == TUNE["notes"]
    assert visitor.ask("continue", **fields)["piece"] == piece
    if kind == "nade":
        assert piece["notes"][-1][0] >= 32


def test_a_continuation_must_not_be_too_long(melodies):
    fields = {"piece": TUNE, "frames": 1000, "temperature": 1, "seed": 3}
    response = melodies.post("continue", fields)
    assert response.status_code == 400 and "frames" in response.get_json()["error"]


@pytest.mark.parametrize("kind", ["melody", "nade"])
def test_variations_are_as_many_and_as_long_as_wanted(studio_of, kind):
    visitor = studio_of(kind)
    fields = {"piece": TUNE, "amount": 0.5, "count": 3, "temperature": 0.8, "seed": 3}
    pieces = visitor.ask("like", **fields)["pieces"]
    assert len(pieces) == 3
    for piece in pieces:
        check(piece)
    assert visitor.ask("like", **fields)["pieces"] == pieces
    if kind == "nade":  # it has no latents: what is kept is the tune itself
        assert visitor.ask("like", **fields | {"amount": 0})["pieces"] == [TUNE] * 3


def sounding(piece, bar):
    """Returns the pitches in each frame of a bar, and where notes start but for its beginning."""
    frames = range(16 * bar, 16 * bar + 16)
    notes = piece["notes"]
    at_once = [{p for start, size, p in notes if start <= x < start + size} for x in frames]
    starts = [(start, pitch) for start, _, pitch in notes if start in frames[1:]]
    return at_once, starts


LONG = {
    "frames": 64,
    "notes": [[0, 4, 60], [4, 16, 64], [20, 4, 67], [28, 12, 72], [40, 2, 71], [44, 20, 65]],
}


@pytest.mark.parametrize(
    ("kind", "locked"),
    [*(("melody", x) for x in ([0, 2], [1], [3, 1], [0, 1, 2, 3], [])), ("nade", [0, 2])],
)
def test_locked_bars_stay_exactly(studio_of, kind, locked):
    visitor = studio_of(kind)
    fields = {"piece": LONG, "locked": locked, "temperature": 1, "seed": 4}
    piece = visitor.ask("fill", **fields)["piece"]
    check(piece, 64)
    for bar in locked:
        assert sounding(piece, bar) == sounding(LONG, bar), bar
    if len(locked) == 4:
        assert piece == LONG
    assert visitor.ask("fill", **fields)["piece"] == piece
    changed = {"frames": 64, "notes": [x for x in LONG["notes"] if x[0] // 16 in locked]}
    if locked == [0, 2]:  # what is not locked does not matter, but for what rings into a bar
        rings = {**changed, "notes": sorted([*changed["notes"], [31, 9, 72]])}
        assert visitor.ask("fill", **fields | {"piece": rings})["piece"] == piece


@pytest.mark.parametrize("tempo", [109.0, 112.0, 120.0, 150.0])
def test_the_locked_bars_are_those_of_the_page_if_frames_are_counted_by_second(
    studio_by_second, tempo
):
    """A bar of the page has whole frames, also where a bar of the music has 17.14."""
    visitor = studio_by_second(tempo)
    size = visitor.ask("info")["frames_per_bar"]
    assert abs(size - 8 * 4 * 60 / tempo) <= 0.5
    piece = {"frames": 4 * size, "notes": [[x, 1, 60 + x % 12] for x in range(4 * size)]}
    for locked in ([0], [1], [3], [0, 2]):
        fields = {"piece": piece, "locked": locked, "temperature": 1, "seed": 4}
        filled = visitor.ask("fill", **fields)["piece"]
        assert starts_in(filled, size, locked) == starts_in(piece, size, locked)


def starts_in(piece, size, locked):
    """Returns the starts and pitches in some bars; a last note may ring on behind its bar."""
    return [[start, pitch] for start, _, pitch in piece["notes"] if start // size in locked]


def test_filling_prefers_what_fits_to_the_locked_bars(melodies):
    """The score of what is chosen is the best of all candidates of its round."""
    composer = melodies.studio._api._composer
    roll = composer.see(parse(LONG, "piece", composer.form))[:16]
    locked = np.arange(16) >= 8
    best = composer._fill_part(roll, locked, 1.0, (7, 0))
    assert np.array_equal(best[locked], composer.model.observe(roll, True)[locked])


def test_a_run_with_a_z_for_each_frame_draws_lines_by_frame(studio_of):
    visitor = studio_of("frames")
    can = visitor.ask("info")["can"]
    assert "line" in can and not {"pad", "shape", "fill"} & set(can)
    fields = {"start": {"seed": 5}, "end": {"piece": TUNE}, "steps": 4, **SOME}
    pieces = visitor.ask("line", **fields)["pieces"]
    drawn = visitor.ask("draw", count=1, **SOME)["pieces"]
    assert len(pieces) == 4 and pieces[0] == drawn[0] and pieces[-1] == TUNE
    assert visitor.ask("line", **fields)["pieces"] == pieces
    assert visitor.post("pad", {}).status_code == 404


@pytest.mark.parametrize(
    ("others", "offered"),
    [
        ({"vae_type": "RNN"}, False),
        ({"vae_type": "SRNN"}, True),
        ({"vae_type": "SRNN", "latent_kind": "categorical"}, False),
    ],
)
def test_a_line_is_offered_where_the_program_interpolates(others, offered):
    small = {"latent_size": 3, "rnn_hidden_sizes": (8,), "decoder": "keys"}
    model = MidiModel(MidiHParams(**small, **others), KEYS)
    form = RollFormat(4.0, beats=True)
    with pytest.raises(UsageError) as refusal:
        interpolate(model, Performance.of_run(form), Namespace(interpolate=["no.mid"]))
    assert ("no.mid" in str(refusal.value)) == offered, "it is read where it is of use"
    assert Composer(model, form).can_draw_lines == offered


def test_sliders_move_what_is_heard_and_are_measured(melodies):
    info = wait_until_ready(melodies)
    names = [attribute["name"] for attribute in info["attributes"]]
    assert names and set(names) <= {"density", "range", "pitch", "scale", "syncopation"}
    for attribute in info["attributes"]:
        assert attribute["label"] and attribute["unit"] and abs(attribute["correlation"]) <= 1
        assert attribute["name"] not in attribute["others"]
    usage = info["usage"]
    assert 0 <= usage["active_units"] <= usage["units"] == 3 and usage["kl"] >= 0
    assert usage["mutual_information"] <= np.log(usage["windows"]) + 1e-6
    fields = {"source": {"piece": TUNE}, **SOME}
    still = melodies.ask("shape", **fields, sliders={names[0]: 0})
    assert still["piece"] == TUNE
    assert still["attributes"] == melodies.ask("attributes", piece=TUNE)["attributes"]
    moved = melodies.ask("shape", **fields, sliders={names[0]: 3})
    assert moved["piece"] != TUNE and moved == melodies.ask(
        "shape", **fields, sliders={names[0]: 3}
    )
    pad = {"corners": [{"piece": TUNE}, *seeds(1, 2, 3)], **SOME}
    assert melodies.ask("pad", **pad, sliders={names[0]: 1})["pieces"][0] != TUNE


@pytest.mark.parametrize("sliders", [{"density": 3.5}, {"loud": 1}, {"density": "1"}, []])
def test_a_wrong_slider_is_named(melodies, sliders):
    wait_until_ready(melodies)
    response = melodies.post("shape", {"source": {"seed": 1}, "sliders": sliders, **SOME})
    assert response.status_code == 400 and "sliders" in response.get_json()["error"]


def test_a_roll_run_has_no_sliders(studio_of):
    info = wait_until_ready(studio_of("nade"))
    assert info["attributes"] == [] and info["usage"] is None and info["kind"] == "roll"
    assert set(info["can"]) >= {"draw", "continue", "like", "fill", "upload", "download"}


def test_the_order_of_requests_changes_nothing(studio_of, trained):
    """Compiled for other shapes first, a function could round in another way."""
    fields = {"start": {"seed": 5}, "end": {"seed": 6}, "steps": 7, **SOME}
    early = create_app(str(trained("melody").path), TOKEN)
    try:
        first = Visitor(Client(early), early).ask("line", **fields)
    finally:
        early.close()
    visitor = studio_of("melody")
    for steps in (3, 9, 2):
        visitor.ask("line", **fields | {"steps": steps})
    assert visitor.ask("line", **fields) == first


def conducted(**others):
    """Returns a composer whose model has segments."""
    small = {"latent_size": 3, "rnn_hidden_sizes": (8,), "sequence_size": 16, "seqvae_segment": 4}
    hparams = MELODY.replace(**small | others)
    return Composer(MidiModel(hparams, KEYS), RollFormat(4.0, beats=True))


def test_a_model_with_a_conductor_plays_too():
    """Lengths need not be whole segments."""
    composer = conducted()
    style, roll = Style(22, 0.7, 5), parse(TUNE, "piece", RollFormat(4.0, beats=True))[:18]
    corners = [Source(seed=1), Source(roll=roll), Source(seed=2), Source(seed=3)]
    pad = composer.pad(corners, style)
    assert pad.shape == (121, 22, KEYS) and np.array_equal(pad[10][:18], roll)
    assert np.array_equal(pad[0], composer.shape(Source(seed=1), style))
    assert len(composer.extend(roll, 7, 0.7, 5)) == 25
    assert composer.vary(roll, 0.3, 2, 0.7, 5).shape == (2, 18, KEYS)
    locked = np.arange(18) >= 10
    filled = composer.fill(roll, locked, 0.7, 5)
    assert np.array_equal(filled[locked] > 0, roll[locked] > 0)


@pytest.mark.parametrize("frames", [1, 3, 8, 12, 13, 16, 17, 22, 64])
@pytest.mark.parametrize("more", [1, 4, 8])
def test_what_is_continued_begins_with_a_segment_and_has_one_window(frames, more):
    """Behind its window, z would say again what is at its beginning."""
    latent = conducted().latent
    start = latent.last_window(frames, more)
    assert start % 4 == 0 and frames - start + more <= 16
    assert start == 0 or frames - (start - 4) + more > 16, "as much as has room is read"
    assert more <= latent.most_continued


def test_the_last_segment_is_always_read():
    assert conducted(sequence_size=4).latent.last_window(12, 2) == 8


def test_a_slider_moves_all_segments_alike():
    latent = conducted(latent_size=8, seqvae_parts=4, shortest_window=8, window_step=4).latent
    vector = np.array([3, 1, 1, 3, 0.1, 0, 0, -0.1])  # of windows with two segments
    direction = _for_all_segments(vector, latent)
    np.testing.assert_allclose(direction, [0.5] * 8)
    assert np.linalg.norm(direction[:4]) == pytest.approx(1)
    flat = Composer(MidiModel(MELODY.replace(seqvae_segment=0, seqvae_parts=1), KEYS), None).latent
    np.testing.assert_allclose(_for_all_segments(np.array([3.0, 4.0]), flat), [0.6, 0.8])


def test_sliders_come_from_the_shortest_windows_of_training():
    """Those of the page are four bars, and most pieces are shorter than 16."""
    form = RollFormat(4.0, beats=True)
    composer = conducted(shortest_window=8, window_step=4)
    rolls = np.stack([parse(TUNE, "piece", form)] * 2)
    corpus = Corpus(rolls.reshape(64, KEYS), [(0, 32), (32, 64)])
    assert _windows(composer, corpus).shape == (8, 8, KEYS)
    sliders = learn(composer, corpus, lambda call: call())
    assert sliders
    for slider in sliders.values():
        assert slider.vector.shape == (3,) and np.isfinite(slider.vector).all()


def test_what_answers_need_is_compiled_before_the_first(studio_of):
    visitor = studio_of("melody")
    wait_until_ready(visitor)
    functions = visitor.studio._api._composer.latent._compiled
    assert [x.experimental_get_tracing_count() for x in functions] == [1] * 5
