"""Reads one MIDI file in a process of its own, for `benchmarks.speed.midi_reading`.

    python -m benchmarks.speed.read_midi_file FILE

Prints, separated by tabs: processor seconds, the growth of peak memory in MB, and "read" or the
reason why the file is refused. It imports little, so that imports do not hide the memory.
"""

import argparse
import time

from vaeseq.examples.midi.music import midi_file, roll


def peak_megabytes():
    """Returns the largest memory of this process so far; Linux only."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def read(path):
    """Reads a file as a roll; returns seconds, MB and the result."""
    with open(path, "rb") as file:
        data = file.read()
    before, start = peak_megabytes(), time.process_time()
    try:
        roll.to_roll(midi_file.parse(data).in_seconds(), roll.RollFormat(rate=8.0))
        result = "read"
    except midi_file.Refused as error:
        result = str(error)
    return time.process_time() - start, peak_megabytes() - before, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    print(*read(parser.parse_args().file), sep="\t")


if __name__ == "__main__":
    main()
