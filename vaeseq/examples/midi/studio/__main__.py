"""Runs the studio: python -m vaeseq.examples.midi.studio --log-dir DIR."""

from importlib import import_module

from vaeseq.cli import arguments
from vaeseq.cli.main import run_command

if __name__ == "__main__":
    program = arguments.Parser(prog="studio", description=__doc__)
    program.add_argument("--log-dir", required=True)
    program.add_argument("--port", type=int, default=8421)
    program.add_argument("--no-browser", action="store_true")
    program.set_defaults(parser=program)
    program.set_defaults(run=lambda args: import_module(f"{__package__}.serve").studio(args))
    run_command(program)
