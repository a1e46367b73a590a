"""The model of the SeqVAE suites: embedded symbols, with any core."""

import dataclasses

import keras
import numpy as np

from vaeseq import HParams, ModelBase, codec, hparam

_BATCH_ROWS = 250


@dataclasses.dataclass(frozen=True)
class TokenHParams(HParams):
    """Hyperparameters of the suites; the sizes are those of SeqGAN."""

    vae_type: str = "RNN"
    rnn_hidden_sizes: tuple[int, ...] = (32,)
    latent_size: int = 16
    obs_encoder_fc_layers: tuple[int, ...] = ()
    obs_decoder_fc_hidden_layers: tuple[int, ...] = ()
    latent_decoder_fc_layers: tuple[int, ...] = ()
    embed_size: int = hparam(32, "The size of the embedding of a symbol.", low=1)
    initial_deviation: float = hparam(
        0.0, "The standard deviation of normal initial weights; 0 keeps those of Keras.", low=0
    )
    batches: str = hparam(
        "random",
        "Batches of `benchmarks.seqvae.published`: the same in every epoch, shuffled, or random.",
        choices=("same", "shuffled", "random"),
    )
    learning_rate: float = 4e-3
    batch_size: int = 64
    policy_elbo_steps: int = 0
    check_numerics: bool = False


class Tokens(ModelBase):
    """Sequences of symbols, int32 [B, T]."""

    hparams: TokenHParams

    def __init__(self, hparams: TokenHParams, vocabulary: int):
        self.vocabulary = vocabulary
        super().__init__(hparams, name="tokens")
        if hparams.initial_deviation:
            rng = np.random.default_rng((hparams.seed, 1))
            deviation = hparams.initial_deviation
            self.set_weights([rng.normal(0, deviation, x.shape) for x in self.get_weights()])

    def log_probs(self, symbols: np.ndarray, num_samples: int | None = None) -> np.ndarray:
        """Returns `log_prob` of any number of sequences, [N], batch by batch."""
        starts = range(0, len(symbols), _BATCH_ROWS)
        batches = (symbols[start : start + _BATCH_ROWS] for start in starts)
        return np.concatenate([self.log_prob(x, num_samples=num_samples) for x in batches])

    def make_encoder(self) -> keras.layers.Layer:
        """Returns an embedding, then MLP layers."""
        embed = keras.layers.Embedding(self.vocabulary, self.hparams.embed_size)
        return codec.MLPObsEncoder(self.hparams, first=embed)

    def make_decoder(self) -> codec.MLPObsDecoder:
        """Returns MLP layers, then the logits of the symbols."""
        return codec.MLPObsDecoder(self.hparams, codec.CategoricalDecoder(self.vocabulary))
