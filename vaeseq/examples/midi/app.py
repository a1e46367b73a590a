"""vaeseq-midi: not yet."""

import sys


def main() -> None:
    """The console script."""
    sys.exit("vaeseq-midi: not yet: this version brings vaeseq-text only")
