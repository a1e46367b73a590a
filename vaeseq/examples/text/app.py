"""Train a model of text, generate from it, ask it how probable a text is."""

from vaeseq import cli

_COMMANDS = "vaeseq.examples.text.commands"


def main() -> None:
    """The console script."""
    cli.main(parser())


def parser() -> cli.Parser:
    """The program's command line."""
    program, commands = cli.program("vaeseq-text", __doc__)
    train = cli.add_command(commands, _COMMANDS, "train", "train, or go on training")
    cli.add_training(train, num_steps=3000)
    cli.add_workers(train, main)
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

    generate = cli.add_command(commands, _COMMANDS, "generate", "write text")
    cli.add_sampling(generate, length=1000, unit="characters")
    generate.add_argument("--prime", default="", metavar="TEXT", help="go on from this")
    cli.add_interpolation(generate, "text")

    evaluate = cli.add_command(commands, _COMMANDS, "evaluate", "score a text")
    cli.add_evaluation(evaluate)
    evaluate.add_argument(
        "--eval-corpus", metavar="FILE", help="by default the run's validation text"
    )
    for command in (generate, evaluate):
        command.add_argument(
            "--vocab-corpus", metavar="FILE", help="not needed: the run has its vocabulary"
        )
    return program
