"""Kills runs of vaeseq-text at random moments, resumes them, and compares with one left alone.

    python -m benchmarks.kill_matrix --kills 100

Equal means bitwise: weights, state of the optimizer and of the metrics, best weights, metrics.jsonl
(but for the seconds), and samples.
"""

import argparse
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from benchmarks.timing import print_table

VERSE = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate: "
HPARAMS = "rnn_hidden_sizes=[32],embed_size=8,batch_size=8,sequence_size=20,dropout=0.2"
EXIT_CODES = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 143, signal.SIGINT: 130}


@dataclass
class Kill:
    """One kill of a process."""

    signal: signal.Signals
    training: bool  # rather than starting
    done: bool  # all steps were saved
    exit_code: int
    seconds: float  # from the signal to the end

    @property
    def as_expected(self):
        # Before the program has its handlers, signals kill by the means of the system or of Python;
        # where its work is done they do not change that it succeeds.
        before = () if self.training else (-self.signal, 1)
        after = (0,) if self.done else ()
        return self.exit_code in (EXIT_CODES[self.signal], *before, *after)


def start(corpus, run, steps):
    command = "import sys; from vaeseq.examples.text.app import main; sys.exit(main())"
    flags = f"train --log-dir {run} --train-corpus {corpus} --hparams {HPARAMS} --num-steps {steps}"
    return subprocess.Popen(
        [sys.executable, "-c", command, *flags.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(corpus, run, steps):
    """Trains to the end; returns the seconds it took."""
    began = time.perf_counter()
    process = start(corpus, run, steps)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return time.perf_counter() - began


def kill_and_finish(corpus, run, steps, rng, longest, most):
    """Kills at random moments, at most so often, until the training ends; returns the kills."""
    kills = []
    while len(kills) < most:
        process = start(corpus, run, steps)
        try:
            _, err = process.communicate(timeout=rng.uniform(0, longest))
            assert process.returncode == 0, err
            return kills
        except subprocess.TimeoutExpired:
            number, began = rng.choice(list(EXIT_CODES)), time.perf_counter()
            done = (run / "checkpoints" / f"step-{steps:09}.safetensors").exists()
            process.send_signal(number)
            _, err = process.communicate()
            took = time.perf_counter() - began
            kills.append(Kill(number, "from step" in err, done, process.returncode, took))
    finish(corpus, run, steps)
    return kills


def state(run):
    """All that two runs must have in common."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "newest": arrays(max((run / "checkpoints").glob("step-*.safetensors"))),
        "best": arrays(run / "checkpoints" / "best.safetensors"),
        "final": arrays(run / "checkpoints" / "final.safetensors"),
        "metrics": [{**line, "seconds": 0} for line in lines],
        "samples": {path.name: path.read_text() for path in (run / "samples").iterdir()},
    }


def arrays(path):
    loaded = safetensors.numpy.load_file(path) if path.exists() else {}
    loaded.pop("run/seconds", None)
    return {name: array.tobytes() for name, array in loaded.items()}


def matrix(kills, steps=1200, seed=0, folder=None):
    """Kills runs so often; returns the kills, and for each run whether it equals the whole."""
    rng = random.Random(seed)
    done: list[Kill] = []
    equal: list[bool] = []
    with tempfile.TemporaryDirectory(dir=folder) as folder:
        folder = Path(folder)
        corpus = folder / "corpus.txt"
        corpus.write_text(VERSE * 100)
        seconds = finish(corpus, folder / "whole", steps)
        while len(done) < kills:
            run = folder / f"run{len(equal)}"
            done += kill_and_finish(corpus, run, steps, rng, seconds, kills - len(done))
            own, whole = state(run), state(folder / "whole")
            unequal = [part for part in whole if own[part] != whole[part]]
            equal.append(not unequal)
            said = f"{len(done)} kills, {sum(equal)}/{len(equal)} runs equal"
            print(said, *unequal, file=sys.stderr, flush=True)
            if unequal:
                run.rename(Path(tempfile.mkdtemp(prefix="unequal-")) / "run")
    return done, equal


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    kills, equal = matrix(args.kills, seed=args.seed)
    rows = []
    for number in EXIT_CODES:
        own = [kill for kill in kills if kill.signal == number]
        seconds = [kill.seconds for kill in own if kill.training] or [np.nan]
        rows.append(
            [
                number.name,
                f"{len(own)}",
                f"{sum(kill.training for kill in own)}",
                f"{sum(kill.as_expected for kill in own)}",
                f"{statistics.median(seconds):.1f}",
                f"{max(seconds):.1f}",
            ]
        )
    header = ["signal", "kills", "of them in training", "exit code right"]
    print_table([*header, "median s to leave", "longest"], rows)
    print(f"runs that ended bitwise as the one left alone: {sum(equal)} of {len(equal)}")


if __name__ == "__main__":
    main()
