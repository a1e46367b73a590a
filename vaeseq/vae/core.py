"""VAECore: the contract of a recurrent core.

A core defines one time step of p(x_t, z_t | ...) and q(z_t | ..., evidence). Everything else is the
same for all: likelihoods scan the step with evidence, generation scans it without, so what is
trained is what generates.

Shapes: B rows, T time steps, C features of a context, Z latent units, D recurrent outputs.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq.context import Context
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.sequences import over_time, scan
from vaeseq.vae import divergence
from vaeseq.vae.latent import Gaussian


class Step(NamedTuple):
    """One time step, [B, ...]; or all of a sequence, [B, T, ...]."""

    obs_params: Any  # of p(x_t | z_1:t, x_1:t-1, c_1:t)
    latents: tf.Tensor  # z_t, drawn from `posterior`
    prior: Gaussian  # p(z_t | ...)
    posterior: Gaussian  # q(z_t | ..., evidence); is `prior` when generating


class Inference(NamedTuple):
    """What is inferred of observed sequences; in nats, 0 after the end of a shorter row."""

    log_prob: tf.Tensor  # log p(x_t | z_1:t, x_1:t-1, c_1:t) [B, T]
    kl: tf.Tensor  # KL(q(z_t | ...) || p(z_t | ...)) [B, T]
    log_ratio: tf.Tensor  # log q(z_t | ...) - log p(z_t | ...) at the z_t drawn [B, T]
    steps: Step
    states: Any  # the states after each step, [B, T, ...]


class VAECore(keras.layers.Layer, abc.ABC):
    """A recurrent core. You write `initial_state` and `step`, and `encode` if it has latents.

    A core without latent variables is one whose z has no dimensions: `latent_size` 0.

    Args:
      hparams: the hyperparameters.
      encoder: layer, observations [N, *event_shape] -> features [N, E].
      decoder: DistModule of the observations; gets a nest of features.
    """

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Any], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(name=name)
        self.hparams, self.encoder, self.decoder = hparams, encoder, decoder
        self.latent_size = hparams.latent_size
        self.built = True  # the layers in it build themselves

    @abc.abstractmethod
    def initial_state(self, batch_size: Any) -> Any:
        """The state before the first step, a nest of [B, ...]."""

    @abc.abstractmethod
    def step(
        self,
        context: Any,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """One time step: the definition of the core.

        Args:
          context: c_t, a nest of [B, C_i].
          state: the state before.
          noise: standard normal [B, Z]; with it a step is a function and draws nothing itself.
          evidence: what `encode` says at this time; None generates.
          latents: z_t [B, Z] to use instead of a draw.

        Returns:
          The step and the state after it.
        """

    def encode(
        self, contexts: Any, observed: Any, lengths: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """Summarises observed sequences for the posterior, [B, T, D]; None without latents."""
        return None

    def begin(self, latents: tf.Tensor) -> Any:
        """The state before the first step of sequences whose z [B, Z] is given.

        Raises:
          UsageError: where the core has no latent variable for the whole sequence.
        """
        raise UsageError(
            f"{self.hparams.vae_type} has no latent variable for the whole sequence; "
            "train with --hparams vae_type=SEQVAE"
        )

    def unroll(
        self,
        contexts: Any,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Any]:
        """All steps of a sequence, [B, T, ...], and the states after each.

        This scans `step`. A core overrides it with a faster equal where time can be fused.
        """

        def step(inputs: Any, state: Any) -> tuple[Any, Any]:
            context, noise, evidence, latents = inputs
            step, state = self.step(context, state, noise, evidence=evidence, latents=latents)
            return (step, state), state

        return scan(step, (contexts, noise, evidence, latents), state)[0]

    def infer(
        self,
        contexts: Any,
        observed: Any,
        state: Any,
        noise: tf.Tensor,
        lengths: tf.Tensor | None = None,
        evidence: tf.Tensor | None = None,
    ) -> Inference:
        """Infers the latents of observed sequences.

        Args:
          contexts: nest of [B, T, C_i], from `Context.from_observations`.
          observed: nest of [B, T, *event_shape].
          state: the state before the first step.
          noise: standard normal [B, T, Z].
          lengths: [B] int32 >= 1, the steps of each row that count; None counts all.
          evidence: what `encode` said of a longer sequence in which this one is; None encodes it.
        """
        if evidence is None:
            evidence = self.encode(contexts, observed, lengths)
        steps, states = self.unroll(contexts, state, noise, evidence)
        log_prob = self.decoder.log_prob(steps.obs_params, observed)
        z = (steps.posterior, steps.prior, steps.latents)
        log_ratio = tf.reduce_sum(divergence.log_ratio(*z), axis=-1)
        mask = None
        if lengths is not None:
            mask = tf.sequence_mask(lengths, tf.shape(log_prob)[1])
            log_prob, log_ratio = (tf.where(mask, x, 0.0) for x in (log_prob, log_ratio))
        kl = divergence.kl(self.hparams, *z, mask)
        return Inference(log_prob, kl, log_ratio, steps, states)

    def generate(
        self,
        context: Context,
        inputs: Any,
        states: tuple[Any, Any],
        noise: tf.Tensor,
        seed: tf.Tensor,
        temperature: Any = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Any, tuple[Any, Any]]:
        """Draws observations, feeding each to the context of the next.

        Args:
          context: what turns observations into contexts.
          inputs: nest of [B, T, ...], () where there are none.
          states: the states of the context and of the core before the first step.
          noise: standard normal [B, T, Z].
          seed: stateless, int32 [2].
          temperature: draw z_t and x_t from p^(1 / temperature); None draws from p.
          latents: z_1:T [B, T, Z] to use instead of draws.

        Returns:
          Observations, nest of [B, T, *event_shape], and the states after them.
        """
        if temperature is not None:
            noise *= tf.sqrt(temperature)  # a Gaussian's power has `temperature` times its variance
        seeds = tf.vectorized_map(
            lambda t: tf.random.experimental.stateless_fold_in(seed, t),
            tf.range(tf.shape(noise)[1]),
        )

        def step(step_inputs: Any, states: Any) -> tuple[Any, Any]:
            inputs, noise, seed, latents = step_inputs
            context_state, state = states
            context_ = context(inputs, context_state)
            step, state = self.step(context_, state, noise, latents=latents)
            params = step.obs_params
            if temperature is not None:
                params = self.decoder.temper(params, temperature)
            observed = self.decoder.sample(params, seed[0])
            return observed, (context.observe(observed, context_state), state)

        return scan(step, (inputs, noise, seeds[None], latents), states)

    def seen(self, features: Any, context: Any) -> Any:
        """What the decoder sees: the features, and the context where the hyperparameters say so.

        p(x_t | ...) then has an arrow from c_t, beside those of the graphical model.
        """
        return (features, context) if self.hparams.decoder_sees_context else features

    def decode(self, features: Any) -> Any:
        """Features [B, T, ...] to the observation params of all steps."""
        return over_time(self.decoder, features)
