"""Train a model of text, generate from it, ask it how probable a text is."""

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command

_COMMANDS = "vaeseq.examples.text.program"


def main() -> None:
    """The console script."""
    run_command(parser())


def parser() -> arguments.Parser:
    """The program's command line."""
    program, commands = arguments.make_parser("vaeseq-text", __doc__)
    train = arguments.add_command(commands, _COMMANDS, "train", "train, or go on training")
    arguments.add_training(train, num_steps=3000)
    arguments.add_workers(train, main)
    train.add_argument(
        "--train-corpus", metavar="FILE", help="UTF-8 text; by default Shakespeare, if installed"
    )
    train.add_argument(
        "--valid-corpus", metavar="FILE", help="by default the last tenth of the training text"
    )
    train.add_argument(
        "--vocab-corpus",
        metavar="FILE",
        help="whose characters to know; by default the training text",
    )

    generate = arguments.add_command(commands, _COMMANDS, "generate", "write text")
    arguments.add_sampling(generate, length=1000, unit="characters")
    generate.add_argument("--prime", default="", metavar="TEXT", help="go on from this")
    arguments.add_interpolation(generate, "text")

    evaluate = arguments.add_command(commands, _COMMANDS, "evaluate", "score a text")
    arguments.add_evaluation(evaluate)
    evaluate.add_argument(
        "--eval-corpus", metavar="FILE", help="by default the run's validation text"
    )
    for command in (generate, evaluate):
        command.add_argument(
            "--vocab-corpus", metavar="FILE", help="not needed: the run has its vocabulary"
        )
    return program
