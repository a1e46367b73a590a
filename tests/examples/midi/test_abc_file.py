"""ABC: what is read of a tune; invalid and hostile files are refused with a reason."""

import re
import time

import numpy as np
import pytest

from vaeseq.examples.midi.collect import find_files, parse_files, read_file
from vaeseq.examples.midi.music import abc_file, tunes, upbeat
from vaeseq.examples.midi.music.midi_file import KeySignature, Refused, TimeSignature

HEADER = "X:1\nT:A tune\nM:4/4\nL:1/8\nK:{}\n"
NAMES = ["C", "^C", "D", "^D", "E", "F", "^F", "G", "^G", "A", "^A", "B"]


def parse(text):
    (tune,) = abc_file.parse(text.encode())
    if isinstance(tune.midi, Refused):
        raise tune.midi
    return tune


def play(music, key="C", header=HEADER):
    """Returns the notes of music as a text: names with octaves and lengths in eighths."""
    notes = parse(header.format(key) + music).midi.in_beats()
    return " ".join(
        f"{NAMES[pitch % 12]}{pitch // 12 - 1}:{2 * (end - start):g}"
        for start, end, pitch in zip(notes.start, notes.end, notes.pitch, strict=True)
    )


def lengths(music, header=HEADER):
    """Returns the lengths of the notes of music, in eighths."""
    notes = parse(header.format("C") + music).midi.in_beats()
    return pytest.approx(list(2 * (notes.end - notes.start)))


@pytest.mark.parametrize(
    ("music", "notes"),
    [
        ("C,, C, C c c' c'' C'", "C2:1 C3:1 C4:1 C5:1 C6:1 C7:1 C5:1"),
        ("C2 D/ E/2 F3/2 G3/ A// B1/4", "C4:2 D4:0.5 E4:0.5 F4:1.5 G4:1.5 A4:0.25 B4:0.25"),
        ("^C _D =E ^^F __G", "^C4:1 ^C4:1 E4:1 G4:1 F4:1"),
        ("{g}C {/fg}.D ~E uF vG TA !trill!B +fermata+c", "C4:1 D4:1 E4:1 F4:1 G4:1 A4:1 B4:1 C5:1"),
        ('"Am7"C "^slow"D (E F) (GA)', "C4:1 D4:1 E4:1 F4:1 G4:1 A4:1"),
        ("CD`E % F\nw:some lyr-ics\nN:a note: CDE\nF!\nG", "C4:1 D4:1 E4:1 F4:1 G4:1"),
        ("[CEG]2 [C2E2]c", "C4:2 E4:2 G4:2 C4:2 E4:2 C5:1"),
        ("e:|\nf|", "E5:1 E5:1 F5:1"),
    ],
)
def test_notes_and_lengths(music, notes):
    assert play(music) == notes


def test_rests_and_rests_of_whole_bars_take_time():
    notes = parse(HEADER.format("C") + "C z D x2 E|Z2|F z z").midi.in_beats()
    np.testing.assert_allclose(notes.start, [0, 1, 2.5, 11])
    assert notes.length == 12.5


@pytest.mark.parametrize(
    ("key", "scale"),
    [
        ("C", "C4 D4 E4 F4 G4 A4 B4"),
        ("D major", "^C4 D4 E4 ^F4 G4 A4 B4"),
        ("Bb", "C4 D4 ^D4 F4 G4 A4 ^A4"),
        ("F#m", "^C4 D4 E4 ^F4 ^G4 A4 B4"),
        *((f"E{mode}", "C4 D4 E4 ^F4 G4 A4 B4") for mode in ("m", "min", " Minor", "MINOR", "aeo")),
        ("A Dorian", "C4 D4 E4 ^F4 G4 A4 B4"),
        *((f"D{mode}", "C4 D4 E4 ^F4 G4 A4 B4") for mode in ("mix", " Mixolydian", "Mix")),
        ("C lydian", "C4 D4 E4 ^F4 G4 A4 B4"),
        ("Bphr", "C4 D4 E4 ^F4 G4 A4 B4"),
        ("F#loc", "C4 D4 E4 ^F4 G4 A4 B4"),
        ("none", "C4 D4 E4 F4 G4 A4 B4"),
        ("Hp", "^C4 D4 E4 ^F4 G4 A4 B4"),
        ("D Phr ^f", "C4 D4 ^D4 ^F4 G4 A4 ^A4"),
        ("D exp _b^f", "C4 D4 E4 ^F4 G4 A4 ^A4"),
        ("G clef=treble octave=-1", "C3 D3 E3 ^F3 G3 A3 B3"),
        ("C bass transpose=2", "D4 E4 ^F4 G4 A4 B4 ^C5"),
    ],
)
def test_keys_and_modes(key, scale):
    assert play("CDEFGAB", key).replace(":1", "") == scale


