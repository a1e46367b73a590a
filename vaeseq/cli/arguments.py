"""The command line that the programs share: a parser, and the flags of each command."""

import argparse
import importlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias, TypeVar

from vaeseq.errors import UsageError, did_you_mean
from vaeseq.hparams import HParams, table

Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """A parser that prints a mistake as one line, suggests the nearest name and exits with 2."""

    def __init__(self, **kwargs: Any):
        super().__init__(allow_abbrev=False, **kwargs)

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parses the arguments; exits with 2 if one of them is unknown."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            # Only the command's own parser knows which flag the user may have meant.
            hint = known.parser.suggest_flag(unknown[0])
            known.parser.error(f"unknown argument {unknown[0]!r}{hint}")
        return known

    def suggest_flag(self, flag: str) -> str:
        """Returns the hint to add to a message about an unknown flag."""
        flags = [name for action in self._actions for name in action.option_strings]
        return did_you_mean(flag.partition("=")[0], [name for name in flags if name[:2] == "--"])

    def exit_with(self, text: str) -> NoReturn:
        """Prints a text that the user asked for to stdout and exits with 0."""
        self._print_message(f"{text}\n", sys.stdout)
        self.exit()

    def error(self, message: str) -> NoReturn:
        """Prints one line to stderr and exits with 2."""
        if message.endswith(f"required: {_COMMAND}"):
            message = f"no command given; see {self.prog} --help"
        invalid = re.fullmatch(r"argument (.*): invalid choice: (.*) \(choose from (.*)\)", message)
        if invalid:
            argument, value, choices = invalid.groups()
            what = "command" if argument == _COMMAND else f"value of {argument}:"
            hint = did_you_mean(value.strip("'"), re.findall(r"[\w-]+", choices))
            message = f"unknown {what} {value}{hint}"
        self.exit(2, f"{self.prog}: error: {message}\n")


_COMMAND = "COMMAND"


def make_parser(name: str, description: str) -> tuple[Parser, Commands]:
    """Returns the parser of a program, and the group to which its commands are added."""
    parser = Parser(prog=name, description=description)
    return parser, parser.add_subparsers(title="commands", required=True, metavar=_COMMAND)


