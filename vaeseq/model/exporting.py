"""Export: what a trained model can do, as a SavedModel that runs without this package."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from vaeseq.model.forecasting import ForecastingModel, split_inputs
from vaeseq.nn import finite
from vaeseq.nn.convert import stateless_seed
from vaeseq.nn.sequences import repeat_rows
from vaeseq.nn.support import assert_observed
from vaeseq.nn.types import Nest, Specs

_NUMBER = tf.TensorSpec([], tf.int32)


class ExportableModel(ForecastingModel):
    """A model that can be exported; see `ModelBase`."""

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        **kwargs: Any,
    ) -> None:
        """Writes a SavedModel, which `tf.saved_model.load` runs without this package.

        It has the functions of `endpoints`.

        Args:
          filepath: the directory to write.
          format: "tf_saved_model".
          verbose: whether to print the signatures of the endpoints.
          **kwargs: none are supported.

        Raises:
          ValueError: for another format or another argument.
        """
        if format != "tf_saved_model" or kwargs:
            raise ValueError(
                'export supports format="tf_saved_model" without further arguments, not '
                f"format={format!r} with {sorted(kwargs)}"
            )
        archive = keras.export.ExportArchive()
        archive.track(self)
        for name, endpoint in self.endpoints().items():
            archive.add_endpoint(name, endpoint)
        archive.write_out(str(filepath), verbose=bool(verbose))

    def endpoints(self) -> dict[str, Any]:
        """Returns the functions of an exported model, for `keras.export.ExportArchive`.

        They are compiled, and take tensors or arrays. A `batch` is a dict with `observed`, with
        `inputs` if the model has any, and optionally with `lengths`, int32 [B], and with
        `observed_mask` if `hparams.gaps`: bool [B, T], or a nest of [B, T, *event_shape] where the
        decoder's elements are independent. All other arguments are int32 numbers.

        A SavedModel takes these dtypes alone: convert NumPy's float64 and int64. Lengths and
        observed numbers that are out of range, such as NaN that no mask excuses, are an
        `InvalidArgumentError` that says so.

        * `log_prob(batch, num_samples, seed)`: see `log_prob`; [B].
        * `generate(batch_size, sequence_size, seed)`: see `generate`; a nest of
          [B, T, *event_shape]. If the model has inputs, `generate(inputs, seed)`.
        * `forecast(batch, steps, num_samples, seed)`: see `forecast`; a nest of
          [N, B, steps, *event_shape]. It draws all samples at once, so it needs memory for N B
          rows.
        """
        of_batch = self._batch_specs()
        generate: Callable[..., Any] = self._generate_without_inputs
        sizes: tuple[Any, ...] = _NUMBER, _NUMBER
        if self._has_inputs:
            generate, sizes = self._generate_for_inputs, (_sequences(self.inputs_spec),)
        return {
            "log_prob": _traced(
                self._export_log_prob, [(batch, _NUMBER, _NUMBER) for batch in of_batch]
            ),
            "generate": _traced(generate, [(*sizes, _NUMBER)]),
            "forecast": _traced(
                self._export_forecast, [(batch, *3 * [_NUMBER]) for batch in of_batch]
            ),
        }

    @property
    def _has_inputs(self) -> bool:
        return bool(tf.nest.flatten(self.inputs_spec))

    def _batch_specs(self) -> list[dict[str, Specs]]:
        """Returns the specs of batches with and without what is optional."""
        event = self._event_spec
        required: dict[str, Specs] = {"observed": _sequences(event)}
        if self._has_inputs:
            required["inputs"] = _sequences(self.inputs_spec)
        optional: dict[str, Specs] = {"lengths": tf.TensorSpec([None], tf.int32)}
        if self.hparams.gaps:
            optional["observed_mask"] = tf.nest.map_structure(
                lambda x, elementwise: tf.TensorSpec(
                    [None, None, *(x.shape if elementwise else [])], tf.bool
                ),
                event,
                self.decoder.has_independent_elements,
            )
        chosen = itertools.product(*(({}, {name: spec}) for name, spec in optional.items()))
        return [required | dict(itertools.chain(*(x.items() for x in each))) for each in chosen]

    def _export_log_prob(
        self, batch: Mapping[str, Nest], num_samples: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        num_samples = _at_least_1("num_samples", num_samples)
        samples = tf.range(num_samples if self.core.latent_size else 1)
        prepared = self.prepare(**self._checked(batch))
        return self._log_prob_eagerly(*prepared, samples, stateless_seed(seed))

    def _generate_without_inputs(
        self, batch_size: tf.Tensor, sequence_size: tf.Tensor, seed: tf.Tensor
    ) -> Any:
        state = self.initial_state(_at_least_1("batch_size", batch_size))
        steps = _at_least_1("sequence_size", sequence_size)
        return self._sampled(self.inputs_spec, state, steps, stateless_seed(seed))

    def _generate_for_inputs(self, inputs: Nest, seed: tf.Tensor) -> Any:
        rows, steps = tf.unstack(tf.shape(tf.nest.flatten(inputs)[0])[:2])
        return self._sampled(inputs, self.initial_state(rows), steps, stateless_seed(seed))

    def _export_forecast(
        self,
        batch: Mapping[str, Nest],
        steps: tf.Tensor,
        num_samples: tf.Tensor,
        seed: tf.Tensor,
    ) -> Any:
        # As in `forecast`, which folds in the number of the first sample that it draws together.
        seed = tf.random.experimental.stateless_fold_in(stateless_seed(seed), 0)
        batch = self._checked(batch)
        steps = _at_least_1("steps", steps)
        num_samples = _at_least_1("num_samples", num_samples)
        rows, time = tf.unstack(tf.shape(tf.nest.flatten(batch["observed"])[0])[:2])
        following = self.inputs_spec
        if self._has_inputs:
            inputs = tf.nest.map_structure(lambda x: _with_steps(x, time + steps), batch["inputs"])
            ends = batch.get("lengths", tf.fill([rows], time))
            batch["inputs"], following = split_inputs(inputs, ends, time, steps)
        prepared = self.prepare(**batch)
        state = self._prime_eagerly(*prepared, None, num_samples, seed)
        sampled = self._sampled(repeat_rows(following, num_samples), state, steps, seed)

        def split(x: tf.Tensor) -> tf.Tensor:
            x = tf.reshape(x, tf.concat([[rows, num_samples], tf.shape(x)[1:]], 0))
            return tf.einsum("bn...->nb...", x)

        return tf.nest.map_structure(split, sampled)

    def _checked(self, batch: Mapping[str, Nest]) -> dict[str, Any]:
        """Returns a batch that asserts that its lengths and observations are in range."""
        checked = dict(batch)
        lengths, mask = batch.get("lengths"), batch.get("observed_mask")
        if lengths is not None:
            steps = tf.shape(tf.nest.flatten(batch["observed"])[0])[1]
            checked["lengths"] = finite.assert_lengths(lengths, steps)
        decoder = self.decoder
        inside = assert_observed(decoder.support, batch["observed"], lengths, mask)
        with tf.control_dependencies([inside]):
            checked["observed"] = tf.nest.map_structure(tf.identity, batch["observed"])
        return checked

    def _sampled(self, inputs: Nest, state: Any, steps: tf.Tensor, seed: tf.Tensor) -> Any:
        rows = tf.shape(tf.nest.flatten([state, inputs])[0])[0]
        return self._extend_eagerly(inputs, state, rows, steps, None, seed, None)[0]


def _sequences(specs: Specs) -> Specs:
    """Returns the specs of sequences [B, T, ...] of steps with the given specs."""
    return tf.nest.map_structure(
        lambda x: tf.TensorSpec([None, None, *x.shape], x.dtype, x.name), specs
    )


def _traced(function: Callable[..., Any], signatures: list[tuple[Any, ...]]) -> Any:
    """Returns a compiled function that can be called with any of the signatures, and no others."""
    compiled = tf.function(function, autograph=False)
    for signature in signatures:
        compiled.get_concrete_function(*signature)
    return compiled


def _at_least_1(what: str, number: tf.Tensor) -> tf.Tensor:
    message = f"{what} must be at least 1"
    with tf.control_dependencies([tf.debugging.assert_positive(number, message)]):
        return tf.identity(number)


def _with_steps(x: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Returns inputs [B, T, ...]; asserts that T is the number of steps."""
    message = "inputs must have the observed and the following steps"
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(x)[1], steps, message)]):
        return tf.identity(x)
