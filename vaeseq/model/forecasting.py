"""Samples given observed sequences, as NumPy arrays: futures and missing values."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from vaeseq.hparams import HParams
from vaeseq.model.smoothing import SmoothingModel
from vaeseq.nn import convert, masked
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import num_rows, repeat_rows
from vaeseq.nn.types import Nest, Seed, Size, Specs, Tensor
from vaeseq.training import memory
from vaeseq.training.private_api import compile_quietly

_ROWS_AT_ONCE = 2048


class ForecastingModel(SmoothingModel):
    """A sequence model that samples what is not observed; see `ModelBase`.

    All methods compute in bounded memory, however many samples they return, but for `impute` with a
    core that filters: like `smooth`, it has all particles of a row at once.
    """

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        self._explain = compile_quietly(self._explain_eagerly)

    def forecast(
        self,
        observed: Nest,
        steps: int,
        num_samples: int = 100,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        observed_mask: Nest | None = None,
        temperature: float = 1.0,
        seed: Seed = 0,
    ) -> Any:
        """Samples futures of observed sequences.

        Each future has its own sample of the latents from q(z | x), the approximate posterior given
        the past, so the futures of a row spread as far as q is right. `vaeseq.metrics` judges them.

        Args:
          observed, lengths, observed_mask: see `infer`.
          steps: the number of steps after the end of each row.
          num_samples: N, the number of futures of each row.
          inputs: nest of [B, T + steps, ...], those of the observed and of the following steps. A
            row of length L has its following steps from L on.
          temperature: latents and observations of the futures are sampled from p^(1 / temperature).
          seed: of all that is sampled.

        Returns:
          Futures, a nest of NumPy arrays [N, B, steps, *event_shape].

        Raises:
          ValueError: if an argument is not as expected.
        """
        steps = convert.as_count("steps", steps)
        past, following = self._split_inputs(observed, steps, inputs, lengths)
        prepared = self.prepare(observed, past, lengths, observed_mask)

        def draw(samples: int, seed: tf.Tensor) -> Any:
            state = self._prime(*prepared, None, tf.constant(samples), seed)
            repeated = repeat_rows(following, samples)
            return self.extend(state, num_rows(state), steps, repeated, temperature, seed)[0]

        return _draw(draw, num_rows(prepared[0]), num_samples, seed)

    def impute(
        self,
        observed: Nest,
        observed_mask: Nest,
        num_samples: int = 100,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        seed: Seed = 0,
    ) -> Any:
        """Samples what is missing of observed sequences.

        A missing x_t is sampled from p(x_t | x_1:t-1, z_1:t), and missing elements of x_t also
        given those that are observed. z_1:T comes from the approximate posterior given all that is
        observed, before and after it; from the particles of `smooth` if that of the core filters.
        Given z_1:T, the samples of different steps are independent. A core without latents knows
        only what comes before.

        Args:
          observed, observed_mask, inputs, lengths: see `infer`.
          num_samples: N, the number of samples of each row.
          seed: of all that is sampled.

        Returns:
          The sequences with samples where something is missing, and unchanged elsewhere: a nest
          of NumPy arrays [N, B, T, *event_shape]. Steps after `lengths` have no meaning.

        Raises:
          ValueError: if an argument is not as expected.
        """
        if observed_mask is None:
            raise ValueError(
                "impute needs an observed_mask, which is False where values are missing"
            )
        prepared = self.prepare(observed, inputs, lengths, observed_mask)
        values, is_observed = prepared[0]

        def draw(samples: int, seed: tf.Tensor) -> Any:
            return self._explain(*prepared, tf.constant(samples), seed)

        if self.core.filters:
            mask = {"observed_mask": observed_mask}
            sampled = self.smooth(
                observed, num_samples, inputs, lengths, **mask, seed=seed
            ).observed
        else:
            sampled = _draw(draw, num_rows(prepared[0]), num_samples, seed)
        return tf.nest.map_structure(np.where, is_observed, values, sampled)

    def _split_inputs(
        self,
        observed: Nest,
        steps: int,
        inputs: Nest | None,
        lengths: Tensor | Sequence[int] | None,
    ) -> tuple[Any, Any]:
        """Returns the inputs of the observed steps [B, T, ...] and of those after [B, steps, ...].

        Raises:
          ValueError: if there are not T + steps of them.
        """
        self.check_sequences(observed, inputs)
        inputs = convert.as_sequences("inputs", inputs, self.inputs_spec)
        rows, time = np.shape(tf.nest.flatten(observed)[0])[:2]
        for x in tf.nest.flatten(inputs):
            if x.shape[0] != rows:
                raise ValueError(f"inputs must have {rows} rows, as observed has, not {x.shape[0]}")
            if x.shape[1] != time + steps:
                raise ValueError(
                    f"inputs must have {time + steps} steps, the {time} of `observed` and {steps} "
                    f"after them, not {x.shape[1]}"
                )
        ends = convert.as_lengths(np.full([rows], time) if lengths is None else lengths, rows, time)
        return split_inputs(inputs, ends, time, steps)

    def _explain_eagerly(
        self,
        observed: Nest,
        inputs: Nest,
        lengths: tf.Tensor | None,
        num_samples: tf.Tensor,
        seed: tf.Tensor,
    ) -> Nest:
        """Returns samples of p(x | z), where z is sampled from the approximate posterior.

        There are B * num_samples rows; those of a row follow each other.
        """
        noise_seed, seed = tf.unstack(tf.random.experimental.stateless_split(seed))
        prepared = observed, inputs, lengths
        inference, _ = self.infer_prepared(*prepared, None, noise_seed, num_samples)
        repeated = repeat_rows(observed, num_samples)
        params = masked.given(self.decoder, inference.steps.obs_params, repeated)
        return self.decoder.sample(params, seed)


def split_inputs(inputs: Nest, ends: tf.Tensor, time: Size, steps: Size) -> tuple[Any, Any]:
    """Returns the first `time` steps of inputs, and the `steps` after the end of each row [B]."""
    after = ends[:, None] + tf.range(steps)
    return (
        tf.nest.map_structure(lambda x: x[:, :time], inputs),
        tf.nest.map_structure(lambda x: tf.gather(x, after, batch_dims=1), inputs),
    )


def _draw(draw: Callable[[int, tf.Tensor], Any], rows: int, num_samples: int, seed: Seed) -> Any:
    """Draws samples of each row, some at a time; returns a nest of NumPy arrays [N, B, ...].

    Args:
      draw: returns a nest of [B * n, ...], where the n samples of a row follow each other, given n
        and a seed.
      rows: B.
      num_samples: N.
      seed: of the samples.

    Raises:
      ValueError: if B or N is below 1, or if the machine's memory cannot hold all samples.
    """
    num_samples = convert.as_count("num_samples", num_samples)
    if rows < 1:
        raise ValueError("observed has no rows")

    result: Any = None
    at_once = max(1, _ROWS_AT_ONCE // rows)
    for start in range(0, num_samples, at_once):
        samples = min(at_once, num_samples - start)
        folded = tf.random.experimental.stateless_fold_in(stateless_seed(seed), start)
        split = functools.partial(_split_samples, samples=samples)
        drawn = tf.nest.map_structure(split, draw(samples, folded))
        if result is None:
            of_each = sum(x.nbytes for x in tf.nest.flatten(drawn)) / samples
            memory.require(num_samples * of_each, f"num_samples={num_samples}", "draw fewer")
            result = tf.nest.map_structure(
                lambda x: np.empty([num_samples, *x.shape[1:]], x.dtype), drawn
            )
        for whole, part in zip(tf.nest.flatten(result), tf.nest.flatten(drawn), strict=True):
            whole[start : start + samples] = part
    return result


def _split_samples(x: tf.Tensor, samples: int) -> np.ndarray:
    """Returns a tensor [B * n, ...] as an array [n, B, ...]."""
    rows: np.ndarray = x.numpy()
    return np.swapaxes(rows.reshape(len(rows) // samples, samples, *rows.shape[1:]), 0, 1)
