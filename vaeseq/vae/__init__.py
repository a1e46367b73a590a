"""The recurrent cores, by the name that `HParams.vae_type` gives them."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vaeseq.errors import UsageError, did_you_mean
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.vae.core import VAECore
from vaeseq.vae.independent_sequence import IndependentSequence
from vaeseq.vae.rnn import RNN
from vaeseq.vae.seq_vae import SeqVAE
from vaeseq.vae.srnn import SRNN

VAE_TYPES: dict[str, type[VAECore]] = {
    "RNN": RNN,
    "ISEQ": IndependentSequence,
    "SRNN": SRNN,
    "SEQVAE": SeqVAE,
}


def make(hparams: HParams, encoder: Callable[[Any], tf.Tensor], decoder: DistModule) -> VAECore:
    """The core that `hparams.vae_type` names; `UsageError` where there is none."""
    name = hparams.vae_type
    if name not in VAE_TYPES:
        raise UsageError(f"hparams: unknown vae_type {name!r}{did_you_mean(name, VAE_TYPES)}")
    return VAE_TYPES[name](hparams, encoder, decoder, name="core")