def test_accidentals_last_until_the_end_of_the_bar_in_all_octaves():
    assert play("^FFf (=FF)|F", "G") == "^F4:1 ^F4:1 ^F5:1 F4:1 F4:1 ^F4:1"
    octave = HEADER.replace("K:", "I:propagate-accidentals octave\nK:")
    assert play("^CCc", header=octave) == "^C4:1 ^C4:1 C5:1"
    alone = HEADER.replace("K:", "I:propagate-accidentals not\nK:")
    assert play("^CCc", header=alone) == "^C4:1 C4:1 C5:1"
    # What music21 makes otherwise: a natural after a broken rhythm.
    assert play("G>=c E>c|", "D") == "G4:1.5 C5:0.5 E4:1.5 C5:0.5"


def test_ties_join_notes_of_one_pitch_and_slurs_do_not():
    assert play("C2-|C2 D-E", "C") == "C4:4 D4:1 E4:1"
    assert play("^C2-|C2 C", "C") == "^C4:4 C4:1"
    assert play("[CE]-[CG] C", "C") == "C4:2 E4:1 G4:1 C4:1"
    assert play("[C-E][CE]", "C") == "C4:2 E4:1 E4:1"


def test_broken_rhythms():
    assert lengths("C>D E<F G>>A B>|c") == [1.5, 0.5, 0.5, 1.5, 1.75, 0.25, 1.5, 0.5]
    assert lengths("C2>D2 (E>)F G>{a}A B> c") == [3, 1, 1.5, 0.5, 1.5, 0.5, 1.5, 0.5]
    assert lengths("C>[DF]") == [1.5, 0.5, 0.5]
    assert lengths("z>C D") == [0.5, 1]


def test_tuplets():
    third = 2 / 3
    assert lengths("(3CDE F") == [third, third, third, 1]
    assert lengths("(3(CDE) ((3:2:2C2D F") == [third] * 3 + [2 * third, third, 1]
    assert lengths("(5CDEFG A") == [2 / 5] * 5 + [1]
    assert lengths("(2CD (4EFGA", HEADER.replace("4/4", "6/8")) == [1.5] * 2 + [0.75] * 4
    assert lengths("(5CDEFG A", HEADER.replace("4/4", "6/8")) == [3 / 5] * 5 + [1]
    assert lengths("(3{e}CD>E F") == [third, 1.5 * third, 0.5 * third, 1]


@pytest.mark.parametrize(
    ("music", "order"),
    [
        ("C|D:|E|F:|", "CDCDEFEF"),
        ("|:C|D:|:E|F:|", "CDCDEFEF"),
        ("|:C|D::E|F:|", "CDCDEFEF"),
        ("C|D:|\n|:E|F|]", "CDCDEF"),
        ("C|D||E|F:|", "CDEFEF"),
        ("C|:D:|E", "CDDE"),
        ("C D|1E:|2F||G", "CDECDFG"),
        ("|:C D|[1E:|[2F|]G", "CDECDFG"),
        ("|:C D|1E|F:|2G|A:|B", "CDEFCDGAB"),
        ("|:C D|1,3E:|2F:|B", "CDECDFCDEB"),
        ("|:C|1-2D:|3E||F", "CDCDCEF"),
        ("|:C|1D:|2E:|:F|1G:|2A|]", "CDCEFGFA"),
        ("|::C::|D", "CCCD"),
        ("C|1D|2E|]F", "CDCEF"),
        ("|:C[1D:|[2E||F", "CDCEF"),
        ("C D[|]:||:E[|]F:|", "CDCDEFEF"),
        ("|:C|D:||E", "CDCDE"),
    ],
)
def test_repeats_are_expanded_with_their_endings(music, order):
    assert "".join(re.findall("[A-G]", play(music))) == order


def test_fields_in_the_tune_change_meter_unit_key_and_tempo():
    tune = parse(
        HEADER.format("G").replace("K:", "Q:1/2=60\nK:")
        + "F8|[M:3/4][L:1/4]F3|\nK:Gm\nM:6/8\nQ:3/8=50\nB2 F|"
    )
    assert list(tune.midi.notes.pitch) == [66, 66, 70, 65]
    np.testing.assert_allclose(tune.midi.in_beats().end, [4, 7, 9, 10])
    beat = abc_file.TICKS
    assert tune.midi.time_signatures == (
        *(TimeSignature(0, 4, 4), TimeSignature(4 * beat, 3, 4), TimeSignature(7 * beat, 6, 8)),
    )
    assert tune.midi.key_signatures == (
        *(KeySignature(0, 1, False), KeySignature(7 * beat, -2, True)),
    )
    assert tune.midi.in_seconds().length == pytest.approx(7 * 0.5 + 3 * 60 / 75)


