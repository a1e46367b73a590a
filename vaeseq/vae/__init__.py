"""The recurrent cores, by the value of `HParams.vae_type`."""

from collections.abc import Callable

import tensorflow as tf

from vaeseq.errors import UsageError, did_you_mean
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.types import Nest
from vaeseq.vae.core import VAECore
from vaeseq.vae.dkf import DKF
from vaeseq.vae.independent_sequence import IndependentSequence
from vaeseq.vae.rnn import RNN
from vaeseq.vae.seq_vae import SeqVAE
from vaeseq.vae.srnn import SRNN
from vaeseq.vae.vrnn import VRNN

VAE_TYPES: dict[str, type[VAECore]] = {
    "RNN": RNN,
    "ISEQ": IndependentSequence,
    "SRNN": SRNN,
    "VRNN": VRNN,
    "DKF": DKF,
    "SEQVAE": SeqVAE,
}
"""The cores, by the value of `HParams.vae_type`. Add your own under a name of its own.

Example:
  >>> import vaeseq
  >>> list(vaeseq.VAE_TYPES)
  ['RNN', 'ISEQ', 'SRNN', 'VRNN', 'DKF', 'SEQVAE']
"""


def make(hparams: HParams, encoder: Callable[[Nest], tf.Tensor], decoder: DistModule) -> VAECore:
    """Creates the core that `hparams.vae_type` names.

    Raises:
      UsageError: if `hparams.vae_type` is not a key of `VAE_TYPES`, or if the core cannot have
        latents of `hparams.latent_kind`.
    """
    name = hparams.vae_type
    if name not in VAE_TYPES:
        raise UsageError(f"hparams: unknown vae_type {name!r}{did_you_mean(name, VAE_TYPES)}")
    kind = hparams.latent_kind
    if kind not in VAE_TYPES[name].latent_kinds:
        able = [other for other, core in VAE_TYPES.items() if kind in core.latent_kinds]
        raise UsageError(f"hparams: {name} cannot have latent_kind={kind}; {', '.join(able)} can")
    return VAE_TYPES[name](hparams, encoder, decoder, name="core")
