"""Measures the peak memory of training on a small and on a large corpus.

python -m benchmarks.speed.memory
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.timing import print_table

PROGRAM = "import sys; from vaeseq.examples.text.app import main; sys.argv[0] = 'x'; main()"


def write_corpus(path, megabytes):
    """Writes random letters to a file."""
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz ,.\n", np.uint8)
    rng = np.random.default_rng(0)
    with open(path, "wb") as file:
        for _ in range(megabytes):
            rng.choice(letters, 10**6).tofile(file)


def peak_megabytes(corpus, log_dir, steps):
    """Runs `vaeseq-text train` in a process of its own; returns the peak of its memory."""
    command = [sys.executable, "-c", PROGRAM, "train", f"--num-steps={steps}"]
    command += [f"--train-corpus={corpus}", f"--log-dir={log_dir}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"training on {corpus} failed")
    return usage.ru_maxrss / 1024


def row(megabytes, steps):
    """Trains on a corpus of that size; returns the row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus.txt")
        write_corpus(corpus, megabytes)
        peak = peak_megabytes(corpus, Path(folder, "run"), steps)
    return [f"{megabytes} MB", f"{peak:.0f} MB"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[1, 1000], help="corpus sizes")
    parser.add_argument("--steps", type=int, default=100, help="training steps")
    args = parser.parse_args()
    rows = [row(megabytes, args.steps) for megabytes in args.megabytes]
    print_table(["corpus", "peak memory"], rows)


if __name__ == "__main__":
    main()