@pytest.mark.parametrize(
    ("field", "tempo"),
    [("1/4=90", 90), ('"Largo" 3/8=40', 60), ("200", 100), ("1/4 1/8=60", 90), ("fast", 120)],
)
def test_tempos(field, tempo):
    tune = parse(HEADER.format("C").replace("K:", f"Q:{field}\nK:") + "C8|")
    assert tune.midi.tempo == pytest.approx(tempo)


@pytest.mark.parametrize("header", ["Q:240\nL:1/16", "L:1/16\nQ:240"])
def test_a_tempo_in_units_of_length_may_precede_the_unit(header):
    tune = parse(f"X:1\nM:4/4\n{header}\nK:C\nC8|")
    assert tune.midi.tempo == pytest.approx(60)


@pytest.mark.parametrize(
    ("meter", "signature"),
    [("C", (4, 4)), ("C|", (2, 2)), ("2+3/8", (5, 8)), ("(2+2+3)/8", (7, 8)), ("none", None)],
)
def test_meters(meter, signature):
    tune = parse(f"X:1\nM:{meter}\nL:1/8\nK:C\nC16|")
    assert [(x.numerator, x.denominator) for x in tune.midi.time_signatures] == (
        [signature] if signature else []
    )


def test_the_unit_follows_the_meter_if_none_is_given():
    ends = [parse(f"X:1\nM:{x}\nK:C\nC|").midi.in_beats().end[0] for x in ("2/4", "3/4", "6/8")]
    assert ends == [0.25, 0.5, 0.5]


def test_an_upbeat_is_a_bar_of_its_own_and_can_be_left_out():
    tune = parse(HEADER.format("C") + "C-|C4 D4|E8|")
    assert tune.midi.time_signatures == (TimeSignature(0, 1, 8), TimeSignature(5040, 4, 4))
    notes = upbeat.skip(tune.midi)
    assert list(zip(*notes[:3], strict=True)) == [(0, 2, 60), (2, 4, 62), (4, 8, 64)]
    assert notes.length == 8
    whole = parse(HEADER.format("C") + "C4 D4|").midi
    assert upbeat.beats(whole) == 0 and len(upbeat.skip(whole).start) == 2


def test_voices_and_overlays_sound_together():
    voices = parse(HEADER.format("C") + "V:1\nC4 D4|E8\nV:2\nC,8|[V:1]F8|\n[V:2]D,8|")
    assert list(voices.midi.notes.pitch) == [48, 60, 62, 50, 64, 65]
    assert voices.midi.in_beats().length == 12
    overlay = parse(HEADER.format("C") + "C8&E4 F4|G")
    np.testing.assert_allclose(overlay.midi.in_beats().start, [0, 0, 2, 4])


BOOK = """% A book
This text is not music.

X:1
T:First
T:Another title
K:C
CDE

It was played by ABBA.

X: 2
T:Second
K:C
z4

X:3
K:G
F"""


def test_a_file_has_several_tunes_with_names(tmp_path):
    book = list(abc_file.parse(BOOK.encode()))
    assert [tune.name for tune in book] == ["1 First", "2 Second", "3"]
    path = tmp_path / "book.ABC"
    path.write_bytes(BOOK.replace("First", "Première").encode("latin-1"))
    (tmp_path / "bad.abc").write_text("no tune")
    pieces, refused = parse_files(find_files([tmp_path], "-"), beats=True, drums=False)
    assert [piece.name for piece in pieces] == [f"{path}: 1 Première", f"{path}: 3"]
    assert refused == {
        f"{path}: 2 Second": "has no notes",
        str(tmp_path / "bad.abc"): "is not an ABC file: it has no line with a key, such as K:G",
    }


