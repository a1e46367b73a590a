"""Models of piano rolls, frame by frame."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vaeseq import Context, DistModule, ModelBase, codec, context
from vaeseq.examples.midi import past
from vaeseq.examples.midi.corpus import Corpus
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.intervals import IntervalDecoder
from vaeseq.examples.midi.music import melody
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.model.scoring import Score, WindowScorer, consecutive_windows, separate_windows
from vaeseq.nn.mlp import MLP
from vaeseq.training.progress import bar

Observed = np.ndarray | tuple[np.ndarray, np.ndarray]
"""Observations of a `MidiModel`."""


class MidiModel(ModelBase):
    """A model of piano rolls (see `music.roll`).

    The observations depend on `hparams.decoder`:

    * "keys", "nade": the rolls themselves, uint8 [B, T, keys]. With "keys", the keys of a frame are
      independent; with "nade", each depends on those below it.
    * "melody": symbols (see `music.melody`), uint8 [B, T].
    * "beta_count", the model of VAE-Seq (2018): a score for each key, float32 [B, T, keys], 0.95
      if it sounds and 0.05 if not; and the number of sounding keys, at most 10, int32 [B, T].
      Likelihoods are then densities, and cannot be compared with those of other decoders.

    Args:
      hparams: the hyperparameters.
      num_keys: the number of keys on all keyboards.
    """

    hparams: MidiHParams

    def __init__(self, hparams: MidiHParams, num_keys: int):
        self.num_keys = num_keys
        self.num_states = 2 + hparams.velocity_levels
        super().__init__(hparams, name="midi_model")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for Keras's ways of saving a model."""
        return super().get_config() | {"num_keys": self.num_keys}

    def make_encoder(self) -> keras.layers.Layer:
        """Returns an MLP whose first layer encodes the states of keys, or embeds symbols."""
        if self.hparams.decoder == "beta_count":
            return codec.MLPObsEncoder(self.hparams)
        if self.hparams.decoder == "melody":
            embed = keras.layers.Embedding(melody.SYMBOLS, _EMBED_SIZE)
            return codec.MLPObsEncoder(self.hparams, first=embed)
        return codec.MLPObsEncoder(self.hparams, first=EncodeStates(self.num_states))

    def make_decoder(self) -> DistModule:
        """Returns the decoder that `hparams.decoder` names."""
        shape = [self.num_keys]
        if self.hparams.decoder == "beta_count":
            keys: DistModule = codec.JointDecoder(
                [codec.BetaDecoder(shape), codec.CategoricalDecoder(_MAX_SOUNDING + 1)]
            )
        elif self.hparams.decoder == "melody":
            keys = codec.CategoricalDecoder(melody.SYMBOLS, dtype="uint8")
        elif self.hparams.decoder == "nade":
            return self._make_nade(shape)
        elif self.num_states == 2:
            keys = codec.BernoulliDecoder(shape, dtype="uint8")
        else:
            keys = codec.CategoricalDecoder(self.num_states, shape, dtype="uint8")
        return codec.MLPObsDecoder(self.hparams, keys)

    def _make_nade(self, shape: list[int]) -> DistModule:
        hparams = self.hparams
        keys = codec.NADEDecoder(
            shape,
            hparams.nade_hidden,
            self.num_states,
            "uint8",
            interval_units=hparams.interval_units,
            line_size=min(KEYS, *shape),
        )
        if not hparams.sees_past:
            return codec.MLPObsDecoder(hparams, keys)
        return IntervalDecoder(hparams, keys, past.num_features(self.num_states))

    def make_context(self) -> Context:
        """Returns the context: the last frame, or the last `history_size` frames (2018).

        If `hparams.sees_past`, that and the past of each key.
        """
        base = self._make_base_context()
        if not self.hparams.sees_past:
            return base
        return past.Past(self.hparams, base, self.num_keys, self.num_states)

    def _make_base_context(self) -> Context:
        if self.hparams.history_size == 1:
            return super().make_context()
        combine = codec.EncoderSequence(
            [codec.Flatten(), MLP(self.hparams, self.hparams.history_encoder_fc_layers)]
        )
        return context.Accumulate(
            self.encoder, self.encoded_size, self.hparams.history_size, combine
        )

    def observe(self, rolls: np.ndarray, strike_first_frame: bool = False) -> Observed:
        """Converts rolls to observations.

        Args:
          rolls: rolls, uint8 [..., T, keys].
          strike_first_frame: see `melody.from_rolls`; used only for melodies.

        Returns:
          Observations without the batch dimension, or with it if the rolls have one.
        """
        if self.hparams.decoder in ("keys", "nade"):
            return rolls
        if self.hparams.decoder == "melody":
            return melody.from_rolls(rolls, strike_first_frame, self.hparams.top_voice)
        counts = np.minimum(rolls.sum(axis=-1, dtype=np.int32), _MAX_SOUNDING)
        return np.where(rolls, *_SCORES).astype(np.float32), counts

    def to_rolls(self, observed: Observed) -> np.ndarray:
        """Converts observations to rolls: the inverse of `observe`, up to its limit on the count.

        With "beta_count", the keys with the highest scores sound, as many as the count says.
        """
        if self.hparams.decoder in ("keys", "nade"):
            return np.asarray(observed)
        if self.hparams.decoder == "melody":
            return melody.to_rolls(np.asarray(observed))
        scores, counts = observed
        ranks = np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1)
        return (ranks < counts[..., None]).astype(np.uint8)


