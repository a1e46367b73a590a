"""How probable a model finds long sequences, read window by window with the state carried on."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import tensorflow as tf

from vaeseq import objectives
from vaeseq.model import ModelBase, State


class Score(NamedTuple):
    """Sums over all that was read, in nats. In expectation elbo <= bound <= log p(x)."""

    elbo: float  # log_prob - kl along the inferred latents
    kl: float
    bound: float  # the importance-weighted bound; exact for a core without latents


class Reader:
    """Scores rows of sequences that are longer than can be read at once.

    Each row is followed by `num_samples` particles, each with its own state. The log of their mean
    weight over a window adds to the bound, and before the next window the particles are drawn
    again in proportion to their weights, which keeps the product of the means an unbiased
    estimate of p(x): a bound by Jensen's inequality (as in FIVO, Maddison et al. 2017,
    arXiv:1705.09279, with the window as the step). One particle is enough without latents.

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
        totals = tf.zeros([3], tf.float64)
        for index, (observed, lengths) in enumerate(windows):
            if state is None:
                rows = len(lengths) * self.num_samples
                state = self.model.initial_state(rows)
            seeds = tf.random.experimental.stateless_split([seed, index], 2)
            scores, state = self._read(observed, tf.constant(lengths, tf.int32), state, seeds)
            totals += tf.cast(scores, tf.float64)
        if state is None:
            raise ValueError("there are no windows to read")
        return Score(*totals.numpy().tolist()), state

    def _read_window(
        self, observed: Any, lengths: tf.Tensor, state: State, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, State]:
        K = self.num_samples
        repeat = lambda x: tf.repeat(x, K, axis=0)  # noqa: E731
        inference, state = self.model.infer(
            tf.nest.map_structure(repeat, observed),
            None,
            repeat(lengths),
            state=state,
            seed=seeds[0],
        )
        log_weights = tf.reshape(objectives.log_weight(inference), [-1, K])  # [B, K]
        bound = objectives.importance_weighted_bound(tf.transpose(log_weights))
        scores = tf.stack(
            [
                tf.reduce_sum(objectives.elbo(inference)) / K,
                tf.reduce_sum(inference.kl) / K,
                tf.reduce_sum(bound),
            ]
        )
        chosen = tf.random.stateless_categorical(log_weights, K, seeds[1], dtype=tf.int32)
        rows = tf.reshape(chosen + K * tf.range(tf.shape(chosen)[0])[:, None], [-1])
        return scores, tf.nest.map_structure(lambda x: tf.gather(x, rows), state)
