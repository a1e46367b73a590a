"""What observed sequences say about their latents, as NumPy arrays."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.model.sequence_model import SequenceModel
from vaeseq.model.wiring import Conditions, State
from vaeseq.nn import convert, masked
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import num_rows, repeat_rows
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.training.private_api import compile_quietly
from vaeseq.vae import particle_filter, particles
from vaeseq.vae.latent import LatentParams
from vaeseq.vae.particle_filter import Tracks

_ROWS_AT_ONCE = 2048


class Smoothing(NamedTuple):
    """What observed sequences say about their latents, from N samples of each; NumPy arrays.

    All of it estimates the true posterior p(z_1:T | x_1:T) of the model, to which it tends as N
    grows, and not the approximate posterior that proposes the samples.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Series(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.Flatten()
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([3]))
      >>> model = Series(vaeseq.HParams(vae_type="ISEQ", latent_size=2, rnn_hidden_sizes=(8,)))
      >>> smoothing = model.smooth(np.zeros([4, 10, 3]), num_samples=5)
      >>> smoothing.mean.shape, smoothing.latents.shape, smoothing.bound.shape
      ((4, 10, 2), (5, 4, 10, 2), (4, 10))
    """

    mean: np.ndarray  # of z_t given x_1:T [B, T, Z]; probabilities, if z is categorical
    stddev: np.ndarray  # of z_t given x_1:T [B, T, Z]
    latents: np.ndarray  # samples of z_1:T, of equal weight; some may be equal [N, B, T, Z]
    log_prob: np.ndarray  # mean of log p(x_t | x_1:t-1, z_1:t) over the samples, in nats [B, T]
    kl: np.ndarray  # mean over the samples of the KL from prior to q(z_t | ...), in nats [B, T]
    bound: np.ndarray  # importance-weighted log p(x_t | x_1:t-1), in nats [B, T]
    observed: Any  # samples of p(x_t | x_1:t-1, z_1:t), reconstructions: nest of [N, B, T, ...];
    # elements that are missing also depend on those of x_t that are observed
    effective_sample_size: np.ndarray  # from 1 to N: how many samples of z_t count [B, T]


class SmoothingModel(SequenceModel):
    """A sequence model that infers its latents with particles; see `ModelBase`."""

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        self._smooth = compile_quietly(self._smooth_eagerly)
        self._filter = compile_quietly(self._filter_eagerly)

    def smooth(
        self,
        observed: Nest,
        num_samples: int = 64,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        seed: Seed = 0,
    ) -> Smoothing:
        """Returns what observed sequences say about their latents, as NumPy arrays.

        The approximate posterior q proposes `num_samples` particles of each sequence, and they have
        the weights p(x, z) / q(z). Where few of them are effective, they are resampled, as in a
        particle filter, and z_t has the weights of all that comes from it up to the end. If one z
        describes the whole sequence, it is not resampled.

        Every resampling leaves fewer samples of the steps before it. If `effective_sample_size` is
        below about 10, mean and deviation are rough: use more samples.

        Args:
          observed, inputs, lengths, observed_mask: see `infer`.
          num_samples: N, the number of particles of each row.
          seed: of all that is sampled.

        Returns:
          Posterior means, deviations and samples of z, log-likelihoods of each step, and
          reconstructions. The sum of `bound` over the steps is a lower bound of log p(x) like that
          of `log_prob`, and closer to it if particles are resampled; it is exact without latents.
          What is behind `lengths` is 0 in `log_prob`, `kl` and `bound`, and has no meaning
          elsewhere.

        Raises:
          ValueError: if an argument is not as expected.
        """
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        smoothing = Smoothing(*_by_rows(self._smooth, prepared, num_samples, seed))
        return smoothing._replace(
            latents=_samples_first(smoothing.latents),
            observed=tf.nest.map_structure(_samples_first, smoothing.observed),
        )

    def filter(
        self,
        observed: Nest,
        num_samples: int = 64,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        seed: Seed = 0,
    ) -> LatentParams:
        """Returns what each step tells about its latents with all before it, and nothing after it.

        This is a particle filter that the approximate posterior proposes for: the result tends to
        the true p(z_t | x_1:t) of the model as `num_samples` grows.

        Args:
          observed, inputs, lengths, observed_mask: see `infer`.
          num_samples: N, the number of particles of each row.
          seed: of all that is sampled.

        Returns:
          What is known of z_t given x_1:t, as NumPy arrays: a `Gaussian`, mean and standard
          deviation [B, T, Z], or a `Categorical`, probabilities [B, T, G, C]. Steps after `lengths`
          have no meaning.

        Raises:
          UsageError: if the core has no latents, or a posterior that needs what follows t.
          ValueError: if an argument is not as expected.
        """
        if not self.core.filters:
            raise UsageError(self._why_no_filter())
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        moments = _by_rows(self._filter, prepared, num_samples, seed)
        params: LatentParams = self.core.latent_kind.from_moments(*moments)
        return params

    def _why_no_filter(self) -> str:
        """Returns why `filter` is not possible, and what is."""
        filtering = "a core that filters, such as vae_type=VRNN, gives that of z_t given x_1:t"
        core = self.hparams.vae_type
        if self.core.latent_size == 0:
            return f"{core} has no latent variables; {filtering}"
        return (
            f"the posterior of {core} needs the whole sequence: `smooth` gives the distribution of "
            f"z_t given x_1:T; {filtering}"
        )

    def _smooth_eagerly(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        num_samples: int,
        seed: tf.Tensor,
    ) -> tuple[Any, ...]:
        """Returns the fields of `Smoothing`, with B before N."""
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
        state, given, noise, tracks = self._track(observed, inputs, lengths, num_samples, seeds[0])
        ancestors, log_weights = particles.lineage(tracks.chosen), tracks.log_weights[:, -1]
        paths = tf.gather(_by_step(tracks.latents, num_samples), ancestors, batch_dims=2)
        mean, stddev = particles.moments(log_weights[:, None], paths)
        uniforms = tf.random.stateless_uniform(tf.shape(log_weights)[:1], seeds[1])
        chosen = particles.systematic(log_weights, uniforms)
        latents = tf.transpose(tf.gather(paths, chosen, axis=2, batch_dims=1), [0, 2, 1, 3])
        inference = self.core.infer(
            given.contexts,
            given.observed,
            state.core,
            noise,
            lengths,
            given.evidence,
            tf.ensure_shape(tf.reshape(latents, tf.shape(noise)), noise.shape),
            num_samples,
        )
        repeated = repeat_rows(observed, num_samples)
        params = inference.steps.obs_params
        sampled = self.decoder.sample(params, seeds[2])
        if isinstance(repeated, masked.Masked):
            missing = self.decoder.sample(masked.given(self.decoder, params, repeated), seeds[2])
            sampled = tf.nest.map_structure(tf.where, repeated.is_observed, sampled, missing)
        log_prob, kl, *sampled_flat = (
            tf.reshape(x, tf.concat([[-1, num_samples], tf.shape(x)[1:]], 0))
            for x in (inference.log_prob, inference.kl, *tf.nest.flatten(sampled))
        )
        return (
            mean,
            stddev,
            latents,
            tf.reduce_mean(log_prob, axis=1),
            tf.reduce_mean(kl, axis=1),
            tracks.increments,
            tf.nest.pack_sequence_as(sampled, sampled_flat),
            particles.ancestral_sample_size(log_weights, ancestors),
        )

    def _filter_eagerly(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        num_samples: int,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean and the standard deviation of z_t given x_1:t, [B, T, Z]."""
        *_, tracks = self._track(observed, inputs, lengths, num_samples, seed)
        return particles.moments(tracks.log_weights, _by_step(tracks.latents, num_samples))

    def _track(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        num_samples: int,
        seed: tf.Tensor,
    ) -> tuple[State, Conditions, tf.Tensor, Tracks]:
        """Returns the particles, and what they come from: initial state, conditions and noise."""
        rows, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
        state = self.initial_state(rows)
        given = self.condition(observed, inputs, lengths, state.context)
        of_noise, of_uniforms = tf.unstack(tf.random.experimental.stateless_split(seed))
        noise = self.noise(rows * num_samples, time, of_noise)
        arguments = self.core, given.contexts, given.observed, given.evidence, state.core, noise
        if self.core.has_sequence_latent or not self.core.latent_size:
            tracks = particle_filter.weigh(*arguments, num_samples, lengths)
        else:
            uniforms = tf.random.stateless_uniform([rows, time], of_uniforms)
            tracks = particle_filter.follow(*arguments, uniforms, num_samples, lengths)
        return state, given, noise, tracks


