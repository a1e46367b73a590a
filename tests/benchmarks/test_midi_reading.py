"""What `benchmarks.speed.midi_reading` measures can be read."""

from benchmarks.speed import midi_reading, read_midi_file
from tests.examples.midi.test_midi_file import file, off, on

NOTE = file(on(0, 60) + off(960, 60))  # one second


def test_the_frames_of_all_files_are_counted():
    assert midi_reading.count_frames([NOTE, NOTE]) == 2 * midi_reading.FORM.rate


def test_a_file_is_read_or_refused_with_a_reason(tmp_path):
    path = tmp_path / "one.mid"
    path.write_bytes(NOTE)
    assert read_midi_file.read(path)[2] == "read"
    path.write_bytes(NOTE[:-3])
    seconds, megabytes, reason = read_midi_file.read(path)
    assert reason not in ("", "read") and seconds >= 0 and megabytes >= 0
