"""Judges trained models of vaeseq-midi by the music that they generate.

    python -m benchmarks.quality.samples --runs keys=DIR nade=DIR

DIR is the run directory of `vaeseq-midi train`. All runs must hold out the same pieces. Prints one
row for each statistic: its mean over the held-out pieces, the distance between random halves of
them, and for each run the mean over its samples, and their distance from the held-out pieces.
"""

import argparse
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.timing import print_table
from vaeseq.cli import arguments
from vaeseq.errors import UsageError
from vaeseq.examples.midi.judge import DEFAULT_SECONDS, judge
from vaeseq.examples.midi.music.features import STATISTICS
from vaeseq.examples.midi.program import MidiProgram, open_corpora


def named_run(text):
    """Parses NAME=DIR."""
    name, separator, path = text.partition("=")
    if not name or not separator or not path:
        raise argparse.ArgumentTypeError(f"must be NAME=DIR, not {text!r}")
    return name, path


def compare(path, args):
    """Returns the comparison of a run's samples with its held-out pieces, by statistic."""
    run, model = MidiProgram().trained(path)
    form, train, held_out = open_corpora(run)
    sampling = (args.samples, args.length, args.temperature, args.seed)
    return judge(model, form, train, held_out, *sampling)


def check_names(runs):
    """Checks that each run has its own name."""
    names = [name for name, _ in runs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--runs: {name} is given twice; give each run its own name")


def check_same_pieces(runs):
    """Checks that all runs hold out the same pieces."""
    (first, reference), *others = runs.items()
    for name, comparisons in others:
        for statistic, comparison in comparisons.items():
            expected = reference[statistic]
            if (comparison.pieces, comparison.yardstick) != (expected.pieces, expected.yardstick):
                raise UsageError(
                    f"--runs: {first} and {name} hold out other pieces, or encode them otherwise; "
                    "train them on the same files, with the same seed and the same --encoding"
                )


def rows(runs):
    """Yields the rows of the table."""
    for statistic, (unit, _) in STATISTICS.items():
        comparisons = [comparisons[statistic] for comparisons in runs.values()]
        _, mean, _, yardstick, _ = comparisons[0]
        cells = [number(mean), number(yardstick)]
        for comparison in comparisons:
            ratio = "" if comparison.ratio is None else f" ({comparison.ratio:.1f} x)"
            cells += [number(comparison.samples), number(comparison.distance) + ratio]
        yield [statistic, unit, *cells]


def number(value):
    return "-" if value is None else f"{value:.4f}" if abs(value) < 0.1 else f"{value:.2f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--runs", type=named_run, nargs="+", required=True, metavar="NAME=DIR", help="trained runs"
    )
    parser.add_argument(
        "--samples", type=arguments.positive, default=64, help="number of samples of each run"
    )
    parser.add_argument(
        "--length",
        type=arguments.above_zero,
        default=DEFAULT_SECONDS,
        help="length of each sample in seconds",
    )
    parser.add_argument("--temperature", type=arguments.above_zero, default=1.0)
    parser.add_argument(
        "--seed", type=arguments.natural, default=0, help="random seed of the samples"
    )
    args = parser.parse_args()
    try:
        check_names(args.runs)
        runs = {name: compare(path, args) for name, path in args.runs}
        check_same_pieces(runs)
    except UsageError as error:
        parser.error(str(error))
    columns = [text for name in runs for text in (f"{name}: mean", f"{name}: distance")]
    print_table(["statistic", "unit", "held-out: mean", "halves: distance", *columns], rows(runs))


if __name__ == "__main__":
    main()