def add_command(commands: Commands, module: str, name: str, text: str) -> Parser:
    """Adds a command with the flags that all commands have.

    Args:
      commands: the group of commands, from `make_parser`.
      module: the module with a function `name(args)` that runs the command. It is imported only
        when the command runs, so `--help` does not need TensorFlow.
      name: the command's name.
      text: the command's help.

    Returns:
      The command's own parser.
    """

    def run(args: argparse.Namespace) -> None:
        getattr(importlib.import_module(module), name)(args)

    parser = commands.add_parser(name, help=text, description=_sentence(text))
    parser.add_argument(
        "--log-dir",
        type=not_empty,
        required=True,
        metavar="DIR",
        help="run directory: the weights, metrics and samples of a training run",
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def add_training(
    parser: Parser,
    num_steps: int | None,
    hparams: type[HParams],
    default_steps: str = "%(default)s",
) -> None:
    """Adds the flags of every `train` command.

    Args:
      parser: the command's parser.
      num_steps: the default of `--num-steps`; None if the program chooses it.
      hparams: the class of hyperparameters, which `--hparams help` describes.
      default_steps: the default of `--num-steps` in words.
    """

    def changes(text: str) -> str:
        if text.strip() == "help":
            parser.exit_with(table.as_text(hparams))
        return text

    parser.add_argument(
        "--num-steps",
        type=positive,
        default=num_steps,
        metavar="N",
        help=f"train until this step (default: {default_steps})",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="random seed of the whole run; same as --hparams seed=N",
    )
    parser.add_argument(
        "--hparams",
        type=changes,
        action=_Joined,
        default="",
        metavar="NAME=VALUE,...",
        help="hyperparameters to change, such as batch_size=64,learning_rate=1e-3; "
        "`--hparams help` lists all of them",
    )
    parser.add_argument(
        "--keep",
        type=positive,
        default=2,
        metavar="N",
        help="number of recent checkpoints to keep, besides the best one (default: %(default)s)",
    )


class _Joined(argparse.Action):
    """Joins the values of a flag that is given several times by commas."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, ",".join(filter(None, [before, values])))


def add_workers(parser: Parser, main: Callable[[], None]) -> None:
    """Adds `--workers` to a `train` command that several processes can share.

    Args:
      parser: the command's parser.
      main: the console script's function, which the other workers call.
    """
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="number of processes on this machine that train together (default: %(default)s); "
        "to use several machines, set TF_CONFIG",
    )
    parser.set_defaults(main=main)


def add_sampling(
    parser: Parser,
    length: int,
    unit: str,
    kind: Callable[[str], float] | None = None,
    default_of_others: str = "with --interpolate: the length of training sequences",
) -> None:
    """Adds the flags of every `generate` command.

    Args:
      parser: the command's parser.
      length: the default length of a sample.
      unit: the unit of lengths, for the help.
      kind: parses `--length`; by default, it must be a positive whole number.
      default_of_others: the default of samples that another flag asks for, for the help.
    """
    parser.add_argument(
        "--length",
        type=kind or positive,
        metavar="N",
        help=f"length of each sample in {unit} (default: {length}; {default_of_others})",
    )
    parser.set_defaults(default_length=length)
    parser.add_argument(
        "--num-samples",
        type=positive,
        metavar="N",
        help="number of samples (default: 1); --interpolate has --steps instead",
    )
    parser.add_argument(
        "--temperature",
        type=above_zero,
        default=1.0,
        metavar="X",
        help="below 1, samples are more predictable; above 1, more varied (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        default=0,
        help="random seed; the same seed gives the same samples (default: %(default)s)",
    )


def add_interpolation(parser: Parser, what: str) -> None:
    """Adds the flags of a `generate` command that can interpolate between two sequences.

    Args:
      parser: the command's parser.
      what: a word for a sequence, such as "text".
    """
    parser.add_argument(
        "--interpolate",
        nargs=2,
        metavar=("A", "B"),
        help=f"interpolate in latent space from {what} A to {what} B (halves the temperature if "
        f"one latent vector describes a whole {what})",
    )
    parser.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="number of samples of --interpolate, including both ends (default: 5)",
    )


def number_of_samples(args: argparse.Namespace) -> int:
    """Returns how many samples a `generate` command makes.

    Raises:
      UsageError: if `--steps` is given without `--interpolate`, or `--num-samples` with it.
    """
    if args.interpolate and args.num_samples:
        raise UsageError("--num-samples: cannot be combined with --interpolate; use --steps")
    if args.steps and not args.interpolate:
        raise UsageError("--steps: needs --interpolate; use --num-samples")
    if args.steps == 1:
        raise UsageError("--steps: 1 is out of range: at least 2, because both ends count")
    number: int = args.steps or args.num_samples or (5 if args.interpolate else 1)
    return number


def add_evaluation(parser: Parser) -> None:
    """Adds the flags of every `evaluate` command."""
    parser.add_argument(
        "--log-prob-samples",
        type=positive,
        metavar="N",
        help="number of samples in the importance-weighted bound "
        "(default: the hyperparameter log_prob_samples)",
    )
    parser.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        default=0,
        help="random seed of these samples (default: %(default)s)",
    )


def positive(text: str) -> int:
    """Parses a whole number of at least 1."""
    return _number(int, text, lambda value: value >= 1, "a whole number of at least 1")


def not_empty(text: str) -> str:
    """Refuses an empty text, as of a shell variable that is not set: it does not mean "none"."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def natural(text: str) -> int:
    """Parses a whole number from 0 to 2^31 - 1, the range of seeds."""
    return _number(int, text, lambda value: 0 <= value < 2**31, "a whole number from 0 to 2^31 - 1")


def above_zero(text: str) -> float:
    """Parses a finite number above 0."""
    return _number(float, text, lambda value: 0 < value < float("inf"), "a number above 0")


def not_negative(text: str) -> float:
    """Parses a finite number of at least 0."""
    return _number(float, text, lambda value: 0 <= value < float("inf"), "a number of at least 0")


def finite(text: str) -> float:
    """Parses a finite number."""
    return _number(float, text, lambda value: abs(value) < float("inf"), "a number")


def _number(
    parse: Callable[[str], Number], text: str, is_valid: Callable[[Number], bool], wanted: str
) -> Number:
    try:
        value = parse(text)
    except ValueError:
        value = None
    if value is None or not is_valid(value):
        raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
    return value
