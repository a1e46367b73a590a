"""Likelihoods of long sequences, computed window by window with the state carried on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from vaeseq.model.sequence_model import SequenceModel
from vaeseq.model.wiring import State
from vaeseq.nn.sequences import last, repeat_rows, replace_padding, where_row
from vaeseq.nn.support import check_observed
from vaeseq.nn.types import Nest, Tensor
from vaeseq.training.private_api import compile_quietly
from vaeseq.vae import bounds, objectives, particles

_NOTHING_TO_SCORE = "windows: there are none to score"

Span = tuple[int, int]
"""A part of a sequence: its first step, and the step after its last."""


class Sliceable(Protocol):
    """An array [N, ...], or an object that slices to one, such as a file."""

    def __getitem__(self, steps: slice, /) -> np.ndarray:
        """Returns some of the N steps."""


class Score(NamedTuple):
    """Bounds of the log-likelihood of each row in nats, [B].

    In expectation, elbo <= bound <= log p(x).
    """

    elbo: np.ndarray  # log_prob - kl of the sampled latents
    kl: np.ndarray
    bound: np.ndarray  # the importance-weighted bound; exact for a core without latents

    @property
    def best(self) -> np.ndarray:
        """The bound with the higher sum over all rows, elbo or bound."""
        return max(self.bound, self.elbo, key=np.sum)


def consecutive_windows(
    sequence: Sliceable, spans: Sequence[Span], width: int
) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Yields all spans of a long sequence side by side, one window after another.

    Args:
      sequence: the sequence, [N, ...].
      spans: the rows of the windows, as spans of `sequence`.
      width: the number of steps in a window.

    Yields:
      Windows [B, width, ...], zero after the end of a row, and the number of steps in each row.
    """
    longest = max(end - begin for begin, end in spans)
    for offset in range(0, longest, width):
        starts = [min(begin + offset, end) for begin, end in spans]
        parts = [
            sequence[start : min(start + width, end)]
            for start, (_, end) in zip(starts, spans, strict=True)
        ]
        observed = np.zeros([len(parts), width, *parts[0].shape[1:]], parts[0].dtype)
        for row, part in zip(observed, parts, strict=True):
            row[: len(part)] = part
        yield observed, [len(part) for part in parts]


def separate_windows(
    sequence: Sliceable, spans: Sequence[Span], width: int, rows: int
) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Yields all spans of a long sequence, cut to windows that each are a sequence of their own.

    Args:
      sequence, spans, width: see `consecutive_windows`.
      rows: the largest number of windows to yield together.

    Yields:
      Windows [B, width, ...], zero after the end of a row, and the number of steps in each row.
    """
    cut = [(at, min(at + width, end)) for begin, end in spans for at in range(begin, end, width)]
    for first in range(0, len(cut), rows):
        yield from consecutive_windows(sequence, cut[first : first + rows], width)


def score(
    model: SequenceModel, num_samples: int, score_data: Callable[["WindowScorer"], Score]
) -> Score:
    """Scores data with one particle for the ELBO and `num_samples` particles for the bound.

    One particle is never resampled, so its ELBO is that of one sample of all latents.

    Args:
      model: the model.
      num_samples: the number of particles of the bound.
      score_data: function that scores the data with a given `WindowScorer`.
    """
    single = score_data(WindowScorer(model))
    scorer = WindowScorer(model, num_samples)
    if scorer.num_samples == 1:
        return single
    return single._replace(bound=score_data(scorer).bound)


def objective_scorer(model: SequenceModel) -> "WindowScorer":
    """Returns a scorer with as many particles as the objective of a model's training has."""
    core = model.core
    return WindowScorer(model, 1 if bounds.is_elbo(core) else bounds.num_particles(core))


