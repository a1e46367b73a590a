"""Keras's own ways to save, load, copy and pickle a model."""

import copy
import dataclasses
import json
import pickle
import zipfile
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.adversarial.words import ADVERSARIAL, Words
from tests.conftest import SMALL, SOME_CORES, Waves, assert_close
from vaeseq import codec, context
from vaeseq.errors import UsageError
from vaeseq.hparams import HParams, hparam
from vaeseq.model import saving
from vaeseq.training.private_api import all_layers


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.keras"


def fit(model, data, epochs=1, **kwargs):
    return model.fit(data, epochs=epochs, batch_size=2, shuffle=False, verbose=0, **kwargs)


def load(path, *classes, **kwargs):
    return keras.models.load_model(path, {cls.__name__: cls for cls in classes}, **kwargs)


def training_state(model):
    """The values of the optimizer and the discriminator; every epoch starts the metrics anew."""
    groups = {name: x for name, x in model.training_state.items() if name != "metrics"}
    return [x.numpy() for x in tf.nest.flatten(groups)]


def assert_goes_on_as(model, loaded, data):
    """Equal now, and after the same further training."""
    assert loaded.trained_steps == model.trained_steps > 0
    assert loaded.hparams == model.hparams and type(loaded.hparams) is type(model.hparams)
    assert loaded.inputs_spec == model.inputs_spec
    for _ in range(2):
        assert_close(loaded.get_weights(), model.get_weights(), 0)
        assert_close(training_state(loaded), training_state(model), 0)
        assert fit(loaded, data).history == fit(model, data).history


@pytest.mark.parametrize(
    ("vae_type", "segment"), [*((name, 0) for name in SOME_CORES), ("SEQVAE", 4)]
)
def test_a_loaded_model_goes_on_as_the_saved_one(vae_type, segment, pooled, observed, path):
    hparams = SMALL.replace(
        vae_type=vae_type, seqvae_segment=segment, dropout=0.2, word_dropout=0.2, seed=5
    )
    model = pooled(Waves, hparams, run_eagerly=True)
    fit(model, observed)
    model.save(path)
    loaded = load(path, Waves)
    assert loaded.name == model.name and loaded.run_eagerly
    assert_goes_on_as(model, loaded, observed)


@dataclasses.dataclass(frozen=True)
class RoomHParams(HParams):
    """Hyperparameters of one's own."""

    room_size: int = hparam(3, low=1)
    paths: tuple[int, ...] = (1, 2)


class Room(vaeseq.ModelBase):
    """A model with inputs, tuples of layers and of contexts, and an argument of its own."""

    def __init__(self, hparams=None, inputs_spec=(), name=None, *, color="red"):
        self.color_name = color
        super().__init__(hparams, inputs_spec, name)

    def get_config(self):
        return {**super().get_config(), "color": self.color_name}

    def make_encoder(self):
        last = keras.layers.BatchNormalization()
        return codec.EncoderSequence((codec.MLPObsEncoder(self.hparams), last))

    def make_decoder(self):
        return codec.MLPObsDecoder(self.hparams, codec.NormalDecoder([2]))

    def make_context(self):
        accumulate = context.Accumulate(
            self.encoder, self.encoded_size, 2, keras.Sequential([keras.layers.Flatten()])
        )
        return context.Chain((context.Inputs(), accumulate))


SPECS = {
    "speed": tf.TensorSpec([2], name="speed"),
    "flags": (tf.TensorSpec([], tf.int32), tf.TensorSpec([1])),
}
ROOM = RoomHParams(**dataclasses.asdict(SMALL), room_size=4, paths=(5,))


class Furnished(Room):
    """Encodes its inputs, of any structure and dtype."""

    def make_context(self):
        return context.Chain((Flattened(), super().make_context()))


class Flattened(context.Inputs):
    """All inputs as one vector."""

    def call(self, inputs, state):
        flat = [tf.cast(x, tf.float32) for x in tf.nest.flatten(inputs)]
        return tf.concat([x if x.shape.rank == 2 else x[:, None] for x in flat], -1)

    def from_observations(self, observed, inputs, state):
        flat = [tf.cast(x, tf.float32) for x in tf.nest.flatten(inputs)]
        return tf.concat([x if x.shape.rank == 3 else x[..., None] for x in flat], -1), state


