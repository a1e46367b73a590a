"""Models of piano rolls, frame by frame."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vaeseq import Context, DistModule, ModelBase, codec, context
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.music import melody
from vaeseq.nn.mlp import MLP


class MidiModel(ModelBase):
    """Observations are piano rolls, see `roll`: uint8 [B, T, keys].

    With `hparams.decoder` "beta_count", the model of VAE-Seq (2018), they are scores of the keys,
    float32 [B, T, keys], 0.95 for those that sound and 0.05 for the others, and how many sound, at
    most 10, int32 [B, T]; likelihoods are then densities, and not to be compared. With "melody"
    they are the symbols of `melody`, uint8 [B, T].

    Args:
      hparams: the hyperparameters.
      num_keys: how many keys, those of all keyboards together.
    """

    hparams: MidiHParams

    def __init__(self, hparams: MidiHParams, num_keys: int):
        self.num_keys = num_keys
        self.num_states = 2 + hparams.velocity_levels
        super().__init__(hparams, name="midi_model")

    def make_encoder(self) -> keras.layers.Layer:
        """What sounds and what is struck, through an MLP."""
        if self.hparams.decoder == "beta_count":
            return codec.MLPObsEncoder(self.hparams)
        if self.hparams.decoder == "melody":
            embed = keras.layers.Embedding(melody.SYMBOLS, _EMBED_SIZE)
            return codec.MLPObsEncoder(self.hparams, first=embed)
        return codec.MLPObsEncoder(self.hparams, first=EncodeStates(self.num_states))

    def make_decoder(self) -> DistModule:
        """Independent keys, a Beta for each and the number of those that sound, or a symbol."""
        shape = [self.num_keys]
        if self.hparams.decoder == "beta_count":
            keys: DistModule = codec.JointDecoder(
                [codec.BetaDecoder(shape), codec.CategoricalDecoder(_MOST_SOUNDING + 1)]
            )
        elif self.hparams.decoder == "melody":
            keys = codec.CategoricalDecoder(melody.SYMBOLS, dtype="uint8")
        elif self.num_states == 2:
            keys = codec.BernoulliDecoder(shape, dtype="uint8")
        else:
            keys = codec.CategoricalDecoder(self.num_states, shape, dtype="uint8")
        return codec.MLPObsDecoder(self.hparams, keys)

    def make_context(self) -> Context:
        """The frame before, or the last `history_size` of them (2018)."""
        if self.hparams.history_size == 1:
            return super().make_context()
        combine = codec.EncoderSequence(
            [codec.Flatten(), MLP(self.hparams, self.hparams.history_encoder_fc_layers)]
        )
        return context.Accumulate(
            self.encoder, self.encoded_size, self.hparams.history_size, combine
        )

    def observe(self, rolls: np.ndarray, begins_within: bool = False) -> Any:
        """Rolls [..., T, keys] as the observations of the decoder.

        `begins_within` says that what is held in the first frame is to begin there, which only
        melodies can tell.
        """
        if self.hparams.decoder == "keys":
            return rolls
        if self.hparams.decoder == "melody":
            return melody.of_rolls(rolls, begins_within)
        counts = np.minimum(rolls.sum(axis=-1, dtype=np.int32), _MOST_SOUNDING)
        return np.where(rolls, *_SCORES).astype(np.float32), counts

    def rolls(self, observed: Any) -> np.ndarray:
        """Observations as rolls: the inverse of `observe`, while no more keys sound than it counts.

        Of Betas and a count, the keys with the highest scores sound, as many as are counted.
        """
        if self.hparams.decoder == "keys":
            return observed
        if self.hparams.decoder == "melody":
            return melody.to_rolls(observed)
        scores, counts = observed
        ranks = np.argsort(np.argsort(-scores, axis=-1, kind="stable"), axis=-1)
        return (ranks < counts[..., None]).astype(np.uint8)


_EMBED_SIZE = 64  # of the symbols of melodies
_MOST_SOUNDING = 10  # that are counted
_SCORES = (0.95, 0.05)  # of keys that sound and do not


class EncodeStates(keras.layers.Layer):
    """States of keys [N, K] to indicators of every state but silence, [N, K * (states - 1)]."""

    def __init__(self, num_states: int, name: str | None = None):
        super().__init__(name=name)
        self.num_states = num_states

    def call(self, states: tf.Tensor) -> tf.Tensor:
        """Indicators, 0 or 1."""
        indicators = tf.one_hot(states, self.num_states)[..., 1:]
        return tf.reshape(indicators, [-1, states.shape[-1] * (self.num_states - 1)])
