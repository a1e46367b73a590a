"""The SeqVAE suites: likelihood, policy gradients with a control, and the use of z.

    python -m benchmarks.seqvae --suite mixture --seeds 5

Data in the folder --data:

    oracle      seqgan_oracle.npz with the arrays embedding, Wi, Ui, bi, ..., bg, Wout and bout
    captions    captions/coco_train.txt and captions/coco_test.txt, one caption per line
    melody      melody/nottingham, a folder with MIDI files

own-oracle and mixture generate their own data.

For each seed, a model is trained by its ELBO until its validation loss stops improving. Each arm
continues from the best weights, with the same number of generator updates: the control by the ELBO
alone, the others with a policy gradient in addition. Nothing is selected on the test set.

Columns, in nats per symbol, for several factors of the logits (inverse temperatures):

    NLL_oracle   of generated sequences under the oracle; below its entropy they are too sharp
    NLL_test     of test sequences under the model; an importance-weighted upper bound for SEQVAE
    entropy      of the generator: the NLL of its own samples, by the same bound
    distinct     the number of different symbols in the samples
    BLEU         of samples against test sequences, and self-BLEU, if there is no oracle

For z: KL, mutual information with the test sequences, active units, reconstruction accuracy, the
accuracy of a linear probe for the component (mixture), and interpolations between two test
sequences. If there is an oracle, each policy gradient is compared with its control at equal
NLL_test, along the factors of the logits.

Rows are appended to --out as JSON lines during the experiment; --table prints them again. Needs
NLTK and scikit-learn.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.seqvae.arms import ARMS, CONTROLS, pretrain, train_arm
from benchmarks.seqvae.data import SUITES, Suite
from benchmarks.seqvae.measures import Row, measure_baselines, measure_model
from benchmarks.seqvae.tables import plot_frontiers, print_tables


class Result(NamedTuple):
    """A row with its origin."""

    label: str
    seed: int
    seconds: float  # of training
    row: Row

    def as_line(self) -> Row:
        """Returns the JSON object of --out."""
        seconds = round(self.seconds, 1)
        return {"label": self.label, "seed": self.seed, "seconds": seconds, **self.row}


def run_seed(args: argparse.Namespace, suite: Suite, seed: int) -> Iterator[Result]:
    """Pretrains the models that the arms need, each once; yields the result of each arm."""
    pretrained = {}
    for label in args.arms:
        model, _ = ARMS[label]
        if model not in pretrained:
            pretrained[model] = pretrain(args.suite, model, args, suite, seed)
        weights, pretraining_seconds = pretrained[model]
        start = time.perf_counter()
        trained = train_arm(args.suite, label, args, suite, seed, weights)
        seconds = pretraining_seconds + time.perf_counter() - start
        row = measure_model(trained, suite, seed, args.factors, args.particles)
        yield Result(label, seed, seconds, row | {"control": CONTROLS[model]})


def run_suite(args: argparse.Namespace) -> Iterator[Result]:
    """Yields the results of the baselines, then those of each arm for each seed."""
    make, length = SUITES[args.suite]
    suite = make(args.data, args.length or length)
    for label, row in measure_baselines(suite).items():
        yield Result(label, 0, 0.0, row)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        yield from run_seed(args, suite, seed)


def run_and_log(args: argparse.Namespace) -> list[Row]:
    """Runs the suite; prints each row and appends it to `args.out`."""
    lines = []
    for result in run_suite(args):
        lines.append(result.as_line())
        text = json.dumps(lines[-1])
        print(text, flush=True)
        if args.out:
            with args.out.open("a") as file:
                file.write(text + "\n")
    return lines


def read_lines(paths: list[Path]) -> list[Row]:
    """Returns the rows in files that --out wrote."""
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def read_begun(path: Path | None) -> list[Row]:
    """Returns the rows in the file of --out; none if it does not exist or is not given."""
    return read_lines([path]) if path and path.exists() else []


def check_flags(lines: list[Row], flags: Row) -> None:
    """Checks that a command goes on with the flags of the rows that are there.

    Raises:
      SystemExit: if it does not.
    """
    if any(line["flags"] != flags for line in lines):
        raise SystemExit("--out: has rows that were made with other flags; choose another file")


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--suite", required=True, choices=SUITES)
    add("--data", type=Path, default=Path(), help="folder with the data; see above")
    add("--seeds", type=int, default=5, help="number of random seeds")
    add("--first-seed", type=int, default=0)
    add("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    add("--length", type=int, help="steps in a sequence")
    add("--steps", type=int, default=20_000, help="most steps of pretraining")
    add("--policy-steps", type=int, default=200, help="generator updates after pretraining")
    add("--factors", type=float, nargs="+", default=[1.0, 1.27, 1.5, 1.82], help="of the logits")
    add("--particles", type=int, default=16, help="samples of the bound on the NLL")
    add("--hparams", default="", help="hyperparameters to change in all models")
    add("--policy", default="", help="hyperparameters to change in all arms")
    add("--out", type=Path, help="JSON lines file to append the rows to")
    add("--table", type=Path, nargs="+", help="print the rows of such files and train nothing")
    add("--picture", type=Path, help="with --table: plot NLL_oracle against NLL_test to a PNG file")
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_arguments()
    lines = read_lines(args.table) if args.table else run_and_log(args)
    print_tables(lines)
    if args.table and args.picture:
        plot_frontiers(lines, args.picture)
