"""Does a policy gradient alleviate posterior collapse? SEQVAE beside the usual remedies.

    python -m benchmarks.seqvae.collapse --suite captions --data DIR --out collapse.jsonl
    python -m benchmarks.seqvae.collapse --suite captions --table collapse.jsonl

Data in the folder --data: see `benchmarks.seqvae`.

Arms, each with --steps updates, without word dropout, and with the weights of the lowest validation
loss:

    RNN          without z, of the same size: what a collapsed model can be
    ELBO         the plain one
    free bits, BN-VAE, cyclical, aggressive     with a remedy: see "Cores" in the documents
    IWAE, FIVO   another bound, of 4 particles

and, from the weights of the ELBO after --steps minus --policy-steps updates, --policy-steps more at
their own learning rate, of which the last weights count:

    ELBO, further            the control: by the ELBO
    stepwise, prefix         with a policy gradient beside the ELBO
    prefix alone             as published: the policy gradient and the KL, without reconstruction

A remedy has several settings. All are trained with the first seed, and the others have the one with
the lowest NLL_valid there; --settings 1 trains the first one alone.

Columns: NLL_test and NLL_valid, nats per symbol, importance-weighted bounds of --particles samples
(exact for RNN); KL of a sequence, mutual information with it, units of z that are active, the share
of symbols that are reconstructed; and the processor's seconds in training.

Rows are appended to --out; a row that is there is not computed again. --table prints means and
standard deviations over seeds.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.seqvae.arms import make_hparams, pretrain, train_arm
from benchmarks.seqvae.data import SUITES, Suite
from benchmarks.seqvae.experiment import check_flags, read_begun, read_lines
from benchmarks.seqvae.measures import Row, measure_latents, nats_per_symbol
from benchmarks.seqvae.model import Tokens
from benchmarks.seqvae.tables import group_by_label, mean_and_deviation
from benchmarks.timing import print_table

_PLAIN = {
    "word_dropout": 0,
    "seqvae_batch_norm": 0,
    "free_bits": 0,
    "divergence_schedule": "constant",
}
_FURTHER = {  # the arms of `benchmarks.seqvae.arms` that continue from the ELBO
    "ELBO, further": "SEQVAE",
    "stepwise": "SEQVAE stepwise",
    "prefix": "SEQVAE prefix",
    "prefix alone": "SEQVAE prefix",
}
_ALONE = "policy_elbo=kl,policy_latents=prior,policy_log_prob=encoded,policy_baseline=none"
LABELS = (
    *("RNN", "ELBO", "free bits", "BN-VAE", "cyclical", "aggressive", "IWAE"),
    *_FURTHER,
    "FIVO",  # last, because it takes the longest
)
_VALID_ROWS, _TEST_ROWS = 500, 1000  # for the bounds
_DIGITS = {
    "NLL_valid": 3,
    "NLL_test": 3,
    "sequence_kl": 2,
    "mutual_information": 2,
    "active_units": 1,
    "reconstruction_accuracy": 3,
    "seconds": 0,
}


_FLAGS = ("length", "policy_steps", "hparams", "particles")  # on which all results depend


class Run(NamedTuple):
    """A training: what identifies a row."""

    suite: str
    label: str
    setting: str  # hyperparameters besides those of all arms
    seed: int
    steps: int


def settings_of(label: str, steps: int) -> list[str]:
    """Returns the settings of an arm with a number of steps, the first one by default."""
    if label == "free bits":
        return ["free_bits=5", "free_bits=2"]
    if label == "BN-VAE":
        return ["seqvae_batch_norm=0.8", "seqvae_batch_norm=0.5"]
    if label == "cyclical":  # a cycle has four halves
        schedule = "divergence_schedule=cyclical,divergence_strength_half="
        return [f"{schedule}{steps // 16}", f"{schedule}{steps // 8}"]
    if label == "aggressive":
        return [
            f"posterior_steps={steps // 4},posterior_updates=4",
            f"posterior_steps={steps // 2},posterior_updates=9",
        ]
    if label in ("IWAE", "FIVO"):
        return [f"objective={label.lower()},num_particles=4"]
    if label in ("stepwise", "prefix"):
        return ["policy_gradient_weight=1", "policy_gradient_weight=10"]
    if label == "prefix alone":
        return [_ALONE]
    return [""]


class Trainings:
    """Trains the arms of a suite.

    Args:
      args: the command line.
      suite: the data.
    """

    def __init__(self, args: argparse.Namespace, suite: Suite):
        self.args, self.suite = args, suite
        self._before: dict[int, tuple[list[np.ndarray], float]] = {}  # by seed

    def train(self, run: Run) -> tuple[Tokens, float]:
        """Returns the trained model of an arm, and the processor's seconds."""
        start = time.process_time()
        if run.label in _FURTHER:
            weights, seconds = self._pretrained(run.seed)
            start = time.process_time()
            args = self._args("", policy=run.setting)
            label = _FURTHER[run.label]
            model = train_arm(run.suite, label, args, self.suite, run.seed, weights)
            return model, seconds + time.process_time() - start
        core, args = "RNN" if run.label == "RNN" else "SEQVAE", self._args(run.setting)
        weights = self._best(core, args, run.seed)
        seconds = time.process_time() - start
        model = Tokens(make_hparams(run.suite, core, args.hparams, run.seed), self.suite.vocabulary)
        model.set_weights(weights)
        return model, seconds

    def _pretrained(self, seed: int) -> tuple[list[np.ndarray], float]:
        """Returns the weights from which the policy gradients and their control continue."""
        if seed not in self._before:
            start = time.process_time()
            args = self._args("", steps=self.args.steps - self.args.policy_steps)
            weights = self._best("SEQVAE", args, seed)
            self._before[seed] = weights, time.process_time() - start
        return self._before[seed]

    def _best(self, core: str, args: argparse.Namespace, seed: int) -> list[np.ndarray]:
        every = max(1, self.args.steps // 10)
        weights, _ = pretrain(args.suite, core, args, self.suite, seed, every, patience=args.steps)
        return weights

    def _args(self, setting: str, policy: str = "", steps: int | None = None) -> argparse.Namespace:
        """Returns a command line of `benchmarks.seqvae`."""
        changes = _PLAIN | _parsed(self.args.hparams) | _parsed(setting)
        return argparse.Namespace(
            suite=self.args.suite,
            hparams=",".join(f"{name}={value}" for name, value in changes.items()),
            policy=policy,
            steps=self.args.steps if steps is None else steps,
            policy_steps=self.args.policy_steps,
        )


def _parsed(text: str) -> dict[str, str]:
    """Returns the values of hyperparameters, none of which may be a tuple, by name."""
    return dict(item.split("=") for item in filter(None, text.split(",")))


def runs_of(args: argparse.Namespace, seed: int, lines: list[Row]) -> Iterator[Run]:
    """Yields the trainings of a seed, which for later seeds depend on the rows of the first."""
    for label in args.arms:
        settings = settings_of(label, args.steps)[: args.settings]
        if seed != args.first_seed:
            settings = [chosen(lines, label, settings)]
        for setting in settings:
            yield Run(args.suite, label, setting, seed, args.steps)


def chosen(lines: list[Row], label: str, settings: list[str]) -> str:
    """Returns the setting with the lowest NLL_valid of the first seed that has rows."""
    own = [line for line in lines if line["label"] == label and line["setting"] in settings]
    first = min((line["seed"] for line in own), default=0)
    of_first = [line for line in own if line["seed"] == first]
    return min(of_first, key=lambda x: x["NLL_valid"])["setting"] if of_first else settings[0]


def measure(model: Tokens, suite: Suite, particles: int) -> Row:
    """Returns the bounds, and how much the test sequences use z."""
    return {
        "NLL_valid": nats_per_symbol(model, suite.valid[:_VALID_ROWS], particles),
        "NLL_test": nats_per_symbol(model, suite.test[:_TEST_ROWS], particles),
        **(measure_latents(model, suite) or {}),
    }


def run_and_log(args: argparse.Namespace) -> list[Row]:
    """Trains what is missing in `args.out`, and appends a row for each training."""
    make, length = SUITES[args.suite]
    suite = make(args.data, args.length or length)
    trainings = Trainings(args, suite)
    flags = {name: getattr(args, name) for name in _FLAGS}
    lines = read_begun(args.out)
    check_flags(lines, flags)
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        for run in runs_of(args, seed, of_suite(lines, args)):
            if run in map(identity, lines):
                continue
            model, seconds = trainings.train(run)
            row = measure(model, suite, args.particles)
            found = {"flags": flags, "seconds": round(seconds, 1)}
            lines.append(run._asdict() | found | row)
            text = json.dumps(lines[-1])
            print(text, flush=True)
            if args.out:
                with args.out.open("a") as file:
                    file.write(text + "\n")
    return of_suite(lines, args)


def identity(line: Row) -> Run:
    """Returns what identifies a row."""
    return Run(*(line[name] for name in Run._fields))


def of_suite(lines: list[Row], args: argparse.Namespace) -> list[Row]:
    """Returns the rows of a suite and a number of steps."""
    return [line for line in lines if (line["suite"], line["steps"]) == (args.suite, args.steps)]


def print_tables(lines: list[Row]) -> None:
    """Prints the arms with the settings that validation chose, and all settings of first seeds."""
    best, others = [], []
    for label, own in group_by_label(lines).items():
        every = list(dict.fromkeys(line["setting"] for line in own))
        setting = chosen(own, label, every)
        best.append([label, [line for line in own if line["setting"] == setting]])
        if len(every) > 1:
            seed = min(line["seed"] for line in own)
            others += [[f"{label}: {x['setting']}", [x]] for x in own if x["seed"] == seed]
    order = sorted(best, key=lambda item: LABELS.index(item[0]))
    print_table(["arm", "seeds", *map(_heading, _DIGITS)], [_cells(*item) for item in order])
    if others:
        print()
        print_table(["setting", "seeds", *map(_heading, _DIGITS)], [_cells(*x) for x in others])


def _cells(label: str, own: list[Row]) -> list[str]:
    values = ([line.get(name) for line in own] for name in _DIGITS)
    pairs = zip(values, _DIGITS.values(), strict=True)
    return [label, str(len(own)), *(mean_and_deviation(x, digits) for x, digits in pairs)]


def _heading(name: str) -> str:
    return name if name.startswith("NLL") else name.replace("_", " ")


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--suite", required=True, choices=("captions", "melody"))
    add("--data", type=Path, default=Path(), help="folder with the data; see above")
    add("--seeds", type=int, default=3, help="number of random seeds")
    add("--first-seed", type=int, default=0)
    add("--arms", nargs="+", choices=LABELS, default=list(LABELS))
    add("--settings", type=int, help="the most settings of an arm; by default all")
    add("--length", type=int, help="steps in a sequence")
    add("--steps", type=int, default=1000, help="updates of each arm")
    add("--policy-steps", type=int, default=200, help="updates with a policy gradient")
    add("--particles", type=int, default=32, help="samples of the bound on the NLL")
    add("--hparams", default="", help="hyperparameters to change in all arms")
    add("--out", type=Path, help="JSON lines file to append the rows to")
    add("--table", type=Path, nargs="+", help="print the rows of such files and train nothing")
    return parser.parse_args()


def main() -> None:
    """Runs the command line."""
    args = parse_arguments()
    lines = of_suite(read_lines(args.table), args) if args.table else run_and_log(args)
    print_tables(lines)


if __name__ == "__main__":
    main()
