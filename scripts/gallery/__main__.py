"""Makes docs/gallery.md again: runs its commands, and takes over what they print and write.

python -m scripts.gallery
python -m scripts.gallery runs/text    only the commands that contain a word

What a command prints replaces the block of text behind it. What the page shows from `docs/gallery`
comes from `runs/gallery`, and each piece of music gets its picture. A training run that exists
stays as it is; delete its directory to train anew.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from scripts.gallery.roll import picture

ROOT = Path(__file__).parent.parent.parent
_COMMANDS = re.compile(r"```sh\n(?P<sh>.*?)```\n(?P<shows>\n```text\n.*?```\n)?", re.DOTALL)
_MUSIC = re.compile(r"\]\(gallery/([^\s()]+\.svg)\)\]\(gallery/([^\s()]+)\)")
_WRITTEN = re.compile(r"\(gallery/([^\s()]+\.(?:mid|gif|png))\)")
_TRAIN = re.compile(r" train --log-dir (\S+)")
_PRIME = re.compile(r"--out-dir runs/gallery/(\S+)\s[^`]*?--prime-seconds (\S+)")


class Music(NamedTuple):
    """A piece of music on the page, and its picture; paths are in docs/gallery."""

    path: str
    picture: str
    given: float  # seconds that the model continued


def main() -> None:
    """Runs the commands of the page, then takes over text, music and pictures."""
    path = ROOT / "docs" / "gallery.md"
    page = run_commands(path.read_text("utf-8"), *sys.argv[1:])
    path.write_text(page, "utf-8")
    folder, made = path.with_suffix(""), ROOT / "runs" / "gallery"
    for name in filter(lambda name: (made / name).exists(), written(page)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made / name, folder / name)
    for item in filter(lambda item: (folder / item.path).exists(), music(page)):
        (folder / item.picture).write_text(picture(folder / item.path, item.given), "utf-8")


def run_commands(page: str, word: str = "") -> str:
    """Runs the commands of a page that contain a word; returns the page with what they print."""
    return _COMMANDS.sub(lambda found: _run(found) if word in found["sh"] else found[0], page)


def written(page: str) -> list[str]:
    """Returns the files that the page shows and its commands write."""
    return list(dict.fromkeys(_WRITTEN.findall(page)))


def music(page: str) -> list[Music]:
    """Returns the music of the page."""
    given = {folder: float(seconds) for folder, seconds in _PRIME.findall(page)}
    found = _MUSIC.findall(page)
    return [Music(path, svg, given.get(str(Path(path).parent), 0.0)) for svg, path in found]


def _run(found: re.Match[str]) -> str:
    run = _TRAIN.search(found["sh"])
    if run and (ROOT / run[1]).exists():
        return found[0]
    print(found["sh"], end="", flush=True)
    command = ["bash", "-ec", found["sh"]]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    shown = f"\n```text\n{done.stdout.strip()}\n```\n" if found["shows"] else ""
    return f"```sh\n{found['sh']}```\n{shown}"


if __name__ == "__main__":
    main()
