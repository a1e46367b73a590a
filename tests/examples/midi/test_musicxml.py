"""MusicXML: what is read of a score; invalid and hostile files are refused with a reason."""

import io
import zipfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from tests.examples.midi.conftest import save
from vaeseq.examples.midi.collect import find_files, parse_files, read_file
from vaeseq.examples.midi.music import musicxml
from vaeseq.examples.midi.music.midi_file import KeySignature, Refused, TimeSignature
from vaeseq.examples.midi.music.musicxml import parse_file

BEAT = 10080  # ticks


def note(step, beats, octave=4, inside="", before=""):
    return (
        f"<note>{before}<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        f"<duration>{round(12 * beats)}</duration>{inside}</note>"
    )


def tie(*kinds):
    return "".join(f'<tie type="{kind}"/>' for kind in kinds)


# A clarinet in B flat, in 3/4 with an upbeat; its tempo halves in the last measure. Then a piano on
# two staves, with a triplet and a chord, and a drum.
SCORE = f"""<?xml version="1.0"?>
<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN"
 "http://www.musicxml.org/dtds/partwise.dtd">
<score-partwise version="3.1"><part-list>
<score-part id="P1"><part-name>Clarinet</part-name>
<score-instrument id="I1"><instrument-name>Clarinet</instrument-name></score-instrument>
<midi-instrument id="I1"><midi-program>72</midi-program></midi-instrument></score-part>
<score-part id="P2"><part-name>Piano</part-name></score-part>
<score-part id="P3"><part-name>Drumset</part-name></score-part></part-list>
<part id="P1"><measure number="0" implicit="yes"><attributes><divisions>12</divisions>
<key><fifths>0</fifths><mode>minor</mode></key><time><beats>3</beats><beat-type>4</beat-type></time>
<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose></attributes>
<sound tempo="90"/>{note("D", 1)}</measure>
<measure number="1"><harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>
{note("E", 2)}{note("F", 1, inside=tie("start"))}
<barline location="right"><repeat direction="backward"/></barline></measure>
<measure number="2"><sound tempo="45"/>{note("F", 1, inside=tie("stop"))}
<note><grace/><pitch><step>A</step><octave>4</octave></pitch></note>{note("G", 2)}</measure></part>
<part id="P2"><measure number="0" implicit="yes"><attributes><divisions>12</divisions>
<key><fifths>-2</fifths><mode>minor</mode></key><time><beats>3</beats><beat-type>4</beat-type></time>
<staves>2</staves></attributes>
{note("C", 1 / 3)}{note("D", 1 / 3)}{note("E", 1 / 3)}</measure>
<measure number="1">{note("C", 3)}{note("E", 3, before="<chord/>")}
<backup><duration>36</duration></backup>{note("C", 3, 2, "<staff>2</staff>")}</measure>
</part><part id="P3"><measure number="0"><note><unpitched><display-step>C</display-step>
<display-octave>5</display-octave></unpitched><duration>12</duration></note></measure></part>
</score-partwise>"""


