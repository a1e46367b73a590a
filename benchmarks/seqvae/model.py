"""The model of the SeqVAE suites: symbols with an embedding, on any core."""

import dataclasses

import keras
import numpy as np

from vaeseq import HParams, ModelBase, codec
from vaeseq.hparams import hparam

_ROWS_AT_ONCE = 250


@dataclasses.dataclass(frozen=True)
class TokenHParams(HParams):
    """Of the suites; the sizes are those of SeqGAN."""

    vae_type: str = hparam("RNN")
    rnn_hidden_sizes: tuple[int, ...] = hparam((32,), low=1)
    latent_size: int = hparam(16, low=1)
    obs_encoder_fc_layers: tuple[int, ...] = hparam((), low=1)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = hparam((), low=1)
    latent_decoder_fc_layers: tuple[int, ...] = hparam((), low=1)
    embed_size: int = hparam(32, low=1)
    learning_rate: float = hparam(4e-3, above=0)
    batch_size: int = hparam(64, low=1)
    policy_elbo_steps: int = hparam(0, low=0)
    check_numerics: bool = hparam(False)


class Tokens(ModelBase):
    """Symbols, int32 [B, T]."""

    hparams: TokenHParams

    def __init__(self, hparams: TokenHParams, vocabulary: int):
        self.vocabulary = vocabulary
        super().__init__(hparams, name="tokens")

    def log_probs(self, symbols: np.ndarray, num_samples: int | None = None) -> np.ndarray:
        """As `log_prob`, [N], of any number of sequences."""
        parts = range(0, len(symbols), _ROWS_AT_ONCE)
        return np.concatenate(
            [
                self.log_prob(symbols[at : at + _ROWS_AT_ONCE], num_samples=num_samples)
                for at in parts
            ]
        )

    def make_encoder(self) -> keras.layers.Layer:
        embed = keras.layers.Embedding(self.vocabulary, self.hparams.embed_size)
        return codec.MLPObsEncoder(self.hparams, first=embed)

    def make_decoder(self) -> codec.MLPObsDecoder:
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(self.vocabulary))
