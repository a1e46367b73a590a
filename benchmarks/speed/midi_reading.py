"""Measures how fast MIDI files are read as rolls, and what hostile files cost.

    python -m benchmarks.speed.midi_reading --data DIR

Yardstick: pretty_midi, reading the same files.
"""

import argparse
import io
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pretty_midi

from benchmarks.timing import medians, print_table
from tests.examples.midi.test_midi_file import HOSTILE, file
from vaeseq.examples.midi.music import midi_file, roll

FORM = roll.RollFormat(rate=8.0)
RUNS = 3  # of each hostile file; the table shows the run with the median time


def count_frames(contents):
    """Reads files with vaeseq; returns the number of frames in all rolls."""
    return sum(roll.to_roll(midi_file.parse(data).in_seconds(), FORM).shape[0] for data in contents)


def read_with_pretty_midi(contents):
    """Reads files as rolls with pretty_midi."""
    for data in contents:
        pretty_midi.PrettyMIDI(io.BytesIO(data)).get_piano_roll(FORM.rate)


def measure_real_files(folder, rounds):
    """Prints the table of the MIDI files in a folder."""
    contents = [path.read_bytes() for path in sorted(Path(folder).rglob("*.mid"))]
    seconds = count_frames(contents) / FORM.rate
    contenders = {
        "vaeseq, to a roll": lambda: count_frames(contents),
        "pretty_midi, get_piano_roll": lambda: read_with_pretty_midi(contents),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = medians(contenders, rounds)
    rows = [[name, f"{s:.2f}", f"{seconds / s:,.0f}"] for name, s in times.items()]
    print_table([f"{len(contents)} files, {seconds / 60:.0f} minutes", "s", "x real time"], rows)


def read_in_process(path):
    """Reads a file in a process of its own; returns its seconds, MB and result."""
    command = [sys.executable, "-m", "benchmarks.speed.read_midi_file", path]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, megabytes, result = output.strip().split("\t")
    return float(seconds), float(megabytes), result


def measure_hostile_files(path):
    """Prints the table of hostile files; each is written to `path`."""
    rows = []
    for name, body in HOSTILE.items():
        path.write_bytes(file(body(1 << 20)))
        seconds, megabytes, result = sorted(read_in_process(path) for _ in range(RUNS))[RUNS // 2]
        size = f"{path.stat().st_size / 1e6:.2f}"
        rows.append([name, size, f"{seconds:.2f}", f"{megabytes:.0f}", result])
    print_table(["a file full of", "MB", "s", "MB of memory", "result"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with MIDI files")
    parser.add_argument("--rounds", type=int, default=5, help="timed calls of each contender")
    args = parser.parse_args()
    measure_real_files(args.data, args.rounds)
    print()
    with tempfile.TemporaryDirectory() as folder:
        measure_hostile_files(Path(folder, "hostile.mid"))


if __name__ == "__main__":
    main()
