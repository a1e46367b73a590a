"""The tables and the figure of the SeqVAE suites, from the lines of `benchmarks.seqvae --out`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tensorflow_probability import distributions as tfd

from benchmarks.seqvae.measures import Row
from benchmarks.timing import print_table

_DIGITS = {  # after the decimal point, by column
    **{name: 3 for name in ("NLL_oracle", "NLL_test", "entropy", "BLEU", "self-BLEU")},
    "distinct": 0,
}


def print_tables(lines: list[Row]) -> None:
    """Prints means and standard deviations over seeds: samples, z, and gains over the control."""
    by_label = group_by_label(lines)
    print_samples(by_label)
    print_latents({label: own for label, own in by_label.items() if own[0]["z"]})
    print_gains(by_label)
    for line in lines:
        for text in line.get("interpolated", ()):
            print(f"\n{line['label']}, seed {line['seed']}: {text}")


def group_by_label(lines: list[Row]) -> dict[str, list[Row]]:
    """Returns the lines of each arm, in the order of their first line."""
    by_label: dict[str, list[Row]] = {}
    for line in lines:
        by_label.setdefault(line["label"], []).append(line)
    return by_label


def print_samples(by_label: dict[str, list[Row]]) -> None:
    """Prints the likelihoods and sample quality of each arm for each factor of the logits."""
    keys = [key for key in _DIGITS if any(key in own[0]["1.0"] for own in by_label.values())]
    rows = []
    for label, own in by_label.items():
        for factor in factors(own[0]):
            values = [line[factor] for line in own]
            cells = [mean_and_deviation([x.get(key) for x in values], _DIGITS[key]) for key in keys]
            rows.append([label, factor, str(len(own)), *cells])
    print_table(["model", "logits x", "seeds", *keys], rows)


def print_latents(by_label: dict[str, list[Row]]) -> None:
    """Prints how much each arm uses z."""
    if not by_label:
        return
    keys = next(iter(by_label.values()))[0]["z"]
    rows = [
        [label, *(mean_and_deviation([line["z"][key] for line in own], 2) for key in keys)]
        for label, own in by_label.items()
    ]
    print()
    print_table(["model", *(key.replace("_", " ") for key in keys)], rows)


def print_gains(by_label: dict[str, list[Row]]) -> None:
    """Prints how far the sweep of each arm lies below that of its control with the same seed."""
    rows = []
    for label, own in by_label.items():
        control = own[0].get("control")
        if control in by_label and control != label and len(sweep(own[0])) > 1:
            controls = {line["seed"]: sweep(line) for line in by_label[control]}
            gains = [gain(sweep(line), controls[line["seed"]]) for line in own]
            rows.append([label, control, mean_and_deviation(gains, 3)])
    if rows:
        print()
        print_table(["model", "control", "gain in NLL_oracle at equal NLL_test"], rows)


def factors(line: Row) -> list[str]:
    """Returns the keys of a line that are factors of the logits."""
    return [key for key in line if key.replace(".", "").isdigit()]


def sweep(line: Row) -> np.ndarray:
    """Returns NLL_test and NLL_oracle by rising NLL_test, [factors, 2]; empty without an oracle."""
    rows = [line[factor] for factor in sorted(factors(line), key=float)]
    points = np.array([(x["NLL_test"], x["NLL_oracle"]) for x in rows if "NLL_oracle" in x])
    return from_smallest_nll_test(points) if len(points) else points


def from_smallest_nll_test(points: np.ndarray) -> np.ndarray:
    """Returns a temperature curve [factors, 2] without softer logits, which make both NLL worse."""
    curve: np.ndarray = points[np.argmin(points[:, 0]) :]
    return curve


def gain(own: np.ndarray, control: np.ndarray) -> float:
    """Returns the mean distance of a sweep below its control, over their common NLL_test.

    NaN if there is none.
    """
    low, high = max(own[0, 0], control[0, 0]), min(own[-1, 0], control[-1, 0])
    at = np.linspace(low, high, 100) if low < high else np.nan
    return float(np.mean(np.interp(at, *control.T) - np.interp(at, *own.T)))


def plot_frontiers(lines: list[Row], path: Path) -> None:
    """Plots NLL_oracle over NLL_test of every arm, means over seeds, along the factors."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for label, own in group_by_label(lines).items():
        sweeps = [sweep(line) for line in own if len(sweep(line)) > 1]
        if sweeps:
            style = "o-" if label in ("MLE", "SEQVAE") else "x--"
            axes.plot(*np.mean(sweeps, axis=0).T, style, label=label)
    axes.set(xlabel="NLL_test, nats per symbol", ylabel="NLL_oracle, nats per symbol")
    axes.legend()
    figure.savefig(path, dpi=100)


def interval(values: Sequence[float]) -> str:
    """Returns the mean and its 95% confidence interval as text; without it for a single value."""
    mean = float(np.mean(values))
    if np.isnan(mean):
        return "no common NLL_test"
    if len(values) < 2:
        return f"{mean:+.3f}"
    t = tfd.StudentT(np.float64(len(values) - 1), np.float64(0), np.float64(1))
    half = float(t.quantile(np.float64(0.975))) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}]"


def mean_and_deviation(values: Sequence[float | None], digits: int) -> str:
    """Returns mean and standard deviation as text; "-" if a value is missing."""
    if None in values:
        return "-"
    text = f"{np.mean(values):.{digits}f}"
    return text + (f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")
