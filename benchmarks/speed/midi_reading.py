"""How quickly MIDI files are read as rolls, and what files that mean harm cost.

    python -m benchmarks.speed.midi_reading --data DIR

The yardstick is pretty_midi's reading of the same files.
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
CHILD = """
import sys, time
from vaeseq.examples.midi import roll, smf
data = open(sys.argv[1], "rb").read()
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
before = peak()
start = time.process_time()
try:
    roll.to_roll(midi_file.read(data).in_seconds(), roll.RollFormat(rate=8.0))
    result = "read"
except midi_file.Refused as error:
    result = str(error)
took = time.process_time() - start
print(took, peak() - before, result, sep="\\t")
"""


def read(contents):
    return sum(roll.to_roll(midi_file.read(data).in_seconds(), FORM).shape[0] for data in contents)


def read_by_pretty_midi(contents):
    for data in contents:
        pretty_midi.PrettyMIDI(io.BytesIO(data)).get_piano_roll(FORM.rate)


def real_files(folder, rounds):
    contents = [path.read_bytes() for path in sorted(Path(folder).rglob("*.mid"))]
    seconds = read(contents) / FORM.rate
    contenders = {
        "vaeseq, to a roll": lambda: read(contents),
        "pretty_midi, get_piano_roll": lambda: read_by_pretty_midi(contents),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        took = medians(contenders, rounds)
    rows = [[name, f"{s:.2f}", f"{seconds / s:,.0f}"] for name, s in took.items()]
    print_table([f"{len(contents)} files, {seconds / 60:.0f} minutes", "s", "x real time"], rows)


def hostile_files(path):
    rows = []
    for name, body in HOSTILE.items():
        path.write_bytes(file(body(1 << 20)))
        runs = [
            subprocess.run([sys.executable, "-c", CHILD, path], capture_output=True, text=True)
            for _ in range(3)
        ]
        lines = sorted((run.stdout.strip().split("\t") for run in runs), key=lambda x: float(x[0]))
        took, memory, result = lines[1]
        size = f"{path.stat().st_size / 1e6:.2f}"
        rows.append([name, size, f"{float(took):.2f}", f"{float(memory):.0f}", result])
    print_table(["a file full of", "MB", "s", "MB of memory more", "it is"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder of MIDI files")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    real_files(args.data, args.rounds)
    print()
    with tempfile.TemporaryDirectory() as folder:
        hostile_files(Path(folder, "hostile.mid"))


if __name__ == "__main__":
    main()
