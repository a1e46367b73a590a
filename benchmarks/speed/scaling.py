"""Measures a training step with several workers on one machine, and models more machines.

    python -m benchmarks.speed.scaling --figure docs/scaling.png

Measured: the workers share the cores of this machine and one global batch, so any time beyond that
of one worker is the cost of communication. Modelled: every worker has its own machine and batch; in
each step a ring all-reduce moves 2 (N - 1) / N of the gradient's bytes through every machine, in
2 (N - 1) messages.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

from benchmarks.timing import print_table
from vaeseq import workers
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel
from vaeseq.training.loop import batches_by_step

MODELS = {
    "1 x 256 (default)": "batch_size=48",
    "3 x 512 (2018)": "batch_size=48,rnn_hidden_sizes=[512,512,512],sequence_size=40",
}
MEASURED = (1, 2, 3)
MODELLED = (8, 16, 32, 64, 128, 256)
NETWORKS = {"1 Gb/s": 125e6, "10 Gb/s": 1.25e9, "100 Gb/s": 12.5e9}  # bytes per second
SECONDS_PER_MESSAGE = 50e-6  # between two machines of a data centre
WARM_UP, STEPS = 5, 25


class Clock(keras.callbacks.Callback):
    """Notes the time after each step."""

    def __init__(self):
        super().__init__()
        self.times = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())


def make_batches(hparams):
    """Returns a function from a step to a batch of random characters."""

    def batch(step):
        shape = [hparams.batch_size, hparams.sequence_size]
        return np.random.default_rng(step).integers(65, size=shape, dtype=np.int32)

    return batch


def time_steps(hparams, number):
    """Trains with several workers; the chief prints the parameters and the median step time."""
    hparams, clock = TextHParams().parse(hparams), Clock()
    with workers.launch(number, main) as strategy:
        with strategy.scope():
            model = TextModel(hparams, Vocabulary(map(chr, range(64))))
            model.compile()
        batches = batches_by_step(make_batches(hparams), 0, WARM_UP + STEPS, strategy)
        model.fit(batches, shuffle=False, verbose=0, callbacks=[clock])
        workers.broadcast_from_chief(strategy, 0)
    if workers.is_chief(strategy):
        seconds = statistics.median(np.diff(clock.times[WARM_UP:]))
        print(json.dumps([model.count_params(), float(seconds)]))


def measure(hparams, number):
    """Runs `time_steps` in a process of its own; returns the parameters and the seconds."""
    command = [sys.executable, "-m", "benchmarks.speed.scaling", "--measure", hparams, str(number)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def bytes_moved(parameters, number):
    """Returns the bytes that each worker sends, and receives, in a step."""
    return 2 * (number - 1) / number * 4 * parameters


def computing_share(parameters, seconds, number, speed):
    """Returns the modelled share of a step that is computing, not communication."""
    moving = bytes_moved(parameters, number) / speed + 2 * (number - 1) * SECONDS_PER_MESSAGE
    return seconds / (seconds + moving)


def measured_rows(results):
    """Returns the rows of the table of measured step times."""
    return [
        [
            name,
            f"{values[0][0] / 1e6:.2f} M",
            *(f"{1000 * seconds:.0f}" for _, seconds in values),
            *(f"{seconds / values[0][1]:.2f}" for _, seconds in values[1:]),
        ]
        for name, values in results.items()
    ]


def modelled_rows(results):
    """Returns the rows of the table of modelled shares."""
    rows = []
    for name, ((parameters, seconds), *_) in results.items():
        for number in MODELLED:
            shares = [computing_share(parameters, seconds, number, x) for x in NETWORKS.values()]
            moved = f"{bytes_moved(parameters, number) / 1e6:.1f}"
            rows.append([name, f"{number}", moved, *(f"{share:.0%}" for share in shares)])
    return rows


def plot_measured(axes, results):
    """Plots the measured step times over the number of workers."""
    for (name, values), marker in zip(results.items(), "os", strict=True):
        times = [1000 * seconds for _, seconds in values]
        axes.plot(MEASURED, times, f"{marker}-", label=name)
    axes.set(title="measured: one machine, one batch", xlabel="workers", ylabel="ms per step")
    axes.set(xticks=MEASURED, ylim=(0, None))
    axes.legend()


def plot_modelled(axes, results):
    """Plots the modelled shares of computing over the number of workers."""
    for (name, values), marker in zip(results.items(), "os", strict=True):
        for (network, speed), style in zip(NETWORKS.items(), (":", "--", "-"), strict=True):
            shares = [computing_share(*values[0], number, speed) for number in MODELLED]
            axes.plot(MODELLED, shares, marker + style, label=f"{name}, {network}")
    axes.set(title="modelled: one machine per worker", xlabel="workers", ylabel="computing share")
    axes.set_xscale("log", base=2)
    axes.set(xticks=MODELLED, xticklabels=MODELLED, ylim=(0, 1))
    axes.legend(fontsize="x-small")


def plot(results, path):
    """Plots both tables to a PNG file."""
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    measured, modelled = figure.subplots(1, 2)
    plot_measured(measured, results)
    plot_modelled(modelled, results)
    figure.savefig(path, dpi=100)


def print_tables(results):
    """Prints the table of measured step times and that of modelled shares."""
    ratios = [f"{number} : 1" for number in MEASURED[1:]]
    columns = [f"{number} worker{'s' * (number > 1)}, ms" for number in MEASURED]
    header = ["one machine, one batch", "parameters", *columns, *ratios]
    print_table(header, measured_rows(results))
    print()
    print_table(["modelled", "workers", "MB per step", *NETWORKS], modelled_rows(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="PNG file to write")
    parser.add_argument("--measure", nargs=2, metavar=("HPARAMS", "WORKERS"), help="internal")
    args = parser.parse_args()
    if args.measure:
        time_steps(args.measure[0], int(args.measure[1]))
        return
    results = {
        name: [measure(hparams, number) for number in MEASURED] for name, hparams in MODELS.items()
    }
    print_tables(results)
    if args.figure:
        plot(results, args.figure)


if __name__ == "__main__":
    from benchmarks.speed import scaling  # the workers import it by this name

    scaling.main()
