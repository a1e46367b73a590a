"""SeqVAE and SeqGAN as they were published: the curve of each method over its training.

    python -m benchmarks.seqvae.published --experiment authors --out RUNS
    python -m benchmarks.seqvae.published --experiment seqgan --out RUNS --data DIR
    python -m benchmarks.seqvae.published --experiment mle --out RUNS --data DIR

authors   Gao, Cui, Ding 2021: an oracle with standard normal weights, 5000 symbols, sequences of 8,
          9,984 of them; VAE, SeqGAN, SeqVAE_1 (seqgan) and SeqVAE_2 (prefix)
seqgan    Yu et al. 2016: the oracle released with SeqGAN, sequences of 20
mle       the pretraining of SeqGAN alone, as published, and with one thing changed at a time

A run is a directory in --out. A command that is stopped resumes it, and a longer --rounds goes on
from it. A round is one update of the policy and what the discriminator learns after it. Reports are
made every 10 epochs of the pretraining, and every 5 rounds; in nats per symbol:

    NLL_oracle   of samples under the oracle; below its entropy they are too sharp
    NLL_test     of test sequences under the model, for latents the importance-weighted bound
    entropy      the NLL of the model's own samples
    frequency    the mean log-frequency, in the training set, of the symbols of samples

the shares of distinct sequences, 2-grams and 3-grams among those of the samples, the number of
distinct symbols, and the KL per sequence. Before the first update of a policy and after the last
step, the first two for several factors of the logits, too: the temperature curve; and for logits
to which b times the log-frequencies of the symbols have been added. Gains are the distance of
NLL_oracle at the end below the lowest at no higher NLL_test:

    temperature    of the temperature curve before the first update
    two numbers    of all temperatures and b of at most 1 before the first update
    the RNN        of the temperature curve of a regularised RNN: of the rows "MLE" in the file
                   --mle, which the --out of `benchmarks.seqvae` has written

"both with two numbers" gives the model at the end all temperatures and b as well: the mean distance
of its best pairs below those before the first update, over their common NLL_test, with b up to
--b-after and --b-before. The updates add to b, so equal limits favour the model after them.

--table prints what is in --out, with means and standard deviations over the runs and 95% confidence
intervals of the mean gains (t), and --picture plots it.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from matplotlib.figure import Figure

from benchmarks.seqvae.data import Suite, random_oracle, released_oracle, sample_suite
from benchmarks.seqvae.experiment import read_lines
from benchmarks.seqvae.measures import measure_samples, sharpened
from benchmarks.seqvae.model import TokenHParams, Tokens
from benchmarks.seqvae.tables import (
    factors,
    from_smallest_nll_test,
    gain,
    interval,
    mean_and_deviation,
)
from benchmarks.timing import print_table
from vaeseq.adversarial import schedule
from vaeseq.model.sampling import sample
from vaeseq.training.callbacks import Report
from vaeseq.training.loop import train
from vaeseq.training.run import Run

_SIZES = {"train": 9984, "valid": 250, "test": 2000}
_SAMPLES = 2000
_FACTORS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.1, 1.27, 1.5, 1.82)
_FAVOURED = tuple((f, b) for f in (0.6, 0.8, 1.0, 1.2) for b in (0.2, 0.4, 0.6, 1.0, 1.5, 2.0))
_LARGEST_B = 1.0  # of the control
_PAIRS = (*((factor, 0.0) for factor in _FACTORS), *_FAVOURED)
_ADJUSTED = ("NLL_oracle", "NLL_test", "frequency")
_SEQGAN_OF_8 = (
    "preset=seqgan_published,sequence_size=8,batch_size=32,embed_size=64,discriminator_updates=1,"
    "policy_gradient_weight=256,policy_elbo_steps=37440,policy_judge_steps=46800,"
    "discriminator_widths=[1,2,3,4,6,8],discriminator_filters=[100,200,100,200,200,100]"
)
_MLE = "preset=seqgan_published,policy_gradient=none,initial_deviation=0.1"
ARMS = {  # of each experiment: hyperparameters
    "authors": {
        "VAE": "preset=seqvae_published,policy_gradient=none",
        "SeqGAN": _SEQGAN_OF_8,
        "SeqVAE_1": "preset=seqvae_published,policy_gradient=seqgan",
        "SeqVAE_2": "preset=seqvae_published",
    },
    "seqgan": {"SeqGAN": "preset=seqgan_published,initial_deviation=0.1"},
    "mle": {
        "MLE": _MLE,
        "beta_2 0.99": f"{_MLE},adam_beta_2=0.99",
        "clip 1": f"{_MLE},clip_gradient_norm=1",
        "weights of Keras": _MLE.replace("0.1", "0"),
        "shuffled batches": f"{_MLE},batches=shuffled",
        "random batches": f"{_MLE},batches=random",
        "all four": "preset=seqgan_published,policy_gradient=none,adam_beta_2=0.99,"
        "clip_gradient_norm=1,batches=random",
    },
}


def make_suite(args: argparse.Namespace, steps: int) -> Suite:
    """Returns the data of the experiment."""
    if args.experiment == "authors":
        return sample_suite([random_oracle(5000, 1)], 5000, steps, _SIZES)
    return sample_suite([released_oracle(args.data / "seqgan_oracle.npz")], 5000, steps, _SIZES)


def batch_of(suite: Suite, hparams: TokenHParams, step: int) -> np.ndarray:
    """Returns the training batch of a step.

    In every epoch, the batches are the same (as SeqGAN's), shuffled, or random sequences.
    """
    rows, number = hparams.batch_size, len(suite.train)
    if hparams.batches == "random":
        chosen = np.random.default_rng((hparams.seed, step)).integers(number, size=rows)
        return suite.train[chosen]
    epoch, index = divmod(step, number // rows)
    if hparams.batches == "same":
        epoch = 0
    order = np.random.default_rng((hparams.seed, epoch)).permutation(number)
    return suite.train[order[index * rows : (index + 1) * rows]]


def draw(model: Tokens, suite: Suite) -> np.ndarray:
    """Returns samples of the model, [N, T]."""
    steps, seed = suite.test.shape[1], model.hparams.seed
    return sample(model, model.initial_state(_SAMPLES), _SAMPLES, steps, seed=seed)


def measure(model: Tokens, suite: Suite, particles: int) -> dict[str, float]:
    """Returns the columns of a report."""
    row = measure_samples(model, suite, model.hparams.seed, particles)
    drawn = draw(model, suite)
    row["frequency"] = log_frequencies(suite)[drawn].mean()
    row["sequences"] = len(np.unique(drawn, axis=0)) / len(drawn)
    for n in (2, 3):
        grams = np.lib.stride_tricks.sliding_window_view(drawn, n, axis=1).reshape(-1, n)
        row[f"grams_{n}"] = len(np.unique(grams, axis=0)) / len(grams)
    if model.core.latent_size:
        inference = model.infer(suite.test[:1000])[0]
        row["kl_sequence"] = float(np.sum(inference.kl, axis=1).mean())
    return {name.lower(): float(value) for name, value in row.items()}


def log_frequencies(suite: Suite) -> np.ndarray:
    """Returns the logarithms of the relative frequencies of all symbols in the training set."""
    counts = np.bincount(suite.train.ravel(), minlength=suite.vocabulary) + 0.5
    frequencies: np.ndarray = np.log(counts / counts.sum())
    return frequencies


def adjusted(model: Tokens, suite: Suite, particles: int) -> dict[str, float]:
    """Returns what several factors of the logits plus b log-frequencies make of the model."""
    found, frequencies = {}, log_frequencies(suite)
    for factor, b in _PAIRS:
        with sharpened(model, factor, b * frequencies):
            row = measure_samples(model, suite, model.hparams.seed, particles)
            row["frequency"] = frequencies[draw(model, suite)].mean()
        found |= {column(name, factor, b): float(row[name]) for name in _ADJUSTED}
    return found


def column(name: str, factor: float, b: float = 0.0) -> str:
    """Returns the name of a column for a factor of the logits and b times the log-frequencies."""
    favoured = f"_b{b:.2f}" if b else ""
    return f"{name}_x{factor:.2f}{favoured}".replace(".", "_").lower()


class CurveReport(Report):
    """Reports every 10 epochs of the pretraining, and every 5 rounds."""

    def __init__(self, run: Run, model: Tokens, suite: Suite, num_steps: int, particles: int):
        self.hparams, self.suite, self.particles = model.hparams, suite, particles
        self.policy = model
        super().__init__(run, num_steps, 1, self._measure, "-step", dict)

    def _is_regular(self, step: int) -> bool:
        at = self.place(step)
        if "epoch" in at:
            return at["epoch"] % 10 == 0
        return at["round"] % 5 == 0

    def place(self, step: int) -> dict[str, float]:
        """Returns the epoch of the pretraining, or the round: 0 before the first."""
        hparams = self.hparams
        if step < hparams.policy_elbo_steps or hparams.policy_gradient == "none":
            return {"epoch": step / (len(self.suite.train) // hparams.batch_size)}
        if step == hparams.policy_elbo_steps:
            return {"round": 0.0}
        rounds = (step - first_step(hparams)) / schedule.round_steps(hparams)
        return {"round": rounds if rounds > 0 else 0.5}  # not at the discriminator's pretraining

    def _measure(self) -> Mapping[str, float]:
        step = self.policy.trained_steps
        row = measure(self.policy, self.suite, self.particles) | self.place(step)
        if step in (self.hparams.policy_elbo_steps, self.num_steps):
            row |= adjusted(self.policy, self.suite, self.particles)
        return row


def first_step(hparams: TokenHParams) -> int:
    """Returns the step that is the first update of the policy."""
    return hparams.policy_elbo_steps + hparams.policy_judge_steps


def last_step(hparams: TokenHParams, suite: Suite, args: argparse.Namespace) -> int:
    """Returns the step after which a run ends."""
    if hparams.policy_gradient == "none":
        return args.epochs * (len(suite.train) // hparams.batch_size)
    return first_step(hparams) + args.rounds * schedule.round_steps(hparams)


def make_hparams(experiment: str, arm: str, args: argparse.Namespace, seed: int) -> TokenHParams:
    """Returns the hyperparameters of an arm."""
    base = TokenHParams(seed=seed, batches="same")
    return base.parse(ARMS[experiment][arm]).parse(args.hparams).replace(check_numerics=False)


def train_arm(args: argparse.Namespace, arm: str, suite: Suite, seed: int) -> None:
    """Trains an arm from where its run ended."""
    hparams = make_hparams(args.experiment, arm, args, seed)
    keras.utils.set_random_seed(seed)
    model = Tokens(hparams, suite.vocabulary)
    model.compile()
    name = f"{args.experiment}-{arm.replace(' ', '-')}-{seed}"
    path = args.out / name
    run = Run(path, {"program": "published", "hparams": dataclasses.asdict(hparams)})
    if not Run.exists(path):
        with run.beginning():
            pass
    report = CurveReport(run, model, suite, last_step(hparams, suite, args), args.particles)
    train(model, lambda step: batch_of(suite, hparams, step), report)


def read(out: Path, experiment: str) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Returns the reports of every run in a directory, by arm and seed."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for arm in ARMS[experiment]:
        paths = sorted(out.glob(f"{experiment}-{arm.replace(' ', '-')}-[0-9]*/metrics.jsonl"))
        runs = {
            path.parent.name.rpartition("-")[2]: list(map(json.loads, lines))
            for path in paths
            if (lines := path.read_text().splitlines())
        }
        found |= {arm: runs} if runs else {}
    return found


_NONE = np.zeros([0, 2])  # no curve
_COLUMNS = {
    "nll_oracle": 3,
    "nll_test": 3,
    "entropy": 3,
    "frequency": 2,
    "distinct": 0,
    "sequences": 3,
    "grams_2": 3,
    "grams_3": 3,
    "kl_sequence": 3,
    "reward": 3,
    "discriminator_loss": 3,
}


def print_tables(args: argparse.Namespace) -> None:
    """Prints start, best and end, the gains, the two numbers at start and end, and the curves."""
    names = [name.replace("nll", "NLL") for name in _COLUMNS]
    curves, rows, means, ends, gain_rows, numbers = [], [], [], [], [], []
    reference = regularised_curve(args.mle)
    for arm, runs in read(args.out, args.experiment).items():
        gains = []
        means += [[arm, *row] for row in _mean_rows(list(runs.values()))]
        for seed, lines in runs.items():
            start, end = start_of(lines), lines[-1]
            points = {"best": min(lines, key=lambda x: x["nll_oracle"]), "end": end}
            points = {"start": start} | points if start else points
            for point, line in points.items():
                rows.append([arm, seed, point, _place(line), *_cells(line)])
            curves += [[arm, seed, _place(line), *_cells(line)] for line in lines]
            if start:
                gains.append(gains_of(start, end, reference, args.b_after, args.b_before))
                gain_rows.append([arm, seed, *(interval([x]) for x in gains[-1])])
                for point in ("start", "end"):
                    cells = _adjusted_cells(points[point])
                    numbers += [[arm, seed, point, *row] for row in cells]
        if gains:
            ends.append([arm, str(len(gains)), *map(interval, np.transpose(gains))])
    print_table(["arm", "seed", "point", "at", *names], rows)
    print()
    print_table(["mean of", "at", "runs", *names], means)
    print()
    if ends:  # of arms with a policy gradient, which have a start
        over = ["over temperature", "over two numbers", "over the RNN", "both with two numbers"]
        print_table(["gain of", "runs", *over], ends)
        print()
        print_table(["gain of", "seed", *over], gain_rows)
        print()
        print_table(["arm", "seed", "point", "logits x", "b", *_ADJUSTED], numbers)
        print()
    print_table(["arm", "seed", "at", *names], curves)


def _mean_rows(runs: list[list[dict[str, float]]]) -> list[list[str]]:
    """Returns the means and standard deviations of the reports that all runs have."""
    by_place = [{_place(line): line for line in lines} for lines in runs]
    shared = [place for place in by_place[0] if all(place in lines for lines in by_place)]
    return [
        [
            place,
            str(len(runs)),
            *(
                mean_and_deviation([lines[place].get(name) for lines in by_place], digits)
                for name, digits in _COLUMNS.items()
            ),
        ]
        for place in shared
    ]


def start_of(lines: list[dict[str, float]]) -> dict[str, float] | None:
    """Returns the report before the first update of the policy; None if there is none."""
    return next((line for line in lines if line.get("round") == 0), None)


def gains_of(
    start: Mapping[str, float],
    end: Mapping[str, float],
    reference: np.ndarray,
    b_after: float = np.inf,
    b_before: float = np.inf,
) -> list[float]:
    """Returns the gains of a run over the controls, and that of its pairs over those before."""
    control = two_numbers(start, _LARGEST_B)
    at_end = [gain_at(end, curve) for curve in (temperature_curve(start), control, reference)]
    return [*at_end, gain(two_numbers(end, b_after), two_numbers(start, b_before))]


def gain_at(line: Mapping[str, float], curve: np.ndarray) -> float:
    """Returns how far NLL_oracle lies below a falling curve [N, 2] at no higher NLL_test.

    NaN if all of the curve has a higher one.
    """
    if not len(curve):
        return np.nan
    return float(np.interp(line["nll_test"], *curve.T, left=np.nan) - line["nll_oracle"])


def regularised_curve(path: Path | None) -> np.ndarray:
    """Returns the mean temperature curve of the rows "MLE" in a file of `benchmarks.seqvae`."""
    if path is None:
        return _NONE
    lines = [line for line in read_lines([path]) if line["label"] == "MLE"]
    rows = [[sweep_point(line[key]) for key in factors(line)] for line in lines]
    return from_smallest_nll_test(np.mean(rows, axis=0))


def sweep_point(row: Mapping[str, float]) -> tuple[float, float]:
    """Returns NLL_test and NLL_oracle of a row of `benchmarks.seqvae`."""
    return row["NLL_test"], row["NLL_oracle"]


def _place(line: Mapping[str, float]) -> str:
    """Returns where in its training a report was made."""
    return f"round {line['round']:g}" if "round" in line else f"epoch {line['epoch']:g}"


def _cells(line: Mapping[str, float]) -> list[str]:
    return [f"{line[name]:.{d}f}" if name in line else "-" for name, d in _COLUMNS.items()]


def _adjusted_cells(line: Mapping[str, float]) -> list[list[str]]:
    """Returns rows of factor, b and what they make of a model."""
    known = [pair for pair in _PAIRS if column("frequency", *pair) in line]
    return [
        [f"{f:g}", f"{b:g}", *(f"{line[column(name, f, b)]:.3f}" for name in _ADJUSTED)]
        for f, b in known
    ]


def plot(args: argparse.Namespace) -> None:
    """Plots NLL_oracle over NLL_test along training, and along the temperature at its start."""
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, (arm, runs) in enumerate(read(args.out, args.experiment).items()):
        color = f"C{number}"
        axes.plot([], [], ".-", color=color, label=arm)
        for lines in runs.values():
            before = [point_of(x) for x in lines if "epoch" in x or x["round"] == 0]
            after = [point_of(x) for x in lines if "round" in x]
            axes.plot(*np.transpose(before), "-", color=color, alpha=0.3, linewidth=1)
            if after:
                axes.plot(*np.transpose(after), ".-", color=color)
                axes.plot(*after[0], "o", color=color, markerfacecolor="white")
            if start := start_of(lines):
                axes.plot(*temperature_curve(start).T, ":", color=color, linewidth=1)
                axes.plot(*two_numbers(start, _LARGEST_B).T, "--", color=color, linewidth=1)
    if args.mle:
        axes.plot(*regularised_curve(args.mle).T, "k--", label="RNN with dropout, temperatures")
    axes.set(xlabel="NLL_test, nats per symbol", ylabel="NLL_oracle, nats per symbol")
    axes.set_title(
        "thin: pretraining; circle: its end; dots: every fifth update of the policy gradient\n"
        "dotted: the circle at other temperatures; dashed: with frequent symbols favoured, too",
        fontsize=9,
    )
    axes.legend()
    figure.savefig(args.picture, dpi=100)


def point_of(line: Mapping[str, float]) -> tuple[float, float]:
    """Returns NLL_test and NLL_oracle of a report."""
    return line["nll_test"], line["nll_oracle"]


def temperature_curve(line: Mapping[str, float]) -> np.ndarray:
    """Returns NLL_test and NLL_oracle of a report for rising factors, from the smallest NLL_test.

    Shape [factors, 2].
    """
    points = {f: adjusted_point(line, f) for f in _FACTORS if column("NLL_test", f) in line}
    points[1.0] = point_of(line)
    return from_smallest_nll_test(np.array([points[factor] for factor in sorted(points)]))


def two_numbers(line: Mapping[str, float], largest_b: float = np.inf) -> np.ndarray:
    """Returns the points that no other temperature and b of a report beats on both axes, [N, 2]."""
    pairs = [(f, b) for f, b in _FAVOURED if b <= largest_b and column("NLL_test", f, b) in line]
    own = [adjusted_point(line, f, b) for f, b in pairs]
    points = np.array(sorted([*map(tuple, temperature_curve(line)), *own]))
    best_before = np.minimum.accumulate(np.append(np.inf, points[:-1, 1]))
    return points[points[:, 1] < best_before]


def adjusted_point(line: Mapping[str, float], factor: float, b: float = 0) -> tuple[float, float]:
    """Returns NLL_test and NLL_oracle of a report with other logits."""
    return line[column("NLL_test", factor, b)], line[column("NLL_oracle", factor, b)]


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--experiment", required=True, choices=ARMS)
    add("--out", type=Path, required=True, help="directory of the runs")
    add("--data", type=Path, default=Path(), help="folder with seqgan_oracle.npz")
    add("--arms", nargs="+", help="default: all of the experiment")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--rounds", type=int, default=200, help="updates of the policy")
    add("--epochs", type=int, default=120, help="of arms without a policy gradient")
    add("--particles", type=int, default=4, help="samples of the bound on the NLL")
    add("--hparams", default="", help="hyperparameters to change in all arms")
    add("--mle", type=Path, help="rows of a regularised MLE by benchmarks.seqvae --out")
    add("--b-after", type=float, default=np.inf, help="largest b after the updates; see above")
    add("--b-before", type=float, default=np.inf, help="largest b before the updates")
    add("--table", action="store_true", help="print what is in --out, and train nothing")
    add("--picture", type=Path, help="plot what is in --out to a PNG file, and train nothing")
    args = parser.parse_args()
    unknown = set(args.arms or ()) - ARMS[args.experiment].keys()
    if unknown:
        parser.error(f"--arms: {sorted(unknown)} not among {list(ARMS[args.experiment])}")
    if not args.table and not args.picture:
        arms = args.arms or list(ARMS[args.experiment])
        steps = make_hparams(args.experiment, arms[0], args, 0).sequence_size
        suite = make_suite(args, steps)
        for seed in args.seeds:
            for arm in arms:
                train_arm(args, arm, suite, seed)
    if args.table or not args.picture:
        print_tables(args)
    if args.picture:
        plot(args)


if __name__ == "__main__":
    main()
