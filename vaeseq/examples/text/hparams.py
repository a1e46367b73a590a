"""Hyperparameters of the text example."""

import dataclasses

from vaeseq.hparams import HParams, hparam


@dataclasses.dataclass(frozen=True)
class TextHParams(HParams):
    """Defaults chosen by `benchmarks/text_quality.py` on a validation text."""

    vae_type: str = hparam("RNN")
    latent_size: int = hparam(16, low=1, high=1 << 20)
    rnn_hidden_sizes: tuple[int, ...] = hparam((256,), low=1, high=1 << 20)
    obs_encoder_fc_layers: tuple[int, ...] = hparam((), low=1, high=1 << 20)
    obs_decoder_fc_hidden_layers: tuple[int, ...] = hparam((), low=1, high=1 << 20)
    dropout: float = hparam(0.15, low=0, high=0.95)
    learning_rate: float = hparam(8e-3, above=0)
    learning_rate_decay_steps: int = hparam(3000, low=0)
    divergence_strength_start: float = hparam(0.1, above=0, high=1)
    divergence_strength_half: float = hparam(200.0, above=0)

    embed_size: int = hparam(64, low=1, high=1 << 20)
    vocab_size: int = hparam(
        5000, low=2, high=0x110000
    )  # at most: the most frequent characters of the corpus
    oov_buckets: int = hparam(1, low=1, high=1 << 16)  # symbols that stand for all other characters
