"""The tables of the SeqVAE suites, of rows as `benchmarks.seqvae` makes them."""

import numpy as np
from matplotlib.figure import Figure

from benchmarks.timing import print_table

_DIGITS = {  # of the columns
    **{name: 3 for name in ("NLL_oracle", "NLL_test", "entropy", "BLEU", "self-BLEU")},
    "distinct": 0,
}


def print_tables(lines):
    """Means and deviations over seeds: of what is generated, of z, and of policy gradients."""
    by_label = {}
    for line in lines:
        by_label.setdefault(line["label"], []).append(line)
    print_qualities(by_label)
    print_use_of_z({label: own for label, own in by_label.items() if own[0]["z"]})
    print_gains(by_label)
    for line in lines:
        for text in line.get("interpolated", ()):
            print(f"\n{line['label']}, seed {line['seed']}: {text}")


def print_qualities(by_label):
    keys = [key for key in _DIGITS if any(key in own[0]["1.0"] for own in by_label.values())]
    rows = []
    for label, own in by_label.items():
        for factor in factors(own[0]):
            values = [line[factor] for line in own]
            cells = [spread([x.get(key) for x in values], _DIGITS[key]) for key in keys]
            rows.append([label, factor, str(len(own)), *cells])
    print_table(["model", "logits x", "seeds", *keys], rows)


def print_use_of_z(by_label):
    if not by_label:
        return
    keys = next(iter(by_label.values()))[0]["z"]
    rows = [
        [label, *(spread([line["z"][key] for line in own], 2) for key in keys)]
        for label, own in by_label.items()
    ]
    print()
    print_table(["model", *(key.replace("_", " ") for key in keys)], rows)


def print_gains(by_label):
    """How far the sweep over factors lies below the control's of the same seed."""
    rows = []
    for label, own in by_label.items():
        control = own[0].get("control")
        if control in by_label and control != label and len(sweep(own[0])) > 1:
            controls = {line["seed"]: sweep(line) for line in by_label[control]}
            gains = [gain(sweep(line), controls[line["seed"]]) for line in own]
            rows.append([label, control, spread(gains, 3)])
    if rows:
        print()
        print_table(["model", "control", "NLL_oracle below it, at equal NLL_test"], rows)


def factors(line):
    """The keys of a row that are factors of the logits."""
    return [key for key in line if key.replace(".", "").isdigit()]


def sweep(line):
    """NLL_test, rising, and NLL_oracle over the factors, [factors, 2]; empty without an oracle."""
    rows = [line[factor] for factor in factors(line)]
    return np.array(sorted((x["NLL_test"], x["NLL_oracle"]) for x in rows if "NLL_oracle" in x))


def gain(own, control):
    """The mean of a sweep's distance from the control's, over the NLL_test that both have."""
    at = np.linspace(max(own[0, 0], control[0, 0]), min(own[-1, 0], control[-1, 0]), 100)
    return np.mean(np.interp(at, *control.T) - np.interp(at, *own.T))


def draw_frontiers(lines, path):
    """NLL_oracle over NLL_test along the factors of every arm, means over seeds, as a picture."""
    by_label = {}
    for line in lines:
        if len(sweep(line)) > 1:
            by_label.setdefault(line["label"], []).append(sweep(line))
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for label, sweeps in by_label.items():
        style = "o-" if label in ("MLE", "SEQVAE") else "x--"
        axes.plot(*np.mean(sweeps, axis=0).T, style, label=label)
    axes.set(xlabel="NLL_test, nats per symbol", ylabel="NLL_oracle, nats per symbol")
    axes.legend()
    figure.savefig(path, dpi=100)


def spread(values, digits):
    """Mean and standard deviation, as text."""
    if None in values:
        return "-"
    text = f"{np.mean(values):.{digits}f}"
    return text + (f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else "")
