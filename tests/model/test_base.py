"""ModelBase as Keras and as a library sees it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Bits, Waves, assert_close
from vaeseq import codec
from vaeseq.context import Accumulate
from vaeseq.errors import Stopped


def test_fit_evaluate_and_callbacks_are_those_of_keras(waves, observed, tmp_path):
    waves.compile()
    history = waves.fit(
        observed,
        validation_data=observed,
        batch_size=2,
        epochs=3,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss"),
            keras.callbacks.CSVLogger(tmp_path / "log"),
        ],
    )
    assert {"loss", "elbo", "kl", "log_prob", "val_elbo"} <= history.history.keys()
    result = waves.evaluate(observed, verbose=0, return_dict=True)
    assert result["loss"] == pytest.approx(-result["elbo"])
    assert result["elbo"] == pytest.approx(result["log_prob"] - result["kl"], abs=1e-5)


def test_training_lowers_the_loss(waves):
    time = np.arange(20, dtype=np.float32)
    observed = np.stack(
        [np.sin(time[:, None] + np.array([phase, phase + 1])) for phase in range(32)]
    )
    waves.compile(optimizer=keras.optimizers.Adam(1e-2))
    losses = waves.fit(observed, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.3


def test_training_is_a_function_of_the_seed(vae_type, observed):
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(3)
        model = Waves(SMALL.replace(vae_type=vae_type))
        model.compile()
        model.fit(observed, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert_close(*weights, 0)


def test_metrics_are_per_step_of_what_counts(observed):
    model = Waves(SMALL.replace(vae_type="RNN"))
    model.compile()
    lengths = np.array([6, 2, 4, 1])
    batch = {"observed": observed, "lengths": lengths}
    result = model.evaluate(tf.data.Dataset.from_tensors(batch), verbose=0, return_dict=True)
    expected = np.sum(model.log_prob(observed, lengths=lengths)) / lengths.sum()
    assert result["elbo"] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped_and_the_rate_is_a_function_of_the_step():
    hparams = SMALL.replace(learning_rate=0.5, learning_rate_decay_steps=10, learning_rate_end=0.1)
    optimizer = vaeseq.make_optimizer(hparams)
    assert optimizer.global_clipnorm == 1
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 99)]
    assert rates == pytest.approx([0.5, 0.275, 0.05, 0.05])
    flat = vaeseq.make_optimizer(SMALL.replace(learning_rate_decay_steps=0))
    assert float(flat.learning_rate) == pytest.approx(SMALL.learning_rate)


def test_a_loss_that_is_not_finite_stops_before_the_update(waves, observed):
    waves.compile()
    weights = waves.get_weights()
    with pytest.raises(Stopped, match=r"step 1: observed, log_prob, .*not finite; nothing was"):
        waves.fit(observed * np.nan, verbose=0)
    assert_close(waves.get_weights(), weights, 0)
    assert waves.trained_steps == 0


def test_a_training_step_compiles_with_xla(observed):
    model = Waves(SMALL.replace(vae_type="RNN"))
    model.compile(jit_compile=True)
    model.fit(observed, verbose=0)
    assert model.trained_steps == 1


def test_a_gradient_that_is_not_finite_stops_by_its_name(observed):
    @tf.custom_gradient
    def broken(x):
        return x, lambda dy: dy * np.nan

    class Broken(Waves):
        def make_decoder(self):
            decoder = super().make_decoder()
            call = decoder.call
            decoder.call = lambda features: call(broken(features))
            return decoder

    model = Broken(SMALL.replace(vae_type="RNN"))
    model.compile()
    with pytest.raises(Stopped, match=r"step 1: the gradient of \S+, the gradient of"):
        model.fit(observed, verbose=0)
    lax = Broken(SMALL.replace(vae_type="RNN", check_numerics=False))
    lax.compile()
    lax.fit(observed, verbose=0)
    assert lax.trained_steps == 1 and np.isnan(lax.get_weights()[0]).any()


def test_generate_has_the_events_shape_and_repeats_with_its_seed(waves):
    drawn = waves.generate(3, 7, seed=1)
    assert drawn.shape == (3, 7, 2) and drawn.dtype == tf.float32
    assert_close(waves.generate(3, 7, seed=1), drawn, 0)
    assert np.abs(waves.generate(3, 7, seed=2) - drawn).max() > 0
    assert waves.generate().shape == (1, SMALL.sequence_size, 2)


def test_a_low_temperature_draws_near_the_mean(waves):
    drawn = [waves.generate(20, 3, temperature=t) for t in (1e-8, 1.0)]
    assert np.std(drawn[0][:, 0]) < np.std(drawn[1][:, 0])


def test_a_prefix_matters_and_one_row_of_it_serves_all(waves, observed):
    from_prefix = waves.generate(3, 4, prefix=10 * observed[:1])
    assert from_prefix.shape == (3, 4, 2)
    assert np.abs(from_prefix - waves.generate(3, 4)).max() > 1e-3
    same = waves.generate(3, 4, prefix=np.repeat(10 * observed[:1], 3, axis=0))
    assert same.shape == from_prefix.shape


def test_extending_piece_by_piece_goes_on_from_the_state(waves, observed):
    _, state = waves.infer(observed)
    first, between = waves.extend(state, 4, 3, seed=1)
    second, _ = waves.extend(between, 4, 2, seed=2)
    assert first.shape == (4, 3, 2) and second.shape == (4, 2, 2)
    assert_close(between.context, waves.encoder(first[:, -1]))


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"sequence_size": -1},
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": float("nan")},
    ],
)
def test_generate_refuses_what_makes_no_sense(arguments):
    with pytest.raises(ValueError):
        Bits(SMALL.replace(vae_type="RNN")).generate(**arguments)


def test_nothing_retraces_between_lengths_temperatures_and_batches(waves, observed):
    for size in (3, 4, 5):
        waves.generate(2, size)
        waves.generate(2, size, temperature=size / 2)
        waves.log_prob(observed[:, :size])
    assert waves._extend.experimental_get_tracing_count() <= 2
    assert waves._log_prob.experimental_get_tracing_count() <= 2


def test_wrong_shapes_and_batches_are_refused_with_both_shapes(waves):
    with pytest.raises(
        ValueError, match=r"observed must have the shape \[B, T, 2\], not \(4, 6, 3\)"
    ):
        waves.infer(np.zeros([4, 6, 3]))
    with pytest.raises(ValueError, match="inputs must be a nest like"):
        waves.infer(np.zeros([4, 6, 2]), np.zeros([4, 6, 1]))
    waves.compile()
    with pytest.raises(ValueError, match=r"not \['length'\]"):
        waves.train_step({"observed": np.zeros([4, 6, 2]), "length": [6] * 4})


def test_the_methods_a_subclass_must_write_are_named():
    with pytest.raises(NotImplementedError, match="ModelBase must define make_encoder"):
        vaeseq.ModelBase()


class Driven(vaeseq.ModelBase):
    """Joint observations, inputs, and a history: what MIDI and games are made of."""

    def __init__(self, hparams):
        super().__init__(hparams, inputs_spec=tf.TensorSpec([3]))

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        parts = [codec.BetaDecoder([4]), codec.BinomialDecoder(4)]
        return codec.MLPObsDecoder(self.hparams, codec.JointDecoder(parts))

    def make_context(self):
        return Accumulate(self.encoder, self.encoded_size, history_size=3)


def test_joint_observations_inputs_and_histories(vae_type):
    model = Driven(SMALL.replace(vae_type=vae_type))
    inputs = np.random.default_rng(0).normal(size=[2, 5, 3]).astype(np.float32)
    observed = model.generate(2, inputs=inputs)
    assert [x.shape.as_list() for x in observed] == [[2, 5, 4], [2, 5]]
    assert model.log_prob(observed, inputs).shape == (2,)
    model.compile()
    batch = {"observed": observed, "inputs": inputs, "lengths": np.array([5, 3])}
    before = model.get_weights()
    model.fit(tf.data.Dataset.from_tensors(batch), shuffle=False, verbose=0)
    assert all(np.abs(x - y).max() > 0 for x, y in zip(before, model.get_weights(), strict=True))
    assert np.abs(model.log_prob(observed, inputs + 1) - model.log_prob(observed, inputs)).max() > 0


def test_calling_the_model_infers(waves, observed):
    assert_close(waves(observed).log_prob, waves.infer(observed)[0].log_prob)


def test_dropout_is_of_training_alone_and_a_function_of_seed_and_step(vae_type, observed):
    weights = Waves(SMALL.replace(vae_type=vae_type)).get_weights()

    def losses(rate):
        keras.utils.set_random_seed(0)
        model = Waves(SMALL.replace(vae_type=vae_type, dropout=rate))
        model.set_weights(weights)
        model.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        trained = [float(model.train_on_batch(observed, return_dict=True)["loss"])]
        model.reset_metrics()
        trained.append(float(model.train_on_batch(observed, return_dict=True)["loss"]))
        model.reset_metrics()
        return trained, model.evaluate(observed, verbose=0, return_dict=True)["loss"]

    (dropped, evaluated), (again, _), (plain, expected) = losses(0.5), losses(0.5), losses(0.0)
    assert dropped == again and dropped[0] != dropped[1] and dropped != plain
    assert evaluated == pytest.approx(expected, rel=1e-6)


def test_without_heat_all_draws_are_the_mode_latents_included(waves):
    cold = [waves.generate(2, 12, temperature=1e-9, seed=seed) for seed in (1, 2)]
    np.testing.assert_allclose(*cold, atol=1e-3)
    assert np.ptp(cold[0].numpy(), axis=0).max() < 1e-3