def _by_rows(
    function: Callable[..., Any], prepared: tuple[Any, ...], num_samples: int, seed: Seed
) -> Any:
    """Calls a function for some rows at a time; returns a nest of NumPy arrays [B, ...].

    Args:
      function: takes observations, inputs, lengths, the number of samples and a seed.
      prepared: observations, inputs and lengths, nests of [B, ...].
      num_samples: the number of samples of each row.
      seed: of all rows.

    Raises:
      ValueError: if there are no rows, or if the number of samples is below 1.
    """
    num_samples = convert.as_count("num_samples", num_samples)
    if num_rows(prepared[0]) < 1:
        raise ValueError("observed has no rows")
    at_once = max(1, _ROWS_AT_ONCE // num_samples)
    parts = []
    for start in range(0, num_rows(prepared[0]), at_once):

        def part(x: tf.Tensor | None, start: int = start) -> tf.Tensor | None:
            return None if x is None else x[start : start + at_once]

        folded = tf.random.experimental.stateless_fold_in(stateless_seed(seed), start)
        results = function(*tf.nest.map_structure(part, prepared), num_samples, folded)
        parts.append(tf.nest.map_structure(lambda x: x.numpy(), results))
    return tf.nest.map_structure(lambda *x: np.concatenate(x), *parts)


def _by_step(x: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Returns what belongs to particles, [B * K, T, Z], as [B, T, K, Z]."""
    _, time, size = x.shape
    time = tf.shape(x)[1] if time is None else time
    rows = tf.shape(x)[0] // num_samples
    return tf.transpose(tf.reshape(x, [rows, num_samples, time, size]), [0, 2, 1, 3])


def _samples_first(x: np.ndarray) -> np.ndarray:
    """Returns an array [B, N, ...] as [N, B, ...]."""
    return np.swapaxes(x, 0, 1)