@pytest.fixture
def furnished(observed):
    """A trained model with everything that a subclass can have, and its data."""
    random = np.random.default_rng(1)
    inputs = {
        "speed": random.normal(size=[4, 6, 2]),
        "flags": (random.integers(0, 2, [4, 6]), random.normal(size=[4, 6, 1])),
    }
    data = tf.data.Dataset.from_tensors({"observed": observed, "inputs": inputs})
    model = Furnished(ROOM, SPECS, "furnished", color="blue")
    rate = keras.optimizers.schedules.CosineDecay(0.01, 10)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), run_eagerly=True)
    model.fit(data, epochs=2, shuffle=False, verbose=0)
    return model, data


def test_a_subclass_with_inputs_hyperparameters_and_arguments_of_its_own(furnished, path):
    model, data = furnished
    model.save(path)
    loaded = load(path, Furnished)
    assert loaded.color_name == "blue" and loaded.hparams.room_size == 4
    assert loaded.name == "furnished"
    for _ in range(2):
        assert_close(loaded.get_weights(), model.get_weights(), 0)
        assert_close(training_state(loaded), training_state(model), 0)
        histories = [each.fit(data, shuffle=False, verbose=0).history for each in (loaded, model)]
        assert histories[0] == histories[1]


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_go_on_as_the_model_and_need_no_registered_class(how, pooled, observed):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"), run_eagerly=True)
    fit(model, observed)
    copied = copy.deepcopy(model) if how == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert copied is not model
    assert_goes_on_as(model, copied, observed)


def test_config_and_clone_have_new_weights_of_the_same_model(furnished):
    model, _ = furnished
    config = json.loads(json.dumps(model.get_config()))
    fresh = Furnished(ROOM, SPECS, color="blue")
    for other in (Furnished.from_config(config), keras.models.clone_model(model)):
        assert type(other) is Furnished and other.hparams == ROOM
        assert other.inputs_spec == SPECS and other.color_name == "blue"
        assert_close(other.get_weights(), fresh.get_weights(), 0)
    assert other.optimizer.get_config() == model.optimizer.get_config()


