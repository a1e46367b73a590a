"""Kills and resumes runs of vaeseq-text at random moments, and compares them with a reference run.

    python -m benchmarks.kill_matrix --kills 100

The reference run is never killed. Equal means bitwise: weights, state of the optimizer and of the
metrics, best weights, metrics.jsonl (except the seconds) and samples.
"""

import argparse
import itertools
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
    training: bool  # the training had begun
    done: bool  # the last step was saved
    exit_code: int
    seconds: float  # from the signal to the end of the process

    @property
    def as_expected(self) -> bool:
        """Returns whether the exit code is right."""
        # Before the program sets its handlers, the system or Python ends it. After its last step,
        # signals do not change that it succeeds.
        before = () if self.training else (-self.signal, 1)
        after = (0,) if self.done else ()
        return self.exit_code in (EXIT_CODES[self.signal], *before, *after)


def start(corpus: Path, run: Path, steps: int) -> subprocess.Popen[str]:
    """Starts or resumes a training."""
    command = "import sys; from vaeseq.examples.text.app import main; sys.exit(main())"
    flags = f"train --log-dir {run} --train-corpus {corpus} --hparams {HPARAMS} --num-steps {steps}"
    return subprocess.Popen(
        [sys.executable, "-c", command, *flags.split()],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(corpus: Path, run: Path, steps: int) -> float:
    """Trains to the last step; returns the seconds it took."""
    began = time.perf_counter()
    process = start(corpus, run, steps)
    _, err = process.communicate()
    assert process.returncode == 0, err
    return time.perf_counter() - began


def kill_and_finish(
    corpus: Path,
    run: Path,
    steps: int,
    signals: Iterator[signal.Signals],
    rng: random.Random,
    max_seconds: float,
    max_kills: int,
) -> list[Kill]:
    """Trains to the last step, killing the process after random times; returns the kills."""
    kills: list[Kill] = []
    while len(kills) < max_kills:
        process = start(corpus, run, steps)
        try:
            _, err = process.communicate(timeout=rng.uniform(0, max_seconds))
            assert process.returncode == 0, err
            return kills
        except subprocess.TimeoutExpired:
            number, began = next(signals), time.perf_counter()
            done = (run / "checkpoints" / f"step-{steps:09}.safetensors").exists()
            process.send_signal(number)
            _, err = process.communicate()
            took = time.perf_counter() - began
            kills.append(Kill(number, "from step" in err, done, process.returncode, took))
    finish(corpus, run, steps)
    return kills


def state(run: Path) -> dict[str, object]:
    """Returns everything that must be equal in two runs."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "newest": arrays(max((run / "checkpoints").glob("step-*.safetensors"))),
        "best": arrays(run / "checkpoints" / "best.safetensors"),
        "final": arrays(run / "checkpoints" / "final.safetensors"),
        "metrics": [{**line, "seconds": 0} for line in lines],
        "samples": {path.name: path.read_text() for path in (run / "samples").iterdir()},
    }


def arrays(path: Path) -> dict[str, bytes]:
    """Returns the arrays of a checkpoint, without the time it took; none if there is no file."""
    loaded = safetensors.numpy.load_file(path) if path.exists() else {}
    loaded.pop("run/seconds", None)
    return {name: array.tobytes() for name, array in loaded.items()}


def matrix(
    kills: int, steps: int = 1200, seed: int = 0, folder: str | None = None
) -> tuple[list[Kill], list[bool]]:
    """Kills trainings `kills` times, each signal in turn.

    Returns:
      The kills, and for each run whether it equals the reference run.
    """
    rng, signals = random.Random(seed), itertools.cycle(EXIT_CODES)
    done: list[Kill] = []
    equal: list[bool] = []
    with tempfile.TemporaryDirectory(dir=folder) as name:
        corpus, reference = Path(name, "corpus.txt"), Path(name, "reference")
        corpus.write_text(VERSE * 100)
        seconds = finish(corpus, reference, steps)
        while len(done) < kills:
            run = Path(name, f"run{len(equal)}")
            left = kills - len(done)
            done += kill_and_finish(corpus, run, steps, signals, rng, seconds, left)
            own, expected = state(run), state(reference)
            unequal = [part for part in expected if own[part] != expected[part]]
            equal.append(not unequal)
            summary = f"{len(done)} kills, {sum(equal)}/{len(equal)} runs equal"
            print(summary, *unequal, file=sys.stderr, flush=True)
            if unequal:
                run.rename(Path(tempfile.mkdtemp(prefix="unequal-")) / "run")
    return done, equal


def main() -> None:
    """Prints a table of the kills by signal."""
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
    header = ["signal", "kills", "during training", "exit code right"]
    print_table([*header, "median s to exit", "longest"], rows)
    print(f"runs bitwise equal to the reference run: {sum(equal)} of {len(equal)}")


if __name__ == "__main__":
    main()
