"""VAECore: the contract of a recurrent core.

A core models sequences x_1:T with latent variables z_1:T, given contexts c_1:T:

    p(x, z | c) = prod_t p(z_t | z_1:t-1, x_1:t-1, c_1:t) p(x_t | z_1:t, x_1:t-1, c_1:t)

and approximates the posterior of z by q(z_t | ..., evidence). One method, `step`, defines both:
it generates without evidence and infers with it, so the model that generates is the model that was
trained. A core may compute a whole sequence faster than by scanning `step` (see `unroll`); tests
require equal results.

Shapes: B sequences in a batch, T time steps, C features of a context, Z latent units, D recurrent
outputs.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from vaeseq.context import Context, Split, core_part
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.nn import finite, masked, replicas
from vaeseq.nn.dist_module import DistModule
from vaeseq.nn.mlp import concat
from vaeseq.nn.sequences import over_time, repeat_rows, scan, where_row
from vaeseq.nn.types import Nest, Size
from vaeseq.vae import divergence
from vaeseq.vae.latent import Gaussian, LatentParams, make_kind


class Step(NamedTuple):
    """One time step, tensors [B, ...]; or all steps of a sequence, [B, T, ...].

    Example:
      >>> import tensorflow as tf
      >>> import vaeseq
      >>> prior = vaeseq.Gaussian(tf.zeros([4, 2]), tf.ones([4, 2]))
      >>> step = vaeseq.Step(obs_params=(), latents=tf.zeros([4, 2]), prior=prior, posterior=prior)
      >>> step.posterior.unit_kl(step.prior).numpy().max().item()  # nats
      0.0
    """

    obs_params: Nest  # of p(x_t | z_1:t, x_1:t-1, c_1:t)
    latents: tf.Tensor  # z_t, sampled from `posterior` [B, Z]
    prior: LatentParams  # p(z_t | ...)
    posterior: LatentParams  # q(z_t | ..., evidence); equals `prior` when generating


class Inference(NamedTuple):
    """The result of inference; in nats, and 0 after the end of a shorter sequence.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Bits(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())
      >>> model = Bits(vaeseq.HParams(vae_type="VRNN", latent_size=2, rnn_hidden_sizes=(8,)))
      >>> inference, state = model.infer(np.zeros([4, 10], np.int32))
      >>> inference.log_prob.shape, inference.kl.shape, inference.steps.latents.shape
      (TensorShape([4, 10]), TensorShape([4, 10]), TensorShape([4, 10, 2]))
    """

    log_prob: tf.Tensor  # log p(x_t | z_1:t, x_1:t-1, c_1:t) [B, T]
    kl: tf.Tensor  # KL(q(z_t | ...) || p(z_t | ...)) [B, T]
    log_ratio: tf.Tensor  # log q(z_t | ...) - log p(z_t | ...) at the sampled z_t [B, T]
    steps: Step  # [B, T, ...]
    states: Nest  # the states after each step [B, T, ...]


class VAECore(keras.layers.Layer, abc.ABC):
    """A recurrent core: p(x, z | c) and the approximate posterior of z.

    You write:

    * `initial_state`: the state before the first step.
    * `step`: one time step of the generative model, and of the posterior if evidence is given.
    * `encode`: the evidence, computed from a whole observed sequence. A core without latent
      variables sets `latent_size = 0` and does not define it.
    * `unroll` (optional): all steps of `step`, faster.
    * `share` and `step_shared` (optional): the same as `step`, with what does not depend on the
      latents computed once for many samples of them; `unroll_particles` is for all steps.
    * `begin` (optional): the first state given z, if one z describes the whole sequence.
    * `filters = True`, if `encode` and `step` use nothing after t for the posterior of z_t.
    * `state_features` (optional): what an agent sees of a state, if its posterior filters or if it
      has no latents.
    * `posterior_layers` (optional): the layers of the posterior, to train them apart from the rest.

    You get:

    * `infer`: log-likelihoods, KL divergences and latents of observed sequences.
    * `generate`: samples, also from a state that `infer` returned.

    Args:
      hparams: the hyperparameters.
      encoder: layer from observations [N, *event_shape] to features [N, E].
      decoder: the observation distribution, given features [N, D].
      name: the layer's name.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Memoryless(vaeseq.VAECore):
      ...     def __init__(self, hparams, encoder, decoder, name=None):
      ...         super().__init__(hparams, encoder, decoder, name=name)
      ...         self.latent_size = 0
      ...     def initial_state(self, batch_size):
      ...         return ()
      ...     def step(self, context, state, noise, *, evidence=None, latents=None):
      ...         params = self.decoder(self.decoder_features(context, context))
      ...         empty = vaeseq.Gaussian.standard_like(noise)
      ...         return vaeseq.Step(params, noise, empty, empty), state
      >>> vaeseq.VAE_TYPES["MEMORYLESS"] = Memoryless
      >>> class Bits(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.BernoulliDecoder())
      >>> model = Bits(vaeseq.HParams(vae_type="MEMORYLESS"))
      >>> model.log_prob(np.zeros([4, 10], np.int32)).shape
      TensorShape([4])
    """

    has_sequence_latent = False  # whether one z describes the whole sequence; see `begin`
    filters = False  # whether the posterior of z_t uses nothing after t
    rnn_cells: tuple[str, ...] = ("lstm",)  # the values of `hparams.rnn_cell` that it can use
    latent_kinds: tuple[str, ...] = ("gaussian",)  # those of `hparams.latent_kind`

    def __init__(
        self,
        hparams: HParams,
        encoder: Callable[[Nest], tf.Tensor],
        decoder: DistModule,
        name: str | None = None,
    ):
        super().__init__(name=name)
        if hparams.rnn_cell not in self.rnn_cells:
            raise UsageError(
                f"hparams: {hparams.vae_type} cannot use rnn_cell={hparams.rnn_cell}, only "
                f"{' or '.join(self.rnn_cells)}"
            )
        self.hparams, self.encoder, self.decoder = hparams, encoder, decoder
        self.latent_kind = make_kind(hparams)
        self.latent_size = self.latent_kind.size
        self.built = True  # its layers create their own weights

    @abc.abstractmethod
    def initial_state(self, batch_size: Size) -> Nest:
        """Returns the state before the first step, a nest of tensors [B, ...]."""

    @abc.abstractmethod
    def step(
        self,
        context: Nest,
        state: Any,
        noise: tf.Tensor,
        *,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Nest]:
        """Computes one time step: the definition of the core.

        A step is a deterministic function of its arguments: all randomness comes from `noise`.

        Args:
          context: c_t, a nest of [B, C_i].
          state: the state before the step, a nest like that of `initial_state`.
          noise: that of `latent_kind`, [B, Z]: standard normal, or Gumbel if z is categorical.
          evidence: the output of `encode` at this time step; None generates.
          latents: z_t [B, Z] to use instead of a sample.

        Returns:
          The step and the state after it.
        """

    def encode(
        self, contexts: Nest, observed: Nest, lengths: tf.Tensor | None = None
    ) -> tf.Tensor | None:
        """Summarises observed sequences for the posterior.

        Args:
          contexts: nest of [B, T, C_i].
          observed: nest of [B, T, *event_shape].
          lengths: [B] int32 >= 1, the number of valid steps of each sequence; None means T.

        Returns:
          The evidence [B, T, D]; None if the core has no latent variables.
        """
        if self.latent_size:
            raise NotImplementedError(f"{type(self).__name__} must define encode")
        return None

    def state_features(self, states: Any) -> tf.Tensor:
        """Returns what an agent sees of states: d_t and z_t [..., F], of one state or of all.

        These are known while a sequence goes on if the posterior filters or there are no latents.
        """
        raise NotImplementedError(f"{type(self).__name__} must define state_features")

    @property
    def posterior_layers(self) -> tuple[Any, ...]:
        """The layers that `encode` and q(z_t | ...) use, and p(x, z) does not.

        `self.encoder` is one of them if `step` does not use it: the model knows whether the context
        does. () if the core cannot tell; see `vaeseq.vae.lagging`.
        """
        return ()

    def begin(self, latents: tf.Tensor) -> Nest:
        """Returns the state before the first step of sequences that z [B, Z] describes.

        Raises:
          UsageError: if the core has no latent variable for the whole sequence.
        """
        raise self._no_sequence_latent()

    def posterior(self, evidence: tf.Tensor | None) -> Gaussian:
        """Returns q(z | x) of whole sequences, given the evidence of their first step [B, D].

        Raises:
          UsageError: if the core has no latent variable for the whole sequence.
        """
        raise self._no_sequence_latent()

    def _no_sequence_latent(self) -> UsageError:
        return UsageError(
            f"{self.hparams.vae_type} has no latent variable for the whole sequence; "
            "train with --hparams vae_type=SEQVAE"
        )

    def unroll(
        self,
        contexts: Nest,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
    ) -> tuple[Step, Nest]:
        """Computes all steps of a sequence, with the arguments of `step` for all of them.

        This default scans `step`. A core may override it with an implementation that gives the
        same results faster.

        Returns:
          The steps [B, T, ...] and the states after each step [B, T, ...].
        """

        def step(
            inputs: tuple[Nest, tf.Tensor, tf.Tensor | None, tf.Tensor | None], state: Nest
        ) -> tuple[tuple[Step, Nest], Nest]:
            context, noise, evidence, latents = inputs
            step, state = self.step(context, state, noise, evidence=evidence, latents=latents)
            return (step, state), state

        return scan(step, (contexts, noise, evidence, latents), state)[0]

    def unroll_particles(
        self,
        contexts: Nest,
        state: Any,
        noise: tf.Tensor,
        evidence: tf.Tensor | None,
        latents: tf.Tensor | None,
        num_particles: int,
    ) -> tuple[Step, Nest]:
        """Computes all steps of `num_particles` samples of the latents of each row, as `unroll`.

        This default repeats the rows. A core may override it with an implementation that computes
        once what does not depend on the latents.

        Args:
          contexts, state, evidence: see `unroll`, of B rows.
          noise, latents: see `unroll`, of B * num_particles rows; those of a row follow each other.
          num_particles: the number of samples.

        Returns:
          What `unroll` returns, of B * num_particles rows.
        """
        contexts, state, evidence = repeat_rows((contexts, state, evidence), num_particles)
        return self.unroll(contexts, state, noise, evidence, latents)

    def share(self, contexts: Nest, state: Any, evidence: tf.Tensor | None) -> tuple[Any, Any]:
        """Computes for all steps what all particles of a sequence have in common.

        A particle is a sample of the latents; see `vaeseq.vae.particles`. This default computes
        nothing. A core overrides it together with `step_shared`.

        Args:
          contexts: nest of [B, T, C_i].
          state: the state before the first step, [B, ...].
          evidence: the output of `encode`, [B, T, D].

        Returns:
          What `step_shared` takes, a nest of [B, T, ...], and the part of the state that each
          particle has of its own, a nest of [B, ...].
        """
        return (contexts, evidence), state

    def step_shared(self, shared: Any, state: Any, noise: tf.Tensor) -> tuple[Step, Any]:
        """Computes one time step as `step` does, from what `share` computed.

        Args:
          shared: the first result of `share` at this step, repeated for each particle.
          state: the particles' own state before the step, a nest like the second result of `share`.
          noise: see `step`.

        Returns:
          The step and the particles' own state after it.
        """
        context, evidence = shared
        return self.step(context, state, noise, evidence=evidence)

    def infer(
        self,
        contexts: Nest,
        observed: Nest,
        state: Nest,
        noise: tf.Tensor,
        lengths: tf.Tensor | None = None,
        evidence: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
        num_particles: int = 1,
    ) -> Inference:
        """Infers the latents of observed sequences.

        Args:
          contexts: nest of [B, T, C_i], from `Context.from_observations`.
          observed: nest of [B, T, *event_shape].
          state: the state before the first step.
          noise: [B, T, Z], see `step`.
          lengths: [B] int32 >= 1, the number of valid steps of each sequence; None means T.
          evidence: [B, T, D], if `observed` is part of a longer sequence that `encode` has seen
            already; None encodes `observed`.
          latents: z_1:T [B, T, Z] to use instead of samples of the posterior.
          num_particles: the number of samples of the latents of each row. The noise, the given
            latents and the result then have B * num_particles rows.
        """
        if evidence is None:
            evidence = self.encode(contexts, observed, lengths)
        if num_particles == 1:
            steps, states = self.unroll(contexts, state, noise, evidence, latents)
        else:
            steps, states = self.unroll_particles(
                contexts, state, noise, evidence, latents, num_particles
            )
            observed, lengths = repeat_rows((observed, lengths), num_particles)
        log_prob = masked.log_prob(self.decoder, steps.obs_params, observed)
        if log_prob.shape.rank != 2:
            raise ValueError(
                f"log_prob of {type(self.decoder).__name__} must return one number for each "
                f"observation, [B, T], not {log_prob.shape}"
            )
        z = (steps.posterior, steps.prior, steps.latents)
        log_ratio = tf.reduce_sum(divergence.log_ratio(*z), axis=-1)
        mask = None
        if lengths is not None:
            mask = tf.sequence_mask(lengths, tf.shape(log_prob)[1])
            log_prob, log_ratio = (tf.where(mask, x, 0.0) for x in (log_prob, log_ratio))
        hparams = self.hparams
        if latents is not None:  # they may come from elsewhere than q
            hparams = hparams.replace(use_monte_carlo_kl=False)
        kl = divergence.kl(hparams, *z, mask)
        return Inference(log_prob, kl, log_ratio, steps, states)

    def generate(
        self,
        context: Context,
        inputs: Nest,
        states: tuple[Nest, Nest],
        noise: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor | None = None,
        latents: tf.Tensor | None = None,
        given: tuple[Nest, tf.Tensor] | None = None,
        alike: bool = False,
    ) -> tuple[Nest, tuple[Nest, Nest]]:
        """Samples observations; each becomes part of the context of the next.

        Args:
          context: computes c_t from the observations so far.
          inputs: nest of [B, T, ...]; () if there are none.
          states: the states of the context and of the core before the first step.
          noise: [B, T, Z], see `step`; it also makes the temperature of z.
          seed: stateless seed, int32 [2].
          temperature: samples x_t from a density proportional to p^(1 / temperature); None samples
            from p.
          latents: z_1:T [B, T, Z] to use instead of samples.
          given: observations [B, T, *event_shape], and bool [B, T]: where to use them instead of
            samples.
          alike: whether all rows sample x_t with the same noise.

        Returns:
          Observations, a nest of [B, T, *event_shape], and the two states after the last step.
        """

        def seed_of_step(t: tf.Tensor) -> tf.Tensor:
            return tf.random.experimental.stateless_fold_in(seed, t)

        seeds = tf.vectorized_map(seed_of_step, tf.range(tf.shape(noise)[1]))
        sample = self.decoder.sample_alike if alike else self.decoder.sample

        def step(
            step_inputs: tuple[
                Nest, tf.Tensor, tf.Tensor, tf.Tensor | None, tuple[Nest, tf.Tensor] | None
            ],
            states: tuple[Nest, Nest],
        ) -> tuple[Nest, tuple[Nest, Nest]]:
            inputs, noise, seed, latents, given = step_inputs
            context_state, state = states
            step, state = self.step(context(inputs, context_state), state, noise, latents=latents)
            params = step.obs_params
            if temperature is not None:
                params = self.decoder.temper(params, temperature)
            params = finite.assert_samplable(params)
            observed = replicas.own_samples(lambda x: sample(x, seed[0]), params)
            if given is not None:
                observed = where_row(given[1], given[0], observed)
            return observed, (context.observe(observed, context_state), state)

        return scan(step, (inputs, noise, seeds[None], latents, given), states)

    def decoder_features(self, features: Nest, context: Nest) -> tf.Tensor:
        """Returns the decoder's input: the features, then what it sees of c_t.

        It sees c_t if `hparams.decoder_sees_context`, and the last part of a `context.Split`. Then
        p(x_t | ...) has an arrow from c_t besides those of the graphical model.

        Args:
          features: nest of [..., D_i], of one step or of all.
          context: c_t, or all contexts.

        Returns:
          One tensor [..., D], the concatenation.

        Raises:
          ValueError: if the decoder takes another number of features.
        """
        seen = core_part(context) if self.hparams.decoder_sees_context else ()
        joined = concat((features, seen, context.decoder if isinstance(context, Split) else ()))
        size, given = getattr(self.decoder, "param_size", None), joined.shape[-1]
        if size not in (None, given):
            raise ValueError(
                f"{type(self.decoder).__name__} takes {size} features (its param_size), but the "
                f"{self.hparams.vae_type} core gives {given}; put an MLP before it, as "
                "codec.MLPObsDecoder(hparams, decoder) does"
            )
        return joined

    def decode(self, features: tf.Tensor) -> Nest:
        """Returns the observation params of all steps, given features [B, T, D]."""
        return over_time(self.decoder, features)