@pytest.fixture
def eagerly():
    """Does not compile, which would take longer than the tests."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_a_checkpoint_of_the_whole_model_can_be_loaded(pooled, observed, path):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"), run_eagerly=True)
    checkpoint = keras.callbacks.ModelCheckpoint(path, monitor="val_loss", save_best_only=True)
    fit(model, observed, 2, validation_data=observed, callbacks=[checkpoint])
    loaded = load(path, Waves)
    assert_close(loaded.get_weights(), model.get_weights(), 0)
    assert not load(path, Waves, compile=False).compiled


def test_the_discriminator_of_a_policy_gradient_is_saved(path, eagerly):
    hparams = ADVERSARIAL.replace(policy_gradient="stepwise", vae_type="RNN", policy_elbo_steps=1)
    data = np.random.default_rng(0).integers(0, 3, [4, 6])
    model = Words(hparams)
    model.compile()
    model.fit(data, epochs=2, batch_size=4, shuffle=False, verbose=0)
    model.save(path)
    loaded = load(path, Words)
    assert_goes_on_as(model, loaded, data)


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5"])
def test_the_old_format_of_keras_is_refused(name, pooled, tmp_path):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"), run_eagerly=True)
    with pytest.raises(ValueError, match=r"model\.h.*5: .* only in the format \.keras"):
        model.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_frozen_layers_stay_frozen(observed, path):
    model = Waves(SMALL.replace(vae_type="RNN"))
    model.encoder.trainable = False
    model.compile(run_eagerly=True)
    fit(model, observed)
    model.save(path)
    loaded = load(path, Waves)
    assert not loaded.encoder.trainable and loaded.decoder.trainable
    assert_goes_on_as(model, loaded, observed)


def test_a_layer_that_learns_in_a_frozen_one_still_does(observed, path):
    model = Waves(SMALL.replace(vae_type="RNN"))
    model.encoder.trainable = False
    inner = all_layers(model.encoder)[-1]
    inner.trainable = True
    model.compile()
    model.save(path)
    loaded = load(path, Waves)
    flags = [[layer.trainable for layer in all_layers(x)] for x in (model, loaded)]
    assert flags[0] == flags[1] and not loaded.encoder.trainable
    assert all_layers(loaded.encoder)[-1].trainable


class FixedKernel(Waves):
    """Freezes a single variable of a layer that learns."""

    def make_encoder(self):
        dense = keras.layers.Dense(3)
        dense.build([None, 2])
        dense.kernel.trainable = False
        return dense


def test_a_variable_that_the_model_froze_itself_stays_frozen(path):
    model = FixedKernel(SMALL.replace(vae_type="RNN"))
    model.save(path)
    loaded = load(path, FixedKernel)
    counts = [len(x.trainable_variables) for x in (model, loaded)]
    assert counts[0] == counts[1]


def test_a_model_that_was_not_compiled(observed, path):
    model = Waves(SMALL.replace(vae_type="RNN"))
    model.save(path)
    loaded = load(path, Waves)
    assert not loaded.compiled
    assert_close(loaded.log_prob(observed), model.log_prob(observed), 0)


class Fixed(Waves):
    """Chooses its own inputs and hyperparameters."""

    def __init__(self, latent_size=3):
        super().__init__(SMALL.replace(latent_size=latent_size), tf.TensorSpec([1]))

    def get_config(self):
        return {**super().get_config(), "latent_size": self.hparams.latent_size}


def test_a_constructor_may_choose_the_hyperparameters(path):
    Fixed(latent_size=4).save(path)
    assert load(path, Fixed).hparams.latent_size == 4

    class Forgetful(Fixed):
        def get_config(self):
            return {x: y for x, y in super().get_config().items() if x != "latent_size"}

    with pytest.raises(ValueError, match=r"Forgetful was saved with hparams = .*, but its constr"):
        Forgetful.from_config(Forgetful(4).get_config())


def test_specs_of_inputs_are_json():
    specs = {"a": [tf.TensorSpec([2, 1], tf.int64), ()], "b": (tf.TensorSpec([], name="b"),)}
    loaded = saving.specs_from_json(json.loads(json.dumps(saving.specs_to_json(specs))))
    assert loaded == specs and type(loaded["a"]) is list and type(loaded["b"]) is tuple


class Pair(NamedTuple):
    """A structure whose class a file cannot hold."""

    first: tf.TensorSpec


def test_named_tuples_of_inputs_are_refused():
    model = Waves(SMALL, Pair(tf.TensorSpec([1])))
    with pytest.raises(ValueError, match=r"Pair.*cannot be saved: use a dict or a tuple"):
        model.get_config()


def edited(path, change):
    """Writes a saved model again with another configuration; as a stranger could."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(files["config.json"])
    change(config)
    files["config.json"] = json.dumps(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_files_of_strangers_are_checked_and_run_no_code(path, pooled):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"), run_eagerly=True)

    def refuses(change, error, match):
        model.save(path)
        edited(path, change)
        with pytest.raises(error, match=match):
            load(path, Waves)

    def hparams(name, value):
        return lambda config: config["config"]["hparams"]["values"].update({name: value})

    refuses(hparams("latent_size", -1), UsageError, "latent_size = -1 is out of range: at least")
    refuses(hparams("rnn_hidden_sizes", [1 << 40]), UsageError, "is out of range")
    refuses(hparams("latent_sise", 3), UsageError, "did you mean 'latent_size'")
    refuses(
        lambda config: config["config"]["hparams"].update(module="os", name="system"),
        UsageError,
        "hyperparameters of the class system of os, which is not defined here",
    )

    def with_lambda(config):
        dumped = keras.saving.serialize_keras_object(keras.layers.Lambda(lambda: 1 / 0))
        config["compile_config"]["optimizer"]["config"]["learning_rate"] = dumped

    refuses(with_lambda, ValueError, "[Ll]ambda")
    model.save(path)
    with pytest.raises(TypeError, match=r"Could not locate class 'Waves'.*register_keras"):
        keras.models.load_model(path)
