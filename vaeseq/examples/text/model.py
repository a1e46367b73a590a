"""A character-level language model: it scores and generates text."""

import itertools
import math
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from vaeseq import ModelBase, codec
from vaeseq.examples.text.data import Ids, Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.model.base import State
from vaeseq.model.sampling import sample
from vaeseq.model.scoring import Score, WindowScorer, consecutive_windows
from vaeseq.training.progress import bar


class TextModel(ModelBase):
    """A model of texts. Observations are ids of a vocabulary's symbols, int32 [B, T]."""

    hparams: TextHParams

    def __init__(self, hparams: TextHParams, vocabulary: Vocabulary):
        self.vocabulary = vocabulary
        super().__init__(hparams, name="text_model")

    def make_encoder(self) -> keras.layers.Layer:
        """Returns an embedding of each character, followed by an MLP."""
        embed = keras.layers.Embedding(self.vocabulary.size, self.hparams.embed_size)
        return codec.MLPObsEncoder(self.hparams, first=embed)

    def make_decoder(self) -> codec.MLPObsDecoder:
        """Returns a categorical distribution over the symbols of the vocabulary."""
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(self.vocabulary.size))


def score_text(
    scorer: WindowScorer,
    ids: Ids,
    seed: int = 0,
    stream_characters: int = 4096,
    progress: bool = False,
) -> Score:
    """Scores every character of a text once.

    A long text is split into streams, which are scored side by side as the rows of a batch. Each
    stream starts from the state after the window before it; only what lies further back is lost.
    If one z describes a sequence, each window of `hparams.sequence_size` characters has its own.

    Args:
      scorer: scores with a `TextModel`.
      ids: the text, [N].
      seed: the random seed of the latents.
      stream_characters: the least length of a stream; a text below twice that is one stream.
      progress: whether to show a progress bar.

    Returns:
      The score of the whole text, in nats.
    """
    model, hparams = scorer.model, scorer.model.hparams
    width = hparams.sequence_size
    streams = max(1, min(hparams.batch_size, len(ids) // stream_characters))
    bounds = [len(ids) * stream // streams for stream in range(streams + 1)]
    spans = list(itertools.pairwise(bounds))
    longest = max(end - begin for begin, end in spans)
    shown = bar(
        consecutive_windows(ids, spans, width),
        total=math.ceil(longest / width),
        unit="char",
        unit_scale=streams * width,
        disable=not progress,
    )
    state = _states_before(scorer, ids, spans, seed) if streams > 1 else None
    if model.has_sequence_latent:
        return Score(*map(np.sum, scorer.score_apart(shown, state, seed)))
    return Score(*map(np.sum, scorer.score(shown, state, seed)[0]))


def _states_before(
    scorer: WindowScorer, ids: Ids, spans: list[tuple[int, int]], seed: int
) -> State:
    """Returns the state after the window before each span; the first starts anew.

    The noise differs from that of the spans.
    """
    width, particles = scorer.model.hparams.sequence_size, scorer.num_samples
    before = [(max(0, begin - width), begin) for begin, _ in spans]
    _, states = scorer.score(consecutive_windows(ids, before, width), seed=-1 - seed)
    initial = scorer.model.initial_state(particles)
    joined: State = tf.nest.map_structure(
        lambda first, others: tf.concat([first, others[particles:]], 0), initial, states
    )
    return joined


def sample_texts(
    model: TextModel,
    prime: str = "",
    num_samples: int = 1,
    length: int = 1000,
    temperature: float = 1.0,
    seed: int = 0,
    progress: bool = False,
) -> Iterator[str]:
    """Samples texts that continue `prime`, each with `length` more characters.

    Args:
      model: the model.
      prime: the text to continue; the samples do not include it.
      num_samples: the number of texts.
      length: the number of characters of each.
      temperature: samples from p^(1 / temperature).
      seed: the random seed; the same seed gives the same texts.
      progress: whether to show a progress bar.

    Yields:
      The texts.
    """
    if prime:
        state = model.prime(model.vocabulary.encode(prime)[None], num_samples, seed=seed)
    else:
        state = model.initial_state(num_samples)
    with bar(total=num_samples * length, unit="char", disable=not progress) as shown:
        ids = sample(model, state, num_samples, length, temperature, seed, shown.update)
    yield from map(model.vocabulary.decode, ids)
