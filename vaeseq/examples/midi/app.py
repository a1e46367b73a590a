"""Learn from MIDI files, write music to open, hear and see, ask how probable a piece is."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command

_COMMANDS = "vaeseq.examples.midi.program"


def main() -> None:
    """The console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """The program's command line."""
    program, commands = arguments.make_parser("vaeseq-midi", __doc__)
    train = arguments.add_command(commands, _COMMANDS, "train", "train, or go on training")
    arguments.add_training(train, num_steps=1500)
    arguments.add_workers(train, main)
    _add_files(
        train,
        "--train-files",
        "MIDI files, folders or globs; by default the chorales of Bach, if installed",
    )
    _add_files(train, "--valid-files", "by default a tenth of the training pieces, by chance")
    train.add_argument(
        "--frames-per-beat",
        type=arguments.above_zero,
        metavar="N",
        help="count frames by the files' beats and not by the second (the hparam `rate`); 4 for "
        "the embedded chorales and for melodies",
    )
    train.add_argument(
        "--instruments",
        choices=("merge", "apart"),
        help="one keyboard for all notes (merge, the default), or one for each family of "
        "instruments",
    )
    train.add_argument(
        "--encoding",
        choices=("roll", "melody"),
        help="what every key does (roll, the default), or the highest voice alone, one symbol a "
        "frame, with one latent variable for a melody",
    )
    train.add_argument("--drums", action="store_true", help="keep them, on a keyboard of their own")

    generate = arguments.add_command(commands, _COMMANDS, "generate", "write music")
    arguments.add_sampling(generate, length=30, unit="seconds", kind=arguments.above_zero)
    generate.add_argument("--out-dir", required=True, metavar="DIR", help="where to")
    generate.add_argument("--prime", metavar="FILE", help="go on from this piece")
    generate.add_argument(
        "--prime-seconds",
        type=arguments.above_zero,
        metavar="S",
        help="only from so much of it (all)",
    )
    arguments.add_interpolation(generate, "piece")

    evaluate = arguments.add_command(commands, _COMMANDS, "evaluate", "score pieces")
    arguments.add_evaluation(evaluate)
    _add_files(evaluate, "--eval-files", "by default the run's validation pieces")
    return program


def _add_files(parser: arguments.Parser, flag: str, text: str) -> None:
    parser.add_argument(flag, nargs="+", metavar="PATH", help=text)
