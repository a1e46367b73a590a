"""A judge that knows the oracle: the most that any discriminator could tell a generator."""

import numpy as np
import tensorflow as tf

from benchmarks.seqvae.data import Suite
from benchmarks.seqvae.model import Tokens
from vaeseq.adversarial.discriminators import Causal, Discriminator


class TrueRatio(Discriminator):
    """A discriminator of samples that knows the densities of the oracles and of the model.

    The logits of samples are those of a perfect discriminator, log p(x_1:t) - log q(x_1:t). The
    rewards l_t - l_{t-1}, undiscounted, then make the policy gradient that of KL(q || p). What is
    learned, from the same samples, is the critic, by the discriminator that this one replaces.

    Args:
      learned: that discriminator.
      suite: has the oracles, of whose mixture p is the density.
      model: the generator, whose density is q; without latents.
    """

    judges_prefixes = True

    def __init__(self, learned: Causal, suite: Suite, model: Tokens):
        super().__init__(learned.encoder, name="true_ratio")
        self.learned = learned
        self._densities = lambda: (suite.oracles, model)  # a function, or Keras would train them

    def call(
        self, observed: tf.Tensor, lengths: tf.Tensor | None = None, training: bool = False
    ) -> tf.Tensor:
        """Returns the true logits [B, T] of symbols [B, T], or in training the learned ones."""
        if training:
            return self.learned(observed, lengths)
        oracles, model = self._densities()
        p = tf.reduce_logsumexp([_log_prob(oracle, observed) for oracle in oracles], axis=0)
        return p - np.log(len(oracles)) - _log_prob(model, observed)

    def judge(self, observed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the learned logits and the critic's predictions, [B, T] each."""
        return self.learned.judge(observed)


def judge_by_oracles(model: Tokens, suite: Suite) -> None:
    """Replaces the discriminator of a compiled model by `TrueRatio`."""
    adversary = model.adversary
    adversary.discriminator = TrueRatio(adversary.discriminator, suite, model)


def agreement(model: Tokens, symbols: np.ndarray) -> float:
    """Returns the correlation of learned and true logits of whole sequences [N, T]."""
    judge = model.adversary.discriminator
    both = [judge(symbols, training=learned)[:, -1] for learned in (True, False)]
    return float(np.corrcoef(both)[0, 1])


def _log_prob(model: Tokens, observed: tf.Tensor) -> tf.Tensor:
    """Returns log p(x_1:t) of every prefix in nats, [B, T]."""
    inference, _ = model.infer(observed)
    return tf.cumsum(inference.log_prob, axis=1)
