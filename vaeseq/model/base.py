"""ModelBase: a sequence model that Keras trains."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np
import tensorflow as tf

from vaeseq.adversarial.adversary import Adversary
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams
from vaeseq.model import objective
from vaeseq.model.exporting import ExportableModel
from vaeseq.model.replicated import Metrics, ReplicatedModel, TrainFunction
from vaeseq.model.variation import VariationModel
from vaeseq.model.wiring import State
from vaeseq.nn import finite, replicas, support
from vaeseq.nn.convert import Batch, as_lengths, has_structure, stateless_seed, unpack_batch
from vaeseq.nn.initial_seed import initial_seed
from vaeseq.nn.masked import Masked
from vaeseq.nn.replicated_mean import ReplicatedMean
from vaeseq.nn.types import Nest, Seed, Specs, Tensor
from vaeseq.training.private_api import micro_batch, quietly, seed_states
from vaeseq.vae import bounds, lagging, objectives
from vaeseq.vae.bounds import Bound
from vaeseq.vae.core import Inference

Aux = TypeVar("Aux")


class ModelBase(VariationModel, ExportableModel, ReplicatedModel):
    """A sequence model with the recurrent core that `hparams.vae_type` names.

    You write `make_encoder` and `make_decoder`, and `make_context` if x_t depends on more than
    the previous observation. You get a Keras model (`fit`, `evaluate`, callbacks) with
    `log_prob`, `generate` and `infer`, and, if one z describes the whole sequence, `encode`,
    `decode` and `interpolate`. `forecast`, `impute`, `smooth` and `filter` return NumPy arrays:
    futures, missing values, and what is known of the latents. The constructor creates the weights.

    A batch is a nest of observed sequences [B, T, *event_shape], or a dict with the keys
    `observed` and, optionally, `inputs`, a nest of [B, T, ...]; `lengths`, int [B], the number of
    steps in each row; `observed_mask`, bool, False where an observation is missing (see `infer`);
    `state`, the `State` before the first step; and `sample_weight`, [B] or [B, T], the weights of
    rows or steps in the loss and its metrics. The loss also has the regularizers and `add_loss`
    of your layers. Batches have no targets.

    Args:
      hparams: the hyperparameters; a subclass may have its own.
      inputs_spec: nest of `tf.TensorSpec` of the inputs of one step, such as
        `tf.TensorSpec([4])`; () if there are none.
      name: the name of the Keras model.

    Raises:
      UsageError: if `hparams.vae_type` is unknown, or if the objective excludes other
        hyperparameters.
      RuntimeError: if the backend of Keras is not TensorFlow.

    Example:
      >>> import numpy as np
      >>> import vaeseq
      >>> from vaeseq import codec
      >>> class Series(vaeseq.ModelBase):
      ...     def make_encoder(self):
      ...         return codec.MLPObsEncoder(self.hparams)
      ...     def make_decoder(self):
      ...         return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([3]))
      >>> model = Series(vaeseq.HParams(vae_type="RNN", rnn_hidden_sizes=(8,)))
      >>> model.compile()
      >>> observed = np.zeros([4, 10, 3])
      >>> history = model.fit(observed, verbose=0)
      >>> model.log_prob(observed).shape  # nats per sequence
      TensorShape([4])
      >>> model.generate(batch_size=2, sequence_size=5).shape
      TensorShape([2, 5, 3])
      >>> model.forecast(observed, steps=6, num_samples=7).shape
      (7, 4, 6, 3)
    """

    adversary: Adversary | None = None  # computes the policy gradient; `compile` creates it

    def __init__(
        self, hparams: HParams | None = None, inputs_spec: Specs = (), name: str | None = None
    ):
        super().__init__(hparams, inputs_spec, name)
        bounds.check(self.core)
        lagging.check(self.core)
        self._part: lagging.Part | None = None  # what the step that is called updates
        names = ["loss", "elbo", "log_prob", "kl"]
        names += [] if bounds.is_elbo(self.core) else ["bound", "effective_sample_size"]
        self._means = {name: ReplicatedMean(name) for name in names}

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str | None = None,
        jit_compile: bool = False,
        **kwargs: Any,
    ) -> None:
        """Compiles as Keras does, without a loss; see `make_optimizer` for the default optimizer.

        XLA is off by default: on CPU it is no faster than the fused recurrence, and it disables
        `hparams.check_numerics`, because XLA removes assertions.

        Raises:
          ValueError: for a loss or metrics: the loss is the negative ELBO, or another bound. For
            XLA with `objective="fivo"`, for accumulated gradients with a policy gradient, and for
            `steps_per_execution` with it, with posterior_steps or with several replicas.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"compile: {name} is not supported, because a sequence model has no targets "
                    "to compare with: its loss is the weighted KL minus log p(x | z). Add terms "
                    "with `add_loss`, and compute metrics from `infer` in a callback"
                )
        if jit_compile and self.hparams.objective == "fivo" and not bounds.is_elbo(self.core):
            raise ValueError(
                "compile: XLA cannot compile the gradient of objective=fivo, which resamples in a "
                "loop; leave out jit_compile, or use objective=iwae"
            )
        if kwargs.get("steps_per_execution", 1) != 1 and self._starts_every_step:
            raise ValueError(
                "compile: steps_per_execution must be 1 with posterior_steps, a policy gradient or "
                "several replicas, because the model starts every step itself"
            )
        super().compile(
            optimizer or make_optimizer(self.hparams), jit_compile=jit_compile, **kwargs
        )
        if self.hparams.policy_gradient != "none":
            if self.optimizer.gradient_accumulation_steps:
                raise ValueError(
                    "compile: gradient_accumulation_steps is not supported with a policy gradient, "
                    "whose phases are counted in updates; use larger batches"
                )
            with self.distribute_strategy.scope(), initial_seed(self.hparams.seed):
                self.adversary = Adversary(self)

    @property
    def _starts_every_step(self) -> bool:
        has_phases = self.hparams.posterior_steps > 0 or self.hparams.policy_gradient != "none"
        return has_phases or self.is_replicated

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as it was compiled when it was saved.

        Keras does not do so for a class that overrides `compile`.
        """
        arguments = keras.saving.deserialize_keras_object(config)
        if self._starts_every_step:  # it may not have been so where the model was saved
            arguments["steps_per_execution"] = 1
        self.compile(**arguments)

    @property
    def adversary_parts(self) -> tuple[Any, ...]:
        """What the policy gradient keeps besides the model's weights; () if there is none.

        Keras saves what it finds in attributes of a model. These are not the model's own layers.
        """
        return self.adversary.parts if self.adversary else ()

    def fit(
        self,
        x: Any = None,
        y: None = None,
        *,
        validation_data: Any = None,
        sample_weight: Tensor | None = None,
        class_weight: None = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Trains as Keras does, on the batches that the class describes.

        Raises:
          ValueError: for targets `y` or a `class_weight`, which a sequence model does not have, for
            observed numbers that the decoder excludes, and for arrays without rows or steps, or of
            which nothing is observed.
          Stopped: before an update, if the loss or a gradient is not finite.
        """
        if class_weight is not None:
            raise ValueError("fit: class_weight is not supported; use sample_weight")
        event = self.decoder.event_shape
        if isinstance(event, tuple) and has_structure(validation_data, event):
            validation_data = (validation_data,)  # Keras would take the second part for targets
        if isinstance(validation_data, tuple) and len(validation_data) == 3:
            data, targets, weight = validation_data
            _refuse_targets(targets)
            validation_data = self._with_weight(data, weight)
        x = self._with_weight(x, sample_weight)
        _refuse_targets(y)
        self._check_data(x)
        self._check_data(validation_data)
        return super().fit(x, validation_data=validation_data, **kwargs)

    def evaluate(
        self, x: Any = None, y: None = None, *, sample_weight: Tensor | None = None, **kwargs: Any
    ) -> Any:
        """Returns the metrics of data as Keras does, with the full weight of the KL.

        Raises:
          ValueError: for targets `y`, which a sequence model does not have, and for observed
            numbers that the decoder excludes.
        """
        _refuse_targets(y)
        self._check_data(x)
        return super().evaluate(self._with_weight(x, sample_weight), **kwargs)

    def predict(self, x: Any, **kwargs: Any) -> Inference:
        """Returns the inference of data as NumPy arrays, as Keras does.

        Every batch has the same noise of the latents; see `smooth` for posteriors.

        Raises:
          ValueError: for observed numbers that the decoder excludes.
        """
        self._check_data(x)
        inference: Inference = super().predict(x, **kwargs)
        return inference

    def _check_data(self, x: Any) -> None:
        """Raises `ValueError` if data is not as expected, before Keras takes it apart.

        Of a `tf.data.Dataset`, only shapes and dtypes are known.
        """
        if isinstance(x, tf.data.Dataset):
            self.check_sequences(*unpack_batch(_specs(x), self.decoder.event_shape)[:2])
            return
        batch = unpack_batch(x, self.decoder.event_shape)
        if isinstance(batch.observed, list):
            self.check_sequences(batch.observed, batch.inputs)
        arrays = tf.nest.flatten([batch.observed, batch.inputs, batch.observed_mask])
        if batch.observed is None or not all(
            array is None or isinstance(array, np.ndarray) for array in arrays
        ):
            return
        self.check_sequences(batch.observed, batch.inputs)
        shape = tf.nest.flatten(batch.observed)[0].shape
        if 0 in shape[:2]:  # Keras would train without a word
            raise ValueError(f"observed of shape {shape} has no rows or no steps")
        lengths = batch.lengths
        if lengths is not None:
            lengths = as_lengths(lengths, *shape[:2])
        row = tf.nest.map_structure(
            lambda array: None if array is None else array[:1],
            [batch.observed, batch.inputs, lengths, batch.observed_mask],
        )
        self.prepare(*row)  # one row shows every wrong shape
        if batch.observed_mask is not None and not any(
            map(np.any, tf.nest.flatten(batch.observed_mask))
        ):
            raise ValueError("observed_mask is False everywhere: nothing is observed")
        support.check_observed(self.decoder.support, batch.observed, lengths, batch.observed_mask)

    def _with_weight(self, x: Any, sample_weight: Tensor | None) -> Any:
        """Returns data with its weights; Keras ignores weights without targets."""
        if sample_weight is None:
            return x
        batch = unpack_batch(x, self.decoder.event_shape)
        batch = batch._replace(sample_weight=np.asarray(sample_weight))
        return {name: value for name, value in batch._asdict().items() if value is not None}

    @property
    def trained_steps(self) -> int:
        """The number of training steps so far."""
        return int(self.optimizer.iterations.numpy())

    @property
    def training_state(self) -> dict[str, list[tf.Variable | keras.Variable]]:
        """The variables that a checkpoint keeps beside the weights, in named groups."""
        means = [x for metric in self.metrics for x in metric.variables]
        state = {"optimizer": self.optimizer.variables, "metrics": means}
        return state | ({"adversary": self.adversary.variables} if self.adversary else {})

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Means per time step in nats, and the metrics of the policy gradient, if any.

        loss (with the weighted KL and the terms of regularizers and `add_loss`), elbo, log_prob and
        kl. If the objective is not the ELBO also the bound that is trained, with the weighted KL in
        training, and effective_sample_size, of the particles of a sequence.
        """
        return [*self._means.values(), *(self.adversary.metrics if self.adversary else ())]

    def get_metrics_result(self) -> Metrics:
        """Returns the value of every metric, and `kl_weight`, that of the KL in the next update.

        A core without latents has no `kl_weight`.
        """
        result: Metrics = super().get_metrics_result()
        if self.core.latent_size:
            step = self.optimizer.iterations
            result["kl_weight"] = objectives.divergence_strength(self.hparams, step)
        return result

    def call(
        self,
        observed: Nest,
        inputs: Nest | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        state: State | None = None,
        seed: Seed = 0,
        strength: tf.Tensor | float | None = None,
        training: bool = False,
    ) -> Any:
        """Returns the inference of observed sequences, or of a batch; see `infer`.

        Through this call, Keras passes `training` to layers such as dropout. A mask of gaps
        can only be part of a batch, because Keras uses arguments of such names itself. With
        `strength`, the weight of the KL, the result is a `vaeseq.vae.bounds.Bound`.
        """
        batch = unpack_batch(observed, self.decoder.event_shape)
        inputs = batch.inputs if inputs is None else inputs
        lengths = batch.lengths if lengths is None else lengths
        prepared = self.prepare(batch.observed, inputs, lengths, batch.observed_mask)
        state = state or batch.state
        if strength is not None:
            return objective.bound(self, prepared, state, seed, strength, training)
        return self.infer_prepared(*prepared, state, seed)[0]

    def predict_step(self, data: Nest) -> Inference:
        """Returns the inference of one batch."""
        batch = self._asserted(unpack_batch(data, self.decoder.event_shape))
        inference: Inference = self(batch, training=False)
        return inference

    def train_step(self, data: Nest) -> Metrics:
        """Makes one update; its randomness is a function of (seed, step).

        Raises:
          Stopped: in `fit`, before the update, if the loss or a gradient is not finite.
        """
        self.update(data, _no_objective)
        metrics: Metrics = self.get_metrics_result()
        return metrics

    def update(self, data: Nest, objective: Callable[[], tuple[tf.Tensor, Aux]]) -> Aux:
        """Makes one update, and updates the metrics.

        Args:
          data: the batch.
          objective: returns a term that is added to the loss (the weighted KL minus log p(x | z)),
            and something else that it has computed. With several replicas, the terms of all are
            added up, so a mean must be divided by their number.

        Returns:
          The second value of `objective`.
        """
        step = self.optimizer.iterations
        seed = tf.random.experimental.stateless_fold_in(stateless_seed(self.hparams.seed), step)
        _set_seed_states(self, seed)
        strength = objectives.divergence_strength(self.hparams, step)
        variables = self._variables_to_update()
        with replicas.part_of_batch(*micro_batch(self.optimizer)), tf.GradientTape() as tape:
            terms = self._terms(data, seed, strength, training=True)
            added, aux = objective()
            loss = terms.loss(strength) + added
        gradients = tape.gradient(loss, variables)
        terms, gradients = terms.total(gradients)
        checks = []
        if self._checks_numerics:
            batch = unpack_batch(data, self.decoder.event_shape)
            suspects = {"inputs": batch.inputs, "sample_weight": batch.sample_weight}
            suspects |= {"log_prob": terms.log_prob, "kl": terms.kl, "add_loss": terms.penalty}
            total = terms.log_prob + terms.kl + terms.penalty
            if terms.bound is not None:
                suspects |= {"bound": terms.bound}
                total += terms.bound
            checks = [finite.assert_finite(total, suspects, variables, gradients, step + 1)]
        with tf.control_dependencies(checks):
            self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self._update_means(strength, terms)
        return aux

    def test_step(self, data: Nest) -> Metrics:
        """Returns the metrics of one batch, in which the KL has full weight."""
        terms = self._terms(data, stateless_seed(self.hparams.seed), 1.0, training=False)
        terms, _ = terms.total([])
        self._update_means(1.0, terms)
        return {name: mean.result() for name, mean in self._means.items()}

    def make_train_function(self, force: bool = False) -> None:
        """Sets `train_function`, which raises `Stopped` if a loss or gradient is not finite."""
        if self.train_function is None or force:
            if self.adversary is None:
                self.train_function = self.by_part(self._elbo_function)
            else:
                self.train_function = self.adversary.train_function()
            self.train_function = finite.raise_clear_errors(self.train_function)

    def _elbo_function(self) -> TrainFunction:
        """Returns a new function that runs `train_step` on the next batch."""
        super().make_train_function(force=True)
        return self.train_function

    def by_part(self, make: Callable[[], TrainFunction]) -> TrainFunction:
        """Returns a function that makes a step, which updates the variables that are due.

        See `vaeseq.vae.lagging`.

        Args:
          make: returns a new function that calls `update`. Each part of the variables has one of
            its own, because a compiled function always updates the same ones.
        """
        if not self.hparams.posterior_steps:
            return make()
        functions = {part: make() for part in lagging.PARTS}

        def train_function(iterator: Iterator[Nest]) -> Metrics:
            self._part = lagging.part(self.hparams, self.trained_steps)
            try:
                return functions[self._part](iterator)
            finally:
                self._part = None

        return train_function

    def _variables_to_update(self) -> list[keras.Variable]:
        """Returns the variables that this step updates.

        Raises:
          UsageError: in a compiled step of somebody else, which does not know its number.
        """
        if not self.hparams.posterior_steps:
            return list(self.trainable_variables)
        part = self._part
        if part is None and tf.executing_eagerly():
            part = lagging.part(self.hparams, self.trained_steps)
        if part is None:
            raise UsageError(
                f"hparams: posterior_steps={self.hparams.posterior_steps} needs a model that is "
                "trained by its own `fit` or `train_on_batch`; set posterior_steps=0"
            )
        others = self.context, self.decoder
        return lagging.variables_of(part, self.trainable_variables, self.core, others)

    def make_test_function(self, force: bool = False) -> None:
        """Sets `test_function`, which raises `ValueError` if data is out of range."""
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = finite.raise_clear_errors(self.test_function)

    def make_predict_function(self, force: bool = False) -> Any:
        """Sets `predict_function`, which raises `ValueError` if data is out of range."""
        if self.predict_function is None or force:
            super().make_predict_function(force)
            self.predict_function = finite.raise_clear_errors(quietly(self.predict_function))
        return self.predict_function

    @property
    def _checks_numerics(self) -> bool:
        return self.hparams.check_numerics and not self.jit_compile

    def _terms(
        self, data: Nest, seed: tf.Tensor, strength: tf.Tensor | float, training: bool
    ) -> "_Terms":
        """Returns this replica's share of the terms of the loss of the global batch.

        The shares of all replicas add up to the terms.
        """
        batch = unpack_batch(data, self.decoder.event_shape)
        batch = self._asserted(batch)
        steps = tf.shape(tf.nest.flatten(batch.observed)[0])[:2]
        own_steps = steps[0] * steps[1]
        if batch.lengths is not None:
            own_steps = tf.reduce_sum(batch.lengths)
        result: Bound = self(batch, seed=seed, strength=strength, training=training)
        own_rows = tf.cast(steps[0], tf.float32)
        num_steps, num_rows = replicas.total([tf.cast(own_steps, tf.float32), own_rows])
        log_prob, kl, bound, size = result
        if batch.sample_weight is not None:
            weight = _step_weights(batch.sample_weight, log_prob)
            log_prob, kl = log_prob * weight, kl * weight
            if bound is not None:
                bound *= _row_weights(batch.sample_weight)
        share = 1 / self.distribute_strategy.num_replicas_in_sync
        return _Terms(
            tf.reduce_sum(log_prob) / num_steps,
            tf.reduce_sum(kl) / num_steps,
            share * tf.add_n([tf.constant(0.0), *(tf.cast(x, tf.float32) for x in self.losses)]),
            None if bound is None else tf.reduce_sum(bound) / num_steps,
            None if size is None else tf.reduce_sum(size) / num_rows,
            num_steps,
            num_rows,
        )

    def _asserted(self, batch: Batch) -> Batch:
        """Returns a batch that compiled code holds to the number of steps and the support.

        `raise_clear_errors` turns the errors into one line.
        """
        steps = tf.shape(tf.nest.flatten(batch.observed)[0])[1]
        if batch.lengths is not None:
            batch = batch._replace(lengths=tf.cast(batch.lengths, tf.int32))
        if not self._checks_numerics:
            return batch
        if batch.lengths is not None:
            batch = batch._replace(lengths=finite.assert_lengths(batch.lengths, steps))
        prepared = self.prepare(batch.observed, batch.inputs, batch.lengths, batch.observed_mask)
        mask = prepared[0].is_observed if isinstance(prepared[0], Masked) else None
        # The numbers as they were given: the conversion makes 1 of 1.5.
        inside = support.assert_observed(self.decoder.support, batch.observed, batch.lengths, mask)
        with tf.control_dependencies([inside]):
            observed = tf.nest.map_structure(tf.identity, batch.observed)
        return batch._replace(observed=observed)

    def _update_means(self, strength: tf.Tensor | float, terms: "_Terms") -> None:
        values = [terms.loss(strength), terms.log_prob - terms.kl, terms.log_prob, terms.kl]
        pairs = [(value, terms.num_steps) for value in values]
        if terms.bound is not None:
            pairs += [(terms.bound, terms.num_steps)]
            pairs += [(terms.effective_sample_size, terms.num_rows)]
        for mean, pair in zip(self._means.values(), pairs, strict=True):
            mean.update_state(*pair)


class _Terms(NamedTuple):
    """The terms of the loss, means per time step in nats."""

    log_prob: tf.Tensor
    kl: tf.Tensor
    penalty: tf.Tensor  # the sum of the regularizers and of `add_loss`
    bound: tf.Tensor | None  # None for the ELBO
    effective_sample_size: tf.Tensor | None  # the mean over the sequences
    num_steps: tf.Tensor  # of the global batch
    num_rows: tf.Tensor

    def loss(self, strength: tf.Tensor | float) -> tf.Tensor:
        """Returns the loss; in the ELBO, the KL is weighted by `strength`."""
        if self.bound is not None:
            return self.penalty - self.bound
        return strength * self.kl - self.log_prob + self.penalty

    def total(self, others: Sequence[tf.Tensor | None]) -> tuple["_Terms", list[Any]]:
        """Returns the sums of the terms, and of other tensors, over all replicas."""
        *terms, num_steps, num_rows = self
        sums = replicas.total([*terms, *others])
        own = [*sums[: len(terms)], num_steps, num_rows]
        return _Terms._make(own), sums[len(terms) :]


def _step_weights(sample_weight: Tensor, log_prob: tf.Tensor) -> tf.Tensor:
    """Returns weights [B, 1] or [B, T] of rows or steps.

    Raises:
      ValueError: if there are not as many as rows, or as rows and steps.
    """
    weight = tf.cast(sample_weight, tf.float32)
    rows, steps = log_prob.shape
    allowed = [rows], [rows, 1], [rows, steps]
    if not any(weight.shape.is_compatible_with(shape) for shape in allowed):
        raise ValueError(
            f"sample_weight must have the shape [B] or [B, T] = {log_prob.shape}, not "
            f"{weight.shape}"
        )
    return tf.reshape(weight, [tf.shape(weight)[0], -1])


def _row_weights(sample_weight: Tensor) -> tf.Tensor:
    """Returns the weights of rows, [B].

    Raises:
      ValueError: if they are weights of steps.
    """
    weight = tf.cast(sample_weight, tf.float32)
    if weight.shape.rank == 2 and weight.shape[1] != 1:
        raise ValueError(
            "sample_weight must have the shape [B] with objective=iwae and objective=fivo, which "
            "are bounds of whole sequences; only objective=elbo takes weights of steps, [B, T]"
        )
    return tf.reshape(weight, [-1])


def _specs(dataset: tf.data.Dataset) -> Nest:
    """Returns the specs of a batch; None for a part that is None."""
    return tf.nest.map_structure(
        lambda spec: spec if hasattr(spec, "shape") else None, dataset.element_spec
    )


def _refuse_targets(targets: object) -> None:
    if targets is not None:
        raise ValueError(
            "targets (y) are not supported: a sequence model learns the distribution of x. Pass "
            "what x depends on as {'observed': x, 'inputs': ...}"
        )


def _set_seed_states(model: keras.Model, seed: tf.Tensor) -> None:
    """Makes the random generators of all layers a function of a seed."""
    for index, state in enumerate(seed_states(model)):
        folded = tf.random.experimental.stateless_fold_in(seed, index)
        state.assign(tf.cast(folded, state.dtype))


def _no_objective() -> tuple[float, None]:
    return 0.0, None


def make_optimizer(hparams: HParams) -> keras.optimizers.Optimizer:
    """Returns Adam (Kingma and Ba 2014, arXiv:1412.6980) with clipped gradients.

    The learning rate is a function of the step and the hyperparameters alone: it follows a cosine
    (Loshchilov and Hutter 2016, arXiv:1608.03983) from `learning_rate` at step 0 to
    `learning_rate_end` times that at step `learning_rate_decay_steps`, and is constant afterwards.

    Example:
      >>> import vaeseq
      >>> hparams = vaeseq.HParams(learning_rate=0.01, clip_gradient_norm=5.0)
      >>> optimizer = vaeseq.make_optimizer(hparams)
      >>> optimizer.global_clipnorm
      5.0
    """
    rate = hparams.learning_rate
    if hparams.learning_rate_decay_steps:
        rate = keras.optimizers.schedules.CosineDecay(
            rate, hparams.learning_rate_decay_steps, hparams.learning_rate_end
        )
    return keras.optimizers.Adam(
        rate, beta_2=hparams.adam_beta_2, global_clipnorm=hparams.clip_gradient_norm or None
    )


def best_metric(hparams: HParams) -> str:
    """Returns the metric that selects the best weights of a generative model; see `Report`.

    It is the validation loss. With a policy gradient, which does not maximize the likelihood, it
    is the step: the weights of the last report.
    """
    return "valid_loss" if hparams.policy_gradient == "none" else "-step"
