"""python -m vaeseq --version: the versions that a bug report needs, in one line."""

import argparse
import os
import platform
from importlib import metadata

import vaeseq

_LIBRARIES = ("tensorflow", "keras", "tensorflow-probability", "numpy")


def versions() -> str:
    """Returns the versions of vaeseq, of what it rests on, and of the machine's system."""
    parts = [f"vaeseq {vaeseq.__version__}", f"Python {platform.python_version()}"]
    parts += [f"{name} {_version(name)}" for name in _LIBRARIES]
    return ", ".join([*parts, platform.platform(), f"{os.cpu_count()} CPUs"])


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python -m vaeseq",
        description="A library. Its programs are vaeseq-text, vaeseq-midi and vaeseq-play.",
    )
    parser.add_argument("--version", action="store_true", help="print versions, for a bug report")
    if parser.parse_args().version:
        print(versions())
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
