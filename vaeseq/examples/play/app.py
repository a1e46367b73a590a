"""vaeseq-play: not yet."""

import sys


def main() -> None:
    """The console script."""
    sys.exit("vaeseq-play: not yet: this version brings vaeseq-text only")
