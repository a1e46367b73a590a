"""Training objective and reported bounds, in nats."""

import math

import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.vae.core import Inference

__all__ = [
    "divergence_strength",
    "elbo",
    "importance_weighted_bound",
    "log_weight",
]


def elbo(inference: Inference) -> tf.Tensor:
    """Computes the evidence lower bound of each sequence in nats, [B].

    In expectation at most log p(x), and equal to it for a core without latent variables
    (Kingma and Welling 2013, arXiv:1312.6114).

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec, objectives
      >>> class Bits(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())
      >>> model = Bits(vaeseq.HParams(vae_type="VRNN", latent_size=2, rnn_hidden_sizes=(8,)))
      >>> inference, _ = model.infer(np.zeros([4, 10], np.int32))
      >>> objectives.elbo(inference).shape
      TensorShape([4])
    """
    return tf.reduce_sum(inference.log_prob - inference.kl, axis=1)


def log_weight(inference: Inference) -> tf.Tensor:
    """Computes the log importance weight log p(x, z) / q(z | x) of each sequence, [B].

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec, objectives
      >>> class Bits(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())
      >>> model = Bits(vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(8,)))
      >>> observed = np.zeros([4, 10], np.int32)
      >>> inference, _ = model.infer(observed)  # without latents, the weight is p(x)
      >>> np.allclose(objectives.log_weight(inference), model.log_prob(observed))
      True
    """
    return tf.reduce_sum(inference.log_prob - inference.log_ratio, axis=1)


def importance_weighted_bound(log_weights: tf.Tensor) -> tf.Tensor:
    """Computes log (1/K) sum_k w_k from log weights [K, ...]; returns [...].

    In expectation a lower bound of log p(x) that does not fall as K grows and tends to log p(x)
    (Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519). With K = 1 its expectation is the ELBO.

    Example:
      >>> import tensorflow as tf
      >>> from vaeseq import objectives
      >>> log_weights = tf.math.log([[0.1], [0.3]])  # two samples of one sequence
      >>> tf.exp(objectives.importance_weighted_bound(log_weights)).numpy().round(3)
      array([0.2], dtype=float32)
    """
    samples = tf.cast(tf.shape(log_weights)[0], log_weights.dtype)
    return tf.reduce_logsumexp(log_weights, axis=0) - tf.math.log(samples)


def divergence_strength(hparams: HParams, step: tf.Tensor | int) -> tf.Tensor:
    """Computes the weight of the KL in the loss after `step` updates.

    With end = `hparams.divergence_strength_end` and h = `hparams.divergence_strength_half`, the
    weight is end / 2 at step h, by `hparams.divergence_schedule`:

    * gompertz: end * start^(r^step), the schedule of VAE-Seq (2018), where r follows from h. It
      starts at `hparams.divergence_strength_start` * end and tends to end. A start above 1/2 stays.
    * linear: rises to end in 2 h steps (Bowman et al. 2015, arXiv:1511.06349).
    * cyclical: repeats the linear rise every 4 h steps (Fu et al. 2019, arXiv:1903.10145).
    * constant: end at all steps.

    Example:
      >>> import vaeseq
      >>> hparams = vaeseq.HParams(divergence_schedule="linear", divergence_strength_half=100)
      >>> [float(vaeseq.objectives.divergence_strength(hparams, step)) for step in (0, 100, 300)]
      [0.0, 0.5, 1.0]
    """
    end, half = hparams.divergence_strength_end, hparams.divergence_strength_half
    step = tf.cast(step, tf.float32)
    if hparams.divergence_schedule == "constant":
        return tf.constant(end)
    if hparams.divergence_schedule == "linear":
        return end * tf.minimum(step / (2 * half), 1.0)
    if hparams.divergence_schedule == "cyclical":
        return end * tf.minimum(tf.math.floormod(step, 4 * half) / (2 * half), 1.0)
    if hparams.divergence_strength_start > 0.5:
        return tf.constant(hparams.divergence_strength_start * end)
    start = math.log(hparams.divergence_strength_start)
    decay = math.log(math.log(0.5) / start) / half
    return end * tf.exp(start * tf.exp(decay * step))
