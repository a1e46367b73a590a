"""What the three programs share: their arguments, their log, their exit codes."""

import argparse
import importlib
import re
from collections.abc import Callable
from typing import Any, NoReturn

from vaeseq.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with the nearest name of an unknown flag; exits with 2."""

    def __init__(self, **kwargs: Any):
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            # The command's own parser knows the flags that the user can have meant.
            known.parser.error(f"unknown argument {unknown[0]!r}{known.parser.nearest(unknown[0])}")
        return known

    def nearest(self, flag: str) -> str:
        """The hint to an unknown flag."""
        flags = [name for action in self._actions for name in action.option_strings]
        return did_you_mean(flag.partition("=")[0], [name for name in flags if name[:2] == "--"])

    def error(self, message: str) -> NoReturn:
        """One line on stderr, exit code 2."""
        choice = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if choice:
            known = re.findall(r"[\w-]+", choice[2])
            message = f"unknown command {choice[1]!r}{did_you_mean(choice[1], known)}"
        self.exit(2, f"{self.prog}: error: {message}\n")


def program(name: str, description: str) -> tuple[Parser, Any]:
    """The parser of a program, and where to add its commands."""
    parser = Parser(prog=name, description=description)
    return parser, parser.add_subparsers(title="commands", required=True, metavar="COMMAND")


def add_command(commands: Any, module: str, name: str, text: str) -> Parser:
    """A command with the flags that all have: the function of that name in a module.

    The module is imported only when the command runs.
    """

    def run(args: Any) -> None:
        getattr(importlib.import_module(module), name)(args)

    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--log-dir", required=True, metavar="DIR", help="the run: all that is kept of a training"
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_training(parser: Parser, num_steps: int) -> None:
    """The flags of every `train`."""
    parser.add_argument(
        "--num-steps",
        type=positive,
        default=num_steps,
        metavar="N",
        help="the step to train to (%(default)s)",
    )
    parser.add_argument(
        "--seed", type=natural, metavar="N", help="of everything random; the hparam of that name"
    )
    parser.add_argument(
        "--hparams", default="", metavar="NAME=VALUE,...", help="changes to the hyperparameters"
    )
    parser.add_argument(
        "--keep",
        type=positive,
        default=2,
        metavar="N",
        help="how many of the newest checkpoints are kept, beside the best (%(default)s)",
    )


def add_workers(parser: Parser, main: Callable[[], None]) -> None:
    """The flag of every `train` that several processes can share; `main` starts the others."""
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes that train together on this machine (%(default)s); for several machines "
        "set TF_CONFIG",
    )
    parser.set_defaults(main=main)


def add_sampling(
    parser: Parser, length: int, unit: str, kind: Callable[[str], Any] | None = None
) -> None:
    """The flags of every `generate`; lengths are whole numbers, or of another `kind`."""
    parser.add_argument(
        "--length",
        type=kind or positive,
        metavar="N",
        help=f"of a sample, in {unit} ({length}; with --interpolate that of training)",
    )
    parser.set_defaults(default_length=length)
    parser.add_argument(
        "--num-samples", type=positive, default=1, metavar="N", help="how many (%(default)s)"
    )
    parser.add_argument(
        "--temperature",
        type=above_zero,
        default=1.0,
        metavar="X",
        help="below 1 is safer, above 1 wilder (%(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        default=0,
        help="the same seed, the same samples (%(default)s)",
    )


def add_interpolation(parser: Parser, what: str) -> None:
    """The flags of every `generate` that can go from one sequence to another."""
    parser.add_argument(
        "--interpolate",
        nargs=2,
        metavar=("A", "B"),
        help=f"go from one {what} to another by z, all with the same noise; where z is one for all "
        "of it, at half the temperature",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        default=5,
        metavar="N",
        help="samples on the way of --interpolate, both ends among them (%(default)s)",
    )


def add_evaluation(parser: Parser) -> None:
    """The flags of every `evaluate`."""
    parser.add_argument(
        "--log-prob-samples",
        type=positive,
        metavar="N",
        help="samples of the importance-weighted bound; by default what the hyperparameters say",
    )
    parser.add_argument(
        "--seed", type=natural, metavar="N", default=0, help="of these samples (%(default)s)"
    )


def positive(text: str) -> int:
    """An int of at least 1."""
    return _number(int, text, lambda value: value >= 1, "a whole number of at least 1")


def natural(text: str) -> int:
    """An int of at least 0 that fits a seed."""
    return _number(int, text, lambda value: 0 <= value < 2**31, "a whole number from 0 to 2^31 - 1")


def above_zero(text: str) -> float:
    """A finite float above 0."""
    return _number(float, text, lambda value: 0 < value < float("inf"), "a number above 0")


def finite(text: str) -> float:
    """Any number."""
    return _number(float, text, lambda value: abs(value) < float("inf"), "a number")


def _number(kind: type, text: str, good: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not good(value):
        raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
    return value