def archive(method=zipfile.ZIP_DEFLATED, **members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as writer:
        for name, content in members.items():
            name = {"container": "META-INF/container.xml"}.get(name, f"scores/{name}.xml")
            writer.writestr(name, content)
    return file.getvalue()


CONTAINER = (
    '<?xml version="1.0"?><container><rootfiles><rootfile full-path="scores/tune.xml"/>'
    "</rootfiles></container>"
)


@pytest.fixture
def parse(tmp_path):
    def write_and_parse(content, name="tune.musicxml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return parse_file(path)

    return write_and_parse


@pytest.fixture
def tune(parse):
    return parse(SCORE)


def test_notes_sound_as_written_for_their_instruments(tune):
    notes = tune.in_beats()
    clarinet = notes.select(notes.program == 71)
    # A whole tone lower than written; tied notes are one; no grace note, and no chord symbol.
    assert list(zip(*clarinet[:3], strict=True)) == [(0, 1, 60), (1, 3, 62), (3, 5, 63), (5, 7, 65)]
    piano = notes.select(notes.program == 0)
    assert list(piano.pitch) == [60, 62, 64, 36, 60, 64]
    np.testing.assert_allclose(piano.start, [0, 1 / 3, 2 / 3, 1, 1, 1], atol=1e-12)
    assert set(notes.velocity) == {64} and len(notes.start) == 10


def test_tempos_and_signatures_come_along(tune):
    assert tune.in_seconds().length == pytest.approx(4 * 60 / 90 + 3 * 60 / 45)
    assert tune.time_signatures == (  # the upbeat is a bar of its own
        *(TimeSignature(0, 1, 4), TimeSignature(BEAT, 3, 4)),
    )
    assert tune.key_signatures == (KeySignature(0, -2, True),)  # sounding


def test_repeats_are_not_expanded(tune):
    assert tune.in_beats().length == 7


def test_a_score_without_a_tempo_has_that_of_a_midi_file(parse):
    assert parse(SCORE.replace("<sound", "<other")).tempo == 120
    assert parse(SCORE.replace('tempo="45"', 'tempo="1e-9"')).tempo == pytest.approx(90)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (SCORE.replace('"1.0"?', '"1.0" encoding="UTF-16"?').encode("utf-16"), "tune.xml"),
        (archive(other="<a/>", tune=SCORE, container=CONTAINER), "tune.mxl"),
        (archive(tune=SCORE), "tune.mxl"),
        (archive(tune=SCORE), "tune.musicxml"),
        (SCORE, "tune.mxl"),
    ],
)
def test_encodings_and_compressed_files_give_the_same(content, name, parse, tune):
    again = parse(content, name)
    assert all(np.array_equal(x, y) for x, y in zip(again.notes, tune.notes, strict=True))


ENTITIES = '<!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;&x;">]><score-partwise>&y;'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not valid XML: no element found"),
        ("a text", "is not valid XML: syntax error"),
        (SCORE[:-30], "is not valid XML"),
        ("<project/>", "is not a MusicXML score: its root element is 'project'"),
        ("<score-timewise/>", "is a timewise score; save it as a partwise one"),
        (ENTITIES, "declares entities"),
        (ENTITIES.replace('"xxxxxxxx"', 'SYSTEM "file:///etc/passwd"'), "declares entities"),
        ('<!DOCTYPE a [<!ENTITY % p SYSTEM "a.dtd"> %p;]><score-partwise/>', "declares entities"),
        ('<?xml version="1.0" encoding="none"?><score-partwise/>', "is not valid XML"),
        ("<score-partwise>" + "<a>" * 200, "or 100 nested ones"),
        (SCORE.replace("<beats>3", "<beats>99999999"), "has beats = '99999999', above 255"),
        (SCORE.replace("<beats>3", "<beats>" + "3+" * 30 + "3"), "has beats = '3"),
        (SCORE.replace("<staves>2", "<staves>2000000000"), "has staves = "),
        (SCORE.replace("<octave>4", "<octave>99999999"), "has octave = "),
        (SCORE.replace("<duration>24", "<duration>1e300"), "has duration = '1e300'"),
        (SCORE.replace("<duration>24", "<duration>" + "9" * 5000), "has duration = '9999"),
        (SCORE.replace("<divisions>12", "<divisions>0"), "music21: ZeroDivisionError"),
        (SCORE.replace("<octave>4", "<octave>high"), "cannot be read by music21: "),
        (archive(tune=SCORE)[:300], "is not a valid compressed file"),
        (archive(), "is a compressed file without a score"),
        (archive(container=CONTAINER, other=SCORE), "is a compressed file without a score"),
        (archive(zipfile.ZIP_BZIP2, tune=SCORE), "by a method that MusicXML does not use"),
    ],
)
def test_invalid_and_hostile_files_are_refused_with_a_reason(content, reason, parse):
    with pytest.raises(Refused) as refused:
        parse(content)
    assert reason in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("_MAX_BYTES", 1000, "more than 1000 bytes"),
        ("_MAX_CONTAINER_BYTES", 10, "contains more than 10 bytes of XML"),
        ("_MAX_ELEMENTS", 20, "has more than 20 elements"),
        ("_MAX_NOTES", 10, "has more than 10 notes"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_limits_hold_before_music21_sees_a_file(
    limit, value, reason, compressed, parse, monkeypatch
):
    if limit == "_MAX_CONTAINER_BYTES" and not compressed:
        return
    monkeypatch.setattr(musicxml, limit, value)
    monkeypatch.setattr(musicxml, "_convert", None)
    with pytest.raises(Refused, match=reason):
        parse(archive(tune=SCORE, container=CONTAINER) if compressed else SCORE)


def test_a_zip_bomb_is_not_unpacked(parse, monkeypatch):
    monkeypatch.setattr(musicxml, "_MAX_BYTES", 1 << 20)
    bomb = archive(tune=b"<a>" + bytes(100 << 20))
    assert len(bomb) < 1 << 20
    with pytest.raises(Refused, match="contains more than 1048576 bytes"):
        parse(bomb)


def test_without_music21_a_score_is_refused_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "tune.xml").write_text(SCORE)
    save(tmp_path / "a.mid")
    monkeypatch.setattr(musicxml.importlib.util, "find_spec", lambda name: None)
    pieces, refused = parse_files(find_files([tmp_path], "-"), beats=True, drums=False)
    assert len(pieces) == 1
    (reason,) = refused.values()
    assert reason == "needs the package music21; pip install 'vaeseq[demo]'"