def validation_metrics(model: SequenceModel, score: Score, num_steps: int) -> dict[str, float]:
    """Returns the metrics of a score by `objective_scorer`, means per step in nats.

    valid_loss is the negative ELBO with the KL at its final weight, which the best weights are
    chosen by, or the negative bound if the objective is another one; also valid_elbo, valid_kl, and
    then valid_bound.
    """
    weight = model.hparams.divergence_strength_end
    loss = -score.elbo - (1 - weight) * score.kl
    totals = {"valid_loss": loss, "valid_elbo": score.elbo, "valid_kl": score.kl}
    if not bounds.is_elbo(model.core):
        totals |= {"valid_loss": -score.bound, "valid_bound": score.bound}
    return {name: float(np.sum(x) / num_steps) for name, x in totals.items()}


class _Steps(NamedTuple):
    """What the core needs to infer some steps of a window: nests of [B * K, T, ...]."""

    contexts: Nest
    observed: Nest
    evidence: tf.Tensor | None
    noise: tf.Tensor


class _Particles(NamedTuple):
    """Particles after some step."""

    state: Nest  # the state of the core, a nest of [B * K, ...]
    log_weights: tf.Tensor  # normalised, [B, K]


class WindowScorer:
    """Scores sequences that are too long to be scored by one call of the model.

    `num_samples` particles follow each row, each with its own state and weight. Every few steps,
    the log of their mean weight is added to the bound, and the rows whose effective sample size is
    below half of the particles are resampled; at the end of a window, all rows are. The product of
    the mean weights stays an unbiased estimate of p(x), so the bound is one by Jensen's inequality
    (FIVO, Maddison et al. 2017, arXiv:1705.09279, with proposals that know the whole window). A
    core without latents needs one particle only. See `vaeseq.vae.particles`.

    Args:
      model: the model.
      num_samples: the number of particles of each row.
      steps_between_resampling: the number of steps after which particles may be resampled.
    """

    def __init__(
        self, model: SequenceModel, num_samples: int = 1, steps_between_resampling: int = 8
    ):
        self.model = model
        self.num_samples = num_samples if model.core.latent_size else 1
        self.steps_between_resampling = steps_between_resampling
        self._compiled = compile_quietly(self._score_window)

    def score(
        self,
        windows: Iterable[tuple[Nest, Tensor | Sequence[int]]],
        state: State | None = None,
        seed: int = 0,
    ) -> tuple[Score, State]:
        """Scores consecutive windows.

        Args:
          windows: pairs of observations, a nest of [B, T, ...], and lengths, int [B]: the number
            of steps in each row, 0 if the row has ended.
          state: the state that an earlier call returned; None starts at the initial state.
          seed: of the noise of the latents and of the resampling.

        Returns:
          The score, and the state after the last window, of B * num_samples rows.

        Raises:
          ValueError: if there are no windows, or if the decoder excludes an observed number.
        """
        totals = np.zeros(())
        for index, (observed, lengths) in enumerate(windows):
            if state is None:
                state = self.model.initial_state(len(lengths) * self.num_samples)
            check_observed(self.model.decoder.support, observed, lengths)
            seeds = tf.random.experimental.stateless_split([seed, index], 2)
            scores, state = self._compiled(observed, tf.constant(lengths, tf.int32), state, seeds)
            totals = totals + np.asarray(scores, np.float64)
        if state is None or not totals.shape:
            raise ValueError(_NOTHING_TO_SCORE)
        return Score(*totals), state

    def score_apart(
        self,
        windows: Iterable[tuple[Nest, Tensor | Sequence[int]]],
        state: State | None = None,
        seed: int = 0,
    ) -> Score:
        """Scores consecutive windows, each with latents of its own.

        A core with one latent for a whole sequence is trained on windows and does not know longer
        sequences. A window shares nothing with the one before it but the last observation.

        Args:
          windows, seed: see `score`.
          state: see `score`; only its context counts.

        Raises:
          ValueError: see `score`.
        """
        scores = []
        for index, (observed, lengths) in enumerate(windows):
            begin = self.model.initial_state(len(lengths) * self.num_samples)
            state = begin if state is None else state._replace(core=begin.core)
            score, state = self.score([(observed, lengths)], state, seed + index)
            scores.append(score)
        if not scores:
            raise ValueError(_NOTHING_TO_SCORE)
        return Score(*np.sum(scores, axis=0))

    def _score_window(
        self, observed: Nest, lengths: tf.Tensor, state: State, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, State]:
        steps, context_state = self._prepare(observed, lengths, state, seeds[0])
        end = tf.shape(steps.noise)[1]
        stride = end if self.num_samples == 1 else self.steps_between_resampling
        row_lengths = tf.repeat(lengths, self.num_samples)

        def uniforms(t: tf.Tensor) -> tf.Tensor:
            seed = tf.random.experimental.stateless_fold_in(seeds[1], t)
            return tf.random.stateless_uniform(tf.shape(lengths), seed)

        def score_next(
            start: tf.Tensor, scores: tf.Tensor, particles_before: _Particles
        ) -> tuple[Nest, ...]:
            stop = tf.minimum(start + stride, end)
            chunk_scores, after = self._score_chunk(
                _slice(steps, start, stop),
                particles_before,
                tf.clip_by_value(row_lengths - start, 0, stop - start),
                uniforms(start),
            )
            # A loop must keep its shapes.
            after = tf.nest.map_structure(_with_shape_of, after, particles_before)
            return stop, _with_shape_of(scores + chunk_scores, scores), after

        rows, K = tf.shape(lengths)[0], self.num_samples
        scores = tf.zeros([len(Score._fields), rows])
        equal = tf.fill([rows, K], particles.equal(K))
        _, scores, after = tf.while_loop(
            lambda start, *_: start < end, score_next, (0, scores, _Particles(state.core, equal))
        )
        core_state = after.state
        if K > 1:  # a state has no weights, so the particles must have equal ones
            core_state = particles.take(
                core_state, particles.systematic(after.log_weights, uniforms(end))
            )
        return scores, State(context_state, core_state)

    def _prepare(
        self, observed: Nest, lengths: tf.Tensor, state: State, seed: tf.Tensor
    ) -> tuple[_Steps, Nest]:
        """Returns what the core needs for a window, and the state of the context after it."""
        model, K = self.model, self.num_samples
        # All particles of a row have the same past observations, so what depends on these alone
        # is computed once for each row.
        observed, inputs, _ = model.prepare(observed)
        observed = replace_padding(observed, lengths, model.neutral_observations)
        before = tf.nest.map_structure(lambda x: x[::K], state.context)
        given = model.condition(observed, inputs, lengths, before)
        after = where_row(lengths > 0, last(given.context_states, lengths), before)
        given, context_state = repeat_rows((given, after), K)
        rows, steps = tf.shape(lengths)[0] * K, tf.shape(tf.nest.flatten(observed)[0])[1]
        noise = model.noise(rows, steps, seed)
        return _Steps(given.contexts, given.observed, given.evidence, noise), context_state

    def _score_chunk(
        self, steps: _Steps, before: _Particles, lengths: tf.Tensor, uniforms: tf.Tensor
    ) -> tuple[tf.Tensor, _Particles]:
        """Scores a few steps, and resamples the rows with few effective particles.

        Returns:
          The fields of `Score` stacked, [3, B], and the particles.
        """
        K = self.num_samples
        inference = self.model.core.infer(
            steps.contexts, steps.observed, before.state, steps.noise, lengths, steps.evidence
        )
        log_weights = tf.reshape(objectives.log_weight(inference), [-1, K])  # [B, K]
        bound, log_weights = particles.normalise(before.log_weights + log_weights)
        of_particles = (objectives.elbo(inference), tf.reduce_sum(inference.kl, axis=1))
        means = [tf.reduce_mean(tf.reshape(x, [-1, K]), axis=1) for x in of_particles]
        states = where_row(lengths > 0, last(inference.states, lengths), before.state)
        after = particles.resample_if_few(log_weights, uniforms, states)
        return tf.stack([*means, bound]), _Particles(after[1], after[0])


def _slice(steps: _Steps, start: tf.Tensor, stop: tf.Tensor) -> _Steps:
    """Returns the steps from `start` to before `stop`."""
    part: _Steps = tf.nest.map_structure(lambda x: None if x is None else x[:, start:stop], steps)
    return part


def _with_shape_of(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(x, like.shape)
