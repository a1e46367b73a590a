"""A VAE with one latent variable for the whole sequence.

Bowman, Vilnis, Vinyals, Dai, Jozefowicz, Bengio 2015, arXiv:1511.06349; Gao, Cui, Ding, "SeqVAE",
Applied Intelligence 51, 2021. BN-VAE: Zhu, Bi, Liu, Ma, Li, Wu 2020, arXiv:2004.12750.

Notation: z latent, d_t, e_t, f_t deterministic RNN outputs, x_t observed, c_t contexts.

      Generative model                 Inference model
      ================                 ===============
       x_1         x_t                        z
        ^           ^                      ^     ^
        |           |                      |     |
  z -> d_1 ------> d_t               f_1 <-|---- f_T
  |     ^           ^                 ^    |      ^
  |     |           |                 |    |      |
  |    c_1,z       c_t,z             e_1 --|---> e_T      e and f each see x_t and c_t:
  +-----^-----------^                                     q sees f_1 and e_T
"""

from typing import Any

import keras
import tensorflow as tf

from vaeseq.nn.lstm import LSTMStack, LSTMState
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import last, over_time
from vaeseq.vae.core import Step, VAECore
from vaeseq.vae.latent import Gaussian, LatentDecoder


class SeqVAE(VAECore):
    """z ~ N(0, 1), d_0 of z, p(x_t | d_t), q(z | e_T, f_1).

    z is drawn at the first step and carried in the state; its KL is counted there. With
    `hparams.seqvae_use_z_inputs` it is an input of every step, too.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        hparams = self.hparams
        self.d_rnn = LSTMStack(hparams, name="d_rnn")
        self.e_rnn = LSTMStack(hparams, name="e_rnn")
        self.f_rnn = LSTMStack(hparams, name="f_rnn")
        self.q = LatentDecoder(hparams, name="q")
        self.d_0 = keras.layers.Dense(2 * sum(hparams.rnn_hidden_sizes), "tanh", name="d_0")
        self.normalise = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-8, scale=False, synchronized=True
        )

    def initial_state(self, batch_size: Any) -> Any:
        """d, z, and whether they are there already: not before the first step."""
        z = tf.zeros([batch_size, self.latent_size])
        return self.d_rnn.initial_state(batch_size), z, tf.zeros([batch_size, 1], tf.bool)

    def begin(self, latents: tf.Tensor) -> Any:
        """The state before the first step of sequences whose z [B, Z] is given."""
        return self._first(latents), latents, tf.ones([tf.shape(latents)[0], 1], tf.bool)

    def encode(
        self, contexts: Any, observed: Any, lengths: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """e_T and f_t, [B, T, 2 D]; what counts is that of the first step."""
        inputs = concat((contexts, over_time(self.encoder, observed)))
        e, _ = self.e_rnn.unroll(inputs, self.e_rnn.initial_state(tf.shape(inputs)[0]))
        f = self.f_rnn.unroll_backward(inputs, lengths)
        return concat((tf.broadcast_to(last(e, lengths)[:, None], tf.shape(e)), f))

    def step(
        self,
        context: Any,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """z and d_0 where they are not there yet; d_t of c_t, z and d_{t-1}; p(x_t | d_t)."""
        posterior, (d_state, z, begun) = self._begun(state, noise, evidence, latents)
        d, d_state = self.d_rnn.step(self._inputs(context, z), d_state)
        prior = Gaussian.standard_like(noise)
        return Step(self.decoder(self.seen(d, context)), z, prior, posterior), (d_state, z, begun)

    def unroll(
        self,
        contexts: Any,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """z once, then the d-chain as one recurrence."""
        first = (None if x is None else x[:, 0] for x in (noise, evidence, latents))
        posterior, (d_state, z, begun) = self._begun(state, *first)

        def always(x: tf.Tensor) -> tf.Tensor:
            return tf.repeat(x[:, None], tf.shape(noise)[1], axis=1)

        prior = Gaussian.standard_like(noise)
        after_first = tf.nest.map_structure(lambda x: x[:, 1:], prior)
        posterior = tf.nest.map_structure(
            lambda x, xs: tf.concat([x[:, None], xs], axis=1), posterior, after_first
        )
        d, d_states = self.d_rnn.unroll(self._inputs(contexts, always(z)), d_state)
        params = self.decode(self.seen(d, contexts))
        return Step(params, always(z), prior, posterior), (d_states, always(z), always(begun))

    def _begun(
        self, state: Any, noise: tf.Tensor, evidence: tf.Tensor | None, latents: tf.Tensor | None
    ) -> tuple[Gaussian, Any]:
        """The posterior, which is the prior in rows that have begun, and the state with z."""
        _, _, begun = state
        posterior = prior = Gaussian.standard_like(noise)
        if evidence is not None:
            posterior = tf.nest.map_structure(
                lambda p, q: tf.where(begun, p, q), prior, self.posterior(evidence)
            )
        z = posterior.reparameterize(noise) if latents is None else latents
        state = tf.nest.map_structure(lambda x, y: tf.where(begun, x, y), state, self.begin(z))
        return posterior, state

    def posterior(self, evidence: tf.Tensor) -> Gaussian:
        """q(z | e_T, f_1); in BN-VAE its means over a batch have the deviation gamma."""
        posterior, gamma = self.q(evidence), self.hparams.seqvae_batch_norm
        return posterior._replace(loc=gamma * self.normalise(posterior.loc)) if gamma else posterior

    def _first(self, z: tf.Tensor) -> tuple[LSTMState, ...]:
        """The state of the d-chain before the first step."""
        sizes = self.hparams.rnn_hidden_sizes
        h, c = (tf.split(x, sizes, axis=-1) for x in tf.split(self.d_0(z), 2, axis=-1))
        return tuple(map(LSTMState, h, c))

    def _inputs(self, context: Any, z: tf.Tensor) -> tf.Tensor:
        """What d_t sees beside d_{t-1}."""
        return concat((context, z) if self.hparams.seqvae_use_z_inputs else context)
