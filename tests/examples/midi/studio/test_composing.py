"""The music of the studio: what a request asks for, and always the same."""

import pytest

from vaeseq.examples.midi.studio.pieces import to_json
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
    drawn = [composer.model.decode(x[None], 16, None, 0.7, (5, 0)) for x in points]
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
    """One voice: the highest of several starts, until the next; on the keys of a piano."""
    chord = {"frames": 8, "notes": [[0, 8, 60], [0, 4, 64], [4, 2, 10]]}
    fields = {"end": {"seed": 1}, "steps": 2, **SOME, "frames": 8}
    heard = melodies.ask("line", start={"piece": chord}, **fields)["pieces"][0]
    assert heard["notes"] == [[0, 4, 64], [4, 4, 22]]
