"""Opens files and addresses with the programs of the user's desktop."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def open_file(path: Path, seconds: float = 5.0) -> str | None:
    """Opens a file with the program that the desktop has for it.

    Args:
      path: the file.
      seconds: how long to wait for a sign of failure. The program may run for longer.

    Returns:
      None, or the reason why it cannot be opened.
    """
    return _open(str(path.resolve()), seconds)


def open_address(address: str, seconds: float = 5.0) -> str | None:
    """Opens an address in the browser, as `open_file` opens files."""
    return _open(address, seconds)


def _open(target: str, seconds: float) -> str | None:
    if sys.platform == "win32":
        try:
            os.startfile(target)
        except OSError as error:
            return str(error.strerror)
        return None
    opener = "open" if sys.platform == "darwin" else "xdg-open"
    # Without a display, xdg-open may start a browser for text, which takes over the terminal.
    if opener == "xdg-open" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        return "there is no display"
    command = shutil.which(opener)
    if command is None:
        return f"{opener} is not installed"
    try:
        process = subprocess.Popen(
            [command, target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it outlives this command and its terminal
        )
        code = process.wait(seconds)
    except OSError as error:
        return f"{opener} does not start: {error.strerror}"
    except subprocess.TimeoutExpired:
        return None
    return f"{opener} ended with exit code {code}" if code else None
