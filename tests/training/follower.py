"""The command of a worker that does nothing, for tests: it needs no TensorFlow."""

import os
import sys
import time
from pathlib import Path


def main():
    """Notes its id and its TF_CONFIG in a file; then ends, or waits to be killed."""
    folder, mode = sys.argv[1:]
    unfinished = Path(folder, "unfinished")
    unfinished.write_text(f"{os.getpid()}\n{os.environ['TF_CONFIG']}")
    unfinished.rename(Path(folder, "started"))
    while mode == "wait":
        time.sleep(1)