def test_commands_that_take_one_piece_take_the_first_tune(tmp_path, caplog):
    path = tmp_path / "book.abc"
    path.write_text(BOOK)
    assert list(read_file(path).notes.pitch) == [60, 62, 64]
    assert abc_file.first_tune(BOOK.encode())[1] == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not an ABC file: it has no line with a key"),
        ("X:1\nT:no key\nCDE", "is not an ABC file: it has no line with a key"),
        ("\0X:1\nK:C\nC", "it has bytes that no text has"),
        ("X:1\nK:C\n", "has no notes"),
        ("X:1\nM:0/4\nK:C\nC", "has the invalid meter M:0/4"),
        ("X:1\nM:4/0\nK:C\nC", "has the invalid meter M:4/0"),
        ("X:1\nM:" + "1+" * 50 + "1/4\nK:C\nC", "has the invalid meter M:1+1"),
        ("X:1\nL:1/0\nK:C\nC", "has the invalid length L:1/0"),
        ("X:1\nL:long\nK:C\nC", "has the invalid length L:long"),
        ("X:1\nK:quick\nC", "has the invalid key K:quick"),
        (HEADER.format("C") + "C/0", "has a length divided by zero: C/0"),
        (HEADER.format("C") + "C" + "9" * 5000, "too many digits or slashes: C9999"),
        (HEADER.format("C") + "C" + "/" * 5000, "too many digits or slashes: C////"),
        (HEADER.format("C") + "C" + ">" * 5000 + "D", "has a rhythm broken 5000 times"),
        (HEADER.format("C") + "C" + " >" * 5000 + "D", "has a bar of more than"),
        (HEADER.format("C") + "c" + "'" * 5000, "outside the range of MIDI"),
        (HEADER.format("C") + "C" + "," * 9, "has the note C,,,,,,,,,, outside"),
        (HEADER.format("C") + "[" + "C" * 5000 + "]", "has a chord of more than 32 notes"),
        (HEADER.format("C") + "C9999 " * 50, "has a bar of more than 100000 beats"),
        (HEADER.format("C") + "Z9999999999" * 99 + "C", "is too long: a file may have"),
    ],
)
def test_invalid_and_hostile_tunes_are_refused_with_a_reason(text, reason, monkeypatch):
    monkeypatch.setattr(abc_file, "_MAX_NOTES", 20_000)
    with pytest.raises(Refused) as refused:
        parse(text)
    assert reason in str(refused.value) and "\n" not in str(refused.value)


def test_limits_hold_for_a_file_as_a_whole(monkeypatch):
    tune = HEADER.format("C") + "|:CDEF" + "::GABc" * 9 + ":|\n\n"
    monkeypatch.setattr(abc_file, "_MAX_NOTES", 500)
    kinds = [isinstance(tune.midi, Refused) for tune in abc_file.parse(tune.encode() * 6)]
    assert kinds == [False] * 3 + [True] * 3
    monkeypatch.setattr(abc_file, "_MAX_TUNES", 5)
    with pytest.raises(Refused, match="has 6 tunes, above the limit of 5"):
        abc_file.parse(tune.encode() * 6)
    monkeypatch.setattr(abc_file, "MAX_BYTES", 100)
    with pytest.raises(Refused, match="has more than 100 bytes"):
        abc_file.parse(tune.encode() * 2)


@pytest.mark.parametrize(
    "part",
    [
        *(
            "{",
            '"',
            "[",
            "(",
            "!",
            "+",
            ":",
            "|",
            "[K:",
            "[1",
            "|1 a:",
            "|:a:",
            "-",
            "&",
            "C-",
            "]",
        ),
        *(
            "[C",
            "[CE]-",
            ">",
            "(3",
            "a >",
            "V:",
            "\nV:1\n",
            "\nK:C x=",
            "%",
            "\\",
            "Z",
            "C&",
            "~ (",
        ),
    ],
)
def test_time_grows_with_the_size_of_a_file(part):
    def seconds(count):
        start = time.process_time()
        text = HEADER.format("C") + "C" + part * (count // len(part))
        list(abc_file.parse(text.encode()))
        return time.process_time() - start

    assert seconds(40_000) < 3  # in quadratic time it would be many more


def test_any_bytes_are_read_or_refused():
    rng = np.random.default_rng(0)
    letters = list("ABCabc|:[]()123/<>-^_=,'\"{}!zZ& \n%KMLVQ")
    for _ in range(300):
        music = "".join(rng.choice(letters, 60))
        for tune in abc_file.parse((HEADER.format("D") + music).encode()):
            if not isinstance(tune.midi, Refused):
                notes = tune.midi.notes
                assert np.all(notes.end > notes.start) and notes.end.max() <= notes.length + 1


def test_tunes_to_learn_from_are_in_duple_meter_and_their_bars_add_up():
    def fit(music, meter="4/4"):
        tune = parse(f"X:1\nM:{meter}\nL:1/8\nK:C\n{music}")
        return tunes.is_duple(tune), tunes.bars_add_up(tune)

    assert fit("C|C8|D7:|") == (True, True)
    assert fit("C|C8|D8:|") == (True, False)
    assert fit("C4|D4|", "2/4") == fit("C8|", "C|") == (True, True)
    assert fit("C6|", "6/8") == fit("C6|", "3/4") == (False, True)
    assert fit("C8|[M:3/4]C6|") == (False, False)
    assert fit("C3|C3|") == (True, False)  # no full bar


def test_books_of_music21_are_read():
    books = {path.name: path for path in tunes.find_books()}
    assert len(books) > 1000
    first, second, *others = abc_file.parse_file(books["0001-0050.abc"])
    assert first.name == "1 The Enchanted Valley" and len(others) == 48
    assert first.midi.in_beats().length == 48.25 and second.midi.in_beats().length == 48
    assert first.midi.key_signatures == (KeySignature(0, -2, True),)
    assert list(first.midi.notes.pitch[:8]) == [67, 69, 70, 72, 74, 76, 77, 79]