WINDOW_FRAMES = 512
"""The most frames that are scored together."""

_EMBED_SIZE = 64  # of the symbols of melodies
_MAX_SOUNDING = 10  # the highest count of sounding keys
_SCORES = (0.95, 0.05)  # of keys that sound, and of keys that do not


class EncodeStates(keras.layers.Layer):
    """Encodes states of keys as one-hot vectors without the silent state.

    Maps integers [N, K] to float32 [N, K * (num_states - 1)].
    """

    def __init__(self, num_states: int, name: str | None = None):
        super().__init__(name=name)
        self.num_states = num_states

    def call(self, states: tf.Tensor) -> tf.Tensor:
        """Returns the encoded states."""
        indicators = tf.one_hot(states, self.num_states)[..., 1:]
        return tf.reshape(indicators, [-1, states.shape[-1] * (self.num_states - 1)])


def score_pieces(
    scorer: WindowScorer,
    model: MidiModel,
    corpus: Corpus,
    seed: int = 0,
    progress: bool = False,
    window_frames: int = WINDOW_FRAMES,
) -> Score:
    """Scores every frame of every piece once. Pieces of similar length share a batch.

    If one z describes a sequence, a piece has one for every `hparams.sequence_size` frames: longer
    sequences are not what the model was trained on.

    Args:
      scorer: a scorer for `model`.
      model: the model.
      corpus: the pieces.
      seed: the random seed of the samples of latent variables.
      progress: whether to show a progress bar.
      window_frames: the largest number of frames that are processed together.

    Returns:
      The score of each piece in nats, in the order of the corpus.
    """
    order = sorted(range(len(corpus.spans)), key=lambda i: np.diff(corpus.spans[i])[0])
    rows = model.hparams.batch_size
    if model.has_sequence_latent:
        window_frames = model.hparams.sequence_size
    scores = np.zeros([len(Score._fields), len(order)])
    starts = range(0, len(order), rows)
    for at in bar(starts, "scoring", unit="batch", disable=not progress):
        pieces = order[at : at + rows]
        spans = [corpus.spans[piece] for piece in pieces]
        longest = max(end - begin for begin, end in spans)
        parts = consecutive_windows(corpus.frames, spans, min(longest, window_frames))
        observed = ((model.observe(rolls), lengths) for rolls, lengths in parts)
        if model.has_sequence_latent:
            scores[:, pieces] = scorer.score_apart(observed, seed=seed)
        else:
            scores[:, pieces] = scorer.score(observed, seed=seed)[0]
    return Score(*scores)


def training_windows(model: MidiModel, corpus: Corpus) -> Iterator[tuple[Observed, list[int]]]:
    """Yields batches of windows that are as long as those of training, and their lengths."""
    width, rows = model.hparams.sequence_size, model.hparams.batch_size
    for rolls, lengths in separate_windows(corpus.frames, corpus.spans, width, rows):
        yield model.observe(rolls, strike_first_frame=True), lengths
