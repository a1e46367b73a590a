"""How probable a model finds long sequences, read window by window with the state carried on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from vaeseq.model.base import ModelBase, State
from vaeseq.nn.sequences import last
from vaeseq.vae import objectives

_STEPS_BETWEEN_DRAWS = 8


class Score(NamedTuple):
    """Of each row that was read, in nats, [B]. In expectation elbo <= bound <= log p(x)."""

    elbo: np.ndarray  # log_prob - kl along the inferred latents
    kl: np.ndarray
    bound: np.ndarray  # the importance-weighted bound; exact for a core without latents

    @property
    def best(self) -> np.ndarray:
        """The higher of the two bounds of all rows."""
        return max(self.bound, self.elbo, key=np.sum)


Span = tuple[int, int]  # from the first to after the last


def windows(
    sequence: Any, spans: Sequence[Span], width: int
) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Parts of a long sequence side by side, window by window: what `WindowScorer.read` takes.

    Args:
      sequence: whatever can be sliced to arrays [N, ...].
      spans: where the rows of the windows begin and end in it.
      width: of a window.

    Yields:
      Windows [B, width, ...], zeros after the end of a row, and how much of each row is in them.
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


def in_windows(
    sequence: Any, spans: Sequence[Span], width: int, rows: int
) -> Iterator[tuple[np.ndarray, list[int]]]:
    """All of the spans of a long sequence cut to windows, `rows` of them at once; see `windows`."""
    cut = [(at, min(at + width, end)) for begin, end in spans for at in range(begin, end, width)]
    for first in range(0, len(cut), rows):
        yield from windows(sequence, cut[first : first + rows], width)


def score(model: ModelBase, num_samples: int, read: Callable[["WindowScorer"], Score]) -> Score:
    """The ELBO along one particle, which is never drawn again, and the bound of `num_samples`.

    Args:
      model: the model.
      num_samples: particles of the bound.
      read: scores what is to be scored with a `WindowScorer`.
    """
    one = read(WindowScorer(model))
    reader = WindowScorer(model, num_samples)
    return one if reader.num_samples == 1 else one._replace(bound=read(reader).bound)


class WindowScorer:
    """Scores rows of sequences that are longer than can be read at once.

    Each row is followed by `num_samples` particles, each with its own state. Every few steps the
    log of their mean weight adds to the bound, and they are drawn again in proportion to their
    weights, which keeps the product of the means an unbiased estimate of p(x): a bound by
    Jensen's inequality (FIVO, Maddison et al. 2017, arXiv:1705.09279, with proposals that know the
    whole window). One particle is enough without latents.

    Args:
      model: what reads.
      num_samples: particles a row.
    """

    def __init__(self, model: ModelBase, num_samples: int = 1):
        self.model = model
        self.num_samples = num_samples if model.core.latent_size else 1
        self._read = tf.function(self._read_window, reduce_retracing=True, autograph=False)

    def read(
        self, windows: Iterable[tuple[Any, Any]], state: State | None = None, seed: int = 0
    ) -> tuple[Score, State]:
        """Reads windows one after another.

        Args:
          windows: pairs of observed, a nest of [B, T, ...], and lengths, int [B], 0 where a row
            has ended.
          state: the state that an earlier call returned; None starts anew.
          seed: of the latents' noise and of the particles' choice.

        Returns:
          The score, and the state after the last window, of B * num_samples rows.
        """
        totals: Any = 0.0
        for index, (observed, lengths) in enumerate(windows):
            if state is None:
                rows = len(lengths) * self.num_samples
                state = self.model.initial_state(rows)
            seeds = tf.random.experimental.stateless_split([seed, index], 2)
            scores, state = self._read(observed, tf.constant(lengths, tf.int32), state, seeds)
            totals += np.asarray(scores, np.float64)
        if state is None:
            raise ValueError("there are no windows to read")
        return Score(*totals), state

    def _read_window(
        self, observed: Any, lengths: tf.Tensor, state: State, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, State]:
        model, K = self.model, self.num_samples
        repeat = lambda x: None if x is None else tf.repeat(x, K, axis=0)  # noqa: E731
        # All particles of a row have seen the same, and share what depends on nothing else.
        observed, inputs = model.as_sequences(observed)
        before = tf.nest.map_structure(lambda x: x[::K], state.context)
        contexts, context_states = model.context.from_observations(observed, inputs, before)
        evidence = model.core.encode(contexts, observed, lengths)
        sequences = tf.nest.map_structure(repeat, (contexts, observed, evidence))
        context_state = tf.nest.map_structure(repeat, last(context_states, lengths))
        steps = tf.shape(tf.nest.flatten(observed)[0])[1]
        noise = model.noise(tf.shape(lengths)[0] * K, steps, seeds[0])
        every = steps if K == 1 else _STEPS_BETWEEN_DRAWS

        def read(start: Any, scores: tf.Tensor, core_state: Any) -> Any:
            end = tf.minimum(start + every, steps)
            part = tf.nest.map_structure(
                lambda x: None if x is None else x[:, start:end], (*sequences, noise)
            )
            part_lengths = repeat(tf.clip_by_value(lengths - start, 0, end - start))
            seed = tf.random.experimental.stateless_fold_in(seeds[1], start)
            part_scores, after = self._read_part(part, core_state, part_lengths, seed)
            # A loop's shapes stay as they are, and those after a draw of rows are not known.
            totals = tf.ensure_shape(scores + part_scores, scores.shape)
            after = tf.nest.map_structure(
                lambda x, y: tf.ensure_shape(x, y.shape), after, core_state
            )
            return end, totals, after

        scores = tf.zeros([len(Score._fields), tf.shape(lengths)[0]])
        _, scores, core_state = tf.while_loop(
            lambda start, *_: start < steps, read, (0, scores, state.core)
        )
        return scores, State(context_state, core_state)

    def _read_part(
        self,
        part: tuple[Any, Any, Any, tf.Tensor],
        state: Any,
        lengths: tf.Tensor,
        seed: tf.Tensor,
    ) -> tuple[tf.Tensor, Any]:
        """Scores a few steps, and draws the particles again."""
        K = self.num_samples
        contexts, observed, evidence, noise = part
        inference = self.model.core.infer(contexts, observed, state, noise, lengths, evidence)
        log_weights = tf.reshape(objectives.log_weight(inference), [-1, K])  # [B, K]
        bound = objectives.importance_weighted_bound(tf.transpose(log_weights))
        particles = (objectives.elbo(inference), tf.reduce_sum(inference.kl, axis=1))
        means = [tf.reduce_mean(tf.reshape(x, [-1, K]), axis=1) for x in particles]
        chosen = tf.random.stateless_categorical(log_weights, K, seed, dtype=tf.int32)
        rows = tf.reshape(chosen + K * tf.range(tf.shape(chosen)[0])[:, None], [-1])
        state = tf.nest.map_structure(lambda x: tf.gather(x, rows), last(inference.states, lengths))
        return tf.stack([*means, bound]), state
