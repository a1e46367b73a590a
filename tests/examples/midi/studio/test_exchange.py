"""Files that go in, and files that come out."""

import io
import wave

import numpy as np
import pytest

from tests.examples.midi.studio.test_guard import refused
from tests.examples.midi.test_generate import DUET
from tests.examples.midi.test_midi_file import file, off, on, tempo
from vaeseq.examples.midi.music import midi_file
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.studio import exchange

TUNE = {"frames": 16, "notes": [[0, 4, 60], [4, 4, 64], [8, 8, 67]]}


def upload(visitor, body, name):
    return visitor.post("upload", data=body, headers={"X-Name": name})


def test_a_file_becomes_a_piece_and_what_is_left_out_is_told(melodies):
    answer = upload(melodies, DUET, "my%20duet.mid").get_json()
    assert answer["piece"]["frames"] > 8 and len(answer["piece"]["notes"]) == 7
    assert answer["tempo"] == pytest.approx(90, rel=1e-4)
    assert answer["message"] == "used the highest voice of my duet.mid, 7 of 13 notes"


def test_a_piece_comes_back_as_it_went(melodies):
    body = melodies.post("download", {"kind": "mid", "pieces": [TUNE], "tempo": 97}).data
    answer = upload(melodies, body, "tune.MIDI").get_json()
    assert answer["piece"] == TUNE and answer["message"] == ""
    assert answer["tempo"] == pytest.approx(97, rel=1e-4)


# Eight beats, of which the last two are four times as slow.
SLOWER = file(
    tempo(0, 500_000) + tempo(6 * 480, 2_000_000),
    b"".join(on(0, 60 + i) + off(480, 60 + i) for i in range(8)),
)


@pytest.mark.parametrize("by", [{"rate": 4.0, "beats": True}, {"rate": 8.0}])
def test_a_file_lasts_as_long_as_before_at_the_tempo_that_comes_with_it(melodies, by):
    form = RollFormat(**by, tempo=112.0)
    given = exchange.read(SLOWER, "slower.mid", melodies.studio._api._model, form)
    played = midi_file.parse(exchange.write("mid", [given.roll], form, given.tempo))
    assert played.in_seconds().length == pytest.approx(7, abs=0.02)


SCORE = """<score-partwise version="4.0"><part-list><score-part id="P1"><part-name>x</part-name>
</score-part></part-list><part id="P1"><measure number="1"><attributes><divisions>1</divisions>
</attributes><note><pitch><step>G</step><octave>4</octave></pitch><duration>2</duration></note>
</measure></part></score-partwise>"""


def test_a_score_becomes_a_piece(melodies):
    answer = upload(melodies, SCORE.encode(), "score.musicxml").get_json()
    assert answer["piece"] == {"frames": 8, "notes": [[0, 8, 72]]}, answer
    assert answer["message"] == "transposed to C major or A minor, by +5 semitones"


def test_the_first_of_some_tunes_becomes_a_piece(melodies):
    answer = upload(melodies, b"X:1\nL:1/4\nK:C\nC2|\n\nX:2\nK:C\nC|", "tunes.abc").get_json()
    assert answer["piece"] == {"frames": 8, "notes": [[0, 8, 60]]}, answer
    assert answer["message"] == "used the first of 2 tunes"


@pytest.mark.parametrize(
    ("body", "name", "words"),
    [
        (b"X:1", "bad.abc", "bad.abc is not an ABC file"),
        (b"MThd, not", "bad.mid", "bad.mid"),
        (b"", "empty.mid", "empty.mid"),
        (DUET, "duet.txt", "suffixes"),
        (DUET, "", "suffixes"),
        (DUET, "%ff%00/../../etc/passwd", "suffixes"),
        (b"<a>", "bad.xml", "bad.xml"),
        (b"PK\3\4", "bad.mxl", "bad.mxl"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(melodies, body, name, words):
    assert words in refused(upload(melodies, body, name), 400)


def test_too_large_a_file_is_refused(melodies):
    refused(upload(melodies, bytes((1 << 20) + 1), "large.mid"), 413)


def test_a_long_file_is_cut(melodies):
    notes = [[x, 2, 60 + x % 12] for x in range(0, 1024, 2)]
    piece = {"frames": 1024, "notes": notes}
    body = melodies.post("download", {"kind": "mid", "pieces": [piece, TUNE]}).data
    answer = upload(melodies, body, "long.mid").get_json()
    assert answer["piece"] == piece and "first 1024 of 1040 frames" in answer["message"]


def test_pieces_follow_each_other_at_a_tempo_with_an_instrument(melodies):
    fields = {"pieces": [TUNE, TUNE], "tempo": 60, "transpose": 5, "program": 40}
    response = melodies.post("download", {"kind": "mid", **fields})
    assert response.mimetype == "audio/midi"
    assert response.headers["Content-Disposition"] == "attachment; filename=vaeseq.mid"
    notes = midi_file.parse(response.data).in_seconds()
    assert notes.start.tolist() == pytest.approx([0, 1, 2, 4, 5, 6])
    assert notes.pitch.tolist() == [65, 69, 72] * 2 and set(notes.program.tolist()) == {40}
    sound = melodies.post("download", {"kind": "wav", **fields}).data
    with wave.open(io.BytesIO(sound)) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(8)
    assert melodies.post("download", {"kind": "png", **fields}).data[:4] == b"\x89PNG"


def test_what_leaves_the_keyboard_is_left_out(melodies):
    fields = {"pieces": [TUNE], "transpose": 48}
    notes = midi_file.parse(melodies.post("download", {"kind": "mid", **fields}).data).notes
    assert notes.pitch.tolist() == [108, 112, 115]
    high = {"frames": 4, "notes": [[0, 4, 108]]}
    fields |= {"pieces": [high, TUNE]}
    notes = midi_file.parse(melodies.post("download", {"kind": "mid", **fields}).data).notes
    assert notes.pitch.tolist() == [108, 112, 115]


def test_too_much_sound_is_refused(melodies):
    silence = {"frames": 1024, "notes": []}
    fields = {"kind": "wav", "pieces": [silence] * 128, "tempo": 10}
    assert "seconds" in refused(melodies.post("download", fields), 400)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("kind", "exe"), ("kind", []), ("tempo", 5), ("transpose", 49), ("program", 128)),
        *(("pieces", []), ("pieces", [TUNE] * 129), ("pieces", [{"frames": 0, "notes": []}])),
    ],
)
def test_wrong_fields_of_a_download(melodies, field, value):
    fields = {"kind": "mid", "pieces": [TUNE], field: value}
    assert field in refused(melodies.post("download", fields), 400)


def test_attributes_are_those_of_the_piece(melodies):
    measured = melodies.ask("attributes", piece=TUNE)["attributes"]
    assert measured["density"] == 3 and measured["range"] == 7 and measured["scale"] == 1
    assert measured["pitch"] == np.average([60, 64, 67], weights=[1, 1, 2])
    empty = melodies.ask("attributes", piece={"frames": 1, "notes": []})["attributes"]
    assert empty == {"density": 0} | dict.fromkeys(["range", "pitch", "scale", "syncopation"])
