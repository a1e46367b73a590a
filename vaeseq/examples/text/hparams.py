"""Hyperparameters of vaeseq-text."""

import dataclasses

from vaeseq.hparams import HParams, hparam


@dataclasses.dataclass(frozen=True)
class TextHParams(HParams):
    """Hyperparameters of a character-level language model.

    The defaults were chosen with `benchmarks/quality/text_quality.py` on a validation text.
    """

    vae_type: str = "RNN"
    latent_size: int = 16
    rnn_hidden_sizes: tuple[int, ...] = (256,)
    obs_encoder_fc_layers: tuple[int, ...] = ()
    obs_decoder_fc_hidden_layers: tuple[int, ...] = ()
    dropout: float = 0.15
    learning_rate: float = 8e-3
    learning_rate_decay_steps: int = 3000
    divergence_schedule: str = "gompertz"
    divergence_strength_start: float = 0.1
    divergence_strength_half: float = 200.0

    embed_size: int = hparam(
        64, "The size of the embedding of a character.", low=1, high=1 << 20, heading="Text"
    )
    vocab_size: int = hparam(
        5000, "The number of characters to know, the most frequent ones.", low=2, high=0x110000
    )
    oov_buckets: int = hparam(
        1, "The number of symbols for all other characters.", low=1, high=1 << 16
    )
