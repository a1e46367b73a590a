"""The cost of a training step by the number of workers: measured here, and on paper beyond.

    python -m benchmarks.speed.scaling --figure docs/scaling.png

Here: processes on this machine share its cores and the same global batch, so that what a step takes
beyond that of one worker is the price of working together. On paper: every worker has a machine
and a batch of its own, and each step a ring moves 2 (N - 1) / N of the gradient's bytes through
every machine, in 2 (N - 1) messages.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from matplotlib.figure import Figure

from benchmarks.timing import print_table

MODELS = {
    "1 x 256, the default": "batch_size=48",
    "3 x 512, of 2018": "batch_size=48,rnn_hidden_sizes=[512,512,512],sequence_size=40",
}
MEASURED = (1, 2, 3)
ON_PAPER = (8, 16, 32, 64, 128, 256)
NETWORKS = {"1 Gb/s": 125e6, "10 Gb/s": 1.25e9, "100 Gb/s": 12.5e9}  # bytes a second
SECONDS_A_MESSAGE = 50e-6  # between two machines of a data centre
WARM_UP, STEPS = 5, 25


def measure(hparams, number):
    """Prints, in the chief, the parameters and the median seconds of a step."""
    import keras
    import numpy as np

    from vaeseq import workers
    from vaeseq.examples.text.data import Vocabulary
    from vaeseq.examples.text.hparams import TextHParams
    from vaeseq.examples.text.model import TextModel
    from vaeseq.training.loop import batches_by_step

    class Clock(keras.callbacks.Callback):
        times = []  # noqa: RUF012  (there is one)

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())

    hparams = TextHParams().parse(hparams)

    def batch(step):
        shape = [hparams.batch_size, hparams.sequence_size]
        return np.random.default_rng(step).integers(65, size=shape, dtype=np.int32)

    with workers.launch(number, main) as strategy:
        with strategy.scope():
            model = TextModel(hparams, Vocabulary(map(chr, range(64))))
            model.compile()
        batches = batches_by_step(batch, 0, WARM_UP + STEPS, strategy)
        model.fit(batches, shuffle=False, verbose=0, callbacks=[Clock()])
        workers.broadcast_from_chief(strategy, 0)
    if workers.is_chief(strategy):
        seconds = statistics.median(np.diff(Clock.times[WARM_UP:]))
        print(json.dumps([model.count_params(), float(seconds)]))


def measured(hparams, number):
    command = [sys.executable, "-m", "benchmarks.speed.scaling", "--measure", hparams, str(number)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def bytes_moved(parameters, workers):
    """Through each worker's network, a step, each way."""
    return 2 * (workers - 1) / workers * 4 * parameters


def share_of_computing(parameters, seconds, workers, speed):
    moving = bytes_moved(parameters, workers) / speed + 2 * (workers - 1) * SECONDS_A_MESSAGE
    return seconds / (seconds + moving)


def on_paper(results):
    rows = []
    for name, ((parameters, seconds), *_) in results.items():
        for number in ON_PAPER:
            shares = [share_of_computing(parameters, seconds, number, x) for x in NETWORKS.values()]
            moved = f"{bytes_moved(parameters, number) / 1e6:.1f}"
            rows.append([name, f"{number}", moved, *(f"{share:.0%}" for share in shares)])
    return rows


def draw(results, path):
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    here, paper = figure.subplots(1, 2)
    for (name, values), marker in zip(results.items(), "os", strict=True):
        times = [1000 * seconds for _, seconds in values]
        here.plot(MEASURED, times, f"{marker}-", label=name)
        for (network, speed), style in zip(NETWORKS.items(), (":", "--", "-"), strict=True):
            shares = [share_of_computing(*values[0], number, speed) for number in ON_PAPER]
            paper.plot(ON_PAPER, shares, marker + style, label=f"{name}, {network}")
    here.set(title="measured: one machine, the same batch", xlabel="workers", ylabel="ms a step")
    here.set(xticks=MEASURED, ylim=(0, None))
    paper.set(title="on paper: a machine each", xlabel="workers", ylabel="share of time computing")
    paper.set_xscale("log", base=2)
    paper.set(xticks=ON_PAPER, xticklabels=ON_PAPER, ylim=(0, 1))
    here.legend()
    paper.legend(fontsize="x-small")
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="where to draw it")
    parser.add_argument("--measure", nargs=2, metavar=("HPARAMS", "WORKERS"), help="for itself")
    args = parser.parse_args()
    if args.measure:
        measure(args.measure[0], int(args.measure[1]))
        return
    results = {
        name: [measured(hparams, number) for number in MEASURED] for name, hparams in MODELS.items()
    }
    rows = [
        [
            name,
            f"{values[0][0] / 1e6:.2f} M",
            *(f"{1000 * seconds:.0f}" for _, seconds in values),
            *(f"{seconds / values[0][1]:.2f}" for _, seconds in values[1:]),
        ]
        for name, values in results.items()
    ]
    ratios = [f"{number} : 1" for number in MEASURED[1:]]
    columns = [f"{number} worker{'s' * (number > 1)}, ms" for number in MEASURED]
    print_table(["one machine, the same batch", "parameters", *columns, *ratios], rows)
    print()
    print_table(["on paper", "workers", "MB a step", *NETWORKS], on_paper(results))
    if args.figure:
        draw(results, args.figure)


if __name__ == "__main__":
    from benchmarks.speed import scaling  # not __main__: the workers import it

    scaling.main()
