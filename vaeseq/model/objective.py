"""The bound that a model is trained with, computed from a batch; see `vaeseq.vae.bounds`."""

import functools

import keras
import tensorflow as tf

from vaeseq.model.wiring import State, WiredModel
from vaeseq.nn import replicas
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import repeat_rows
from vaeseq.nn.types import Nest, Seed, Size
from vaeseq.training.private_api import seed_states
from vaeseq.vae import bounds
from vaeseq.vae.bounds import Bound, Strength
from vaeseq.vae.core import Inference

_RESAMPLING = -1  # a purpose of the random seed; layers such as dropout have 0, 1, ...


def bound(
    model: WiredModel,
    prepared: tuple[Nest, Nest, tf.Tensor | None],
    state: State | None,
    seed: Seed,
    strength: Strength,
    has_gradient: bool,
) -> Bound:
    """Computes the bound that `model.hparams` names.

    Args:
      model: the model.
      prepared: observations, inputs and lengths, from `model.prepare`.
      state: the state before the first step; None is the initial state.
      seed: of the noise of the latents and of the resampling.
      strength: the weight of the KL.
      has_gradient: whether the gradient matters, or the value alone.
    """
    observed, inputs, lengths = prepared
    core, K = model.core, bounds.num_particles(model.core)
    rows, time = tf.unstack(tf.shape(tf.nest.flatten(observed)[0])[:2])
    state = state or model.initial_state(rows)
    noise = model.noise(rows * K, time, seed)
    # All particles of a sequence have the same observations, so what depends on these alone is
    # computed once.
    given = model.condition(observed, inputs, lengths, state.context)
    contexts, observed, evidence = given.contexts, given.observed, given.evidence
    if core.hparams.objective == "fivo" and not bounds.is_elbo(core):
        uniforms = _uniforms(rows, time, seed)
        args = contexts, observed, evidence, state.core, noise, uniforms, lengths, strength
        return bounds.fivo(core, *args)
    infer = functools.partial(
        core.infer, contexts, observed, state.core, noise, lengths, evidence, num_particles=K
    )
    seeds = [(x, tf.identity(x.value)) for x in seed_states(model)]
    inference = infer()

    def replay(latents: tf.Tensor) -> Inference:
        # The same dropout again, and no second effect on variables and on `losses`.
        with keras.StatelessScope(state_mapping=seeds):
            return infer(latents=latents)

    needs_replay = has_gradient and core.hparams.estimator != "plain" and core.latent_size > 0
    gradient = bounds.Replay(replay, repeat_rows(lengths, K)) if needs_replay else None
    if bounds.is_elbo(core):
        return bounds.elbo(core, inference, gradient)
    return bounds.iwae(core, inference, strength, gradient)


def _uniforms(rows: Size, time: Size, seed: Seed) -> tf.Tensor:
    """Returns random numbers from 0 to 1, [B, T]; each replica has the rows of its part."""
    folded = tf.random.experimental.stateless_fold_in(stateless_seed(seed), _RESAMPLING)
    return replicas.own_rows(lambda shape: tf.random.stateless_uniform(shape, folded), [rows, time])