def test_scores_and_midi_files_of_a_folder_are_read_and_bad_ones_named(tmp_path):
    """Several scores are read in other processes."""
    save(tmp_path / "a.mid")
    (tmp_path / "b.musicxml").write_text(SCORE)
    (tmp_path / "c.MXL").write_bytes(archive(tune=SCORE.replace("<step>G", "<step>A")))
    (tmp_path / "d.xml").write_text("<project/>")
    (tmp_path / "e.xml").write_text(SCORE)  # a duplicate
    (tmp_path / "f.xml").symlink_to(tmp_path / "missing")
    paths = find_files([tmp_path], "-")
    assert [path.name for path in paths] == ["a.mid", "b.musicxml", "c.MXL", "d.xml", "e.xml"]
    pieces, refused = parse_files([*paths, tmp_path / "f.xml"], beats=True, drums=False)
    assert [piece.name.rpartition("/")[2] for piece in pieces] == ["a.mid", "b.musicxml", "c.MXL"]
    assert {name[-5:]: reason for name, reason in refused.items()} == {
        "d.xml": "is not a MusicXML score: its root element is 'project'",
        "f.xml": "cannot be read: No such file or directory",
    }
    assert pieces[1].tempo == pytest.approx(read_file(paths[1]).tempo)


def test_a_score_that_ends_its_process_does_not_end_the_others(tmp_path, monkeypatch):
    class Breaking(ProcessPoolExecutor):
        def map(self, function, paths, **kwargs):
            yield function(paths[0])
            raise BrokenProcessPool

    paths = [tmp_path / f"{name}.xml" for name in "abc"]
    for path, content in zip(paths, (SCORE, "<a>", SCORE), strict=True):
        path.write_text(content)
    monkeypatch.setattr(musicxml, "ProcessPoolExecutor", Breaking)
    first, bad, last = musicxml.parse_files(paths)
    assert isinstance(bad, Refused)
    assert np.array_equal(first.notes.pitch, last.notes.pitch)


def test_a_process_that_computes_too_long_is_ended(tmp_path):
    """Numbers of notes below the limit take music21 a minute."""
    path = tmp_path / "long.musicxml"
    notes = f"<measure>{note('C', 4)}</measure>" * 40_000
    path.write_text(SCORE.replace("</part>", f"{notes}</part>", 1))
    with pytest.raises(Refused, match="takes more than 1 seconds to read"):
        musicxml.parse_file_within(path, 1)


def test_a_process_of_its_own_reads_the_same(tmp_path, tune):
    path = tmp_path / "tune.musicxml"
    path.write_text(SCORE)
    assert np.array_equal(musicxml.parse_file_within(path, 60).notes.pitch, tune.notes.pitch)
    path.write_text("<a>")
    with pytest.raises(Refused, match="XML"):
        musicxml.parse_file_within(path, 60)
