"""Judges a model by its samples: compares their statistics with those of pieces."""

from collections.abc import Iterator

import numpy as np

from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music import comparison, features
from vaeseq.examples.midi.music.comparison import Comparison
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.model.sampling import sample
from vaeseq.training import memory
from vaeseq.training.progress import bar

DEFAULT_SECONDS = 30.0
"""The length of a sample."""


def judge(
    model: MidiModel,
    form: RollFormat,
    train: Corpus,
    pieces: Corpus,
    num_samples: int,
    seconds: float = DEFAULT_SECONDS,
    temperature: float = 1.0,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Samples from a model, and compares the samples with pieces by each of the statistics.

    The pieces are cut to the length of the samples, because long pieces repeat themselves more
    often than short ones, and have a wider range. They are compared as the model's encoding shows
    them: with `decoder=melody`, only their highest voice.

    Args:
      model: the model.
      form: the format of all rolls.
      train: the pieces whose chords are not foreign.
      pieces: the pieces to compare with.
      num_samples: the number of samples.
      seconds: the length of each sample.
      temperature, seed: see `sample`.

    Returns:
      A comparison for each of `features.STATISTICS`.

    Raises:
      UsageError: if the samples do not fit into memory.
    """
    check_memory(form, num_samples, seconds)
    length = max(1, round(seconds * form.frames_per_second))
    known = features.vocabulary(_rolls(model, train, "learning chords"), form)
    with bar(total=num_samples * length, desc="sampling", unit="frame") as shown:
        state = model.initial_state(num_samples)
        observed = sample(model, state, num_samples, length, temperature, seed, shown.update)
    return comparison.compare(
        [features.count(roll, form, known) for roll in model.to_rolls(observed)],
        [features.count(roll[:length], form, known) for roll in _rolls(model, pieces, "counting")],
    )


def check_memory(form: RollFormat, num_samples: int, seconds: float) -> None:
    """Checks that samples fit into memory.

    Raises:
      UsageError: if they do not.
    """
    memory.require(
        num_samples * seconds * form.frames_per_second * form.num_keys,
        f"--samples: {num_samples} x {seconds:g} seconds of music",
        "use fewer, or a shorter --length",
    )


def _rolls(model: MidiModel, corpus: Corpus, what: str) -> Iterator[np.ndarray]:
    """Yields each piece as the model's encoding shows it."""
    for begin, end in bar(corpus.spans, what, unit="piece", leave=False):
        yield model.to_rolls(model.observe(corpus.frames[begin:end]))
