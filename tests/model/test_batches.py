"""The forms in which Keras users pass data: to `fit`, `evaluate`, `predict` and the call."""

import operator

import keras
import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq import codec

HPARAMS = SMALL.replace(vae_type="SRNN")
SPEED = tf.TensorSpec([1])


@pytest.fixture
def driven(pooled):
    return pooled(Waves, HPARAMS, SPEED)


@pytest.fixture
def batch(observed):
    speed = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6, 1)
    return {"observed": observed, "inputs": speed, "lengths": np.array([6, 3, 1, 5])}


def parts(nest):
    """Returns a nest of 4 rows as two nests of 2 rows."""
    return [
        tf.nest.map_structure(operator.itemgetter(rows), nest) for rows in (slice(2), slice(2, 4))
    ]


class Batches(keras.utils.PyDataset):
    """Two batches of a dict."""

    def __init__(self, batch):
        super().__init__()
        self.parts = parts(batch)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.parts[index]


FORMS = {
    "arrays": lambda x: x,
    "dataset": lambda x: tf.data.Dataset.from_tensor_slices(x).batch(2),
    "dataset of tuples": lambda x: tf.data.Dataset.from_tensor_slices((x,)).batch(2),
    "generator": lambda x: ((part,) for part in parts(x)),
}


@pytest.mark.parametrize("form", [*FORMS, "PyDataset"])
def test_predict_returns_the_inference_of_all_rows_as_arrays(driven, batch, form):
    expected = [driven.infer(**part)[0] for part in parts(batch)]
    expected = tf.nest.map_structure(lambda *x: np.concatenate(x), *expected)
    data = FORMS.get(form, Batches)(batch)
    predicted = driven.predict(data, batch_size=2 if form == "arrays" else None, verbose=0)
    assert all(isinstance(x, np.ndarray) for x in tf.nest.flatten(predicted))
    assert_close(predicted, expected)


def test_single_batches_and_calls(driven, batch):
    expected = driven.infer(**batch)[0]
    assert_close(driven.predict_on_batch(batch), tf.nest.map_structure(np.asarray, expected))
    assert_close(driven(batch), expected)
    assert_close(driven(batch["observed"], batch["inputs"], batch["lengths"]), expected)
    before = driven.trained_steps
    losses = driven.test_on_batch(batch, return_dict=True), driven.train_on_batch(batch)
    assert losses[0]["loss"] > 0 and driven.trained_steps == before + 1


class Notes(vaeseq.ModelBase):
    """Tuples of a vector, a symbol and a number."""

    def make_encoder(self):
        return codec.MLPObsEncoder(self.hparams)

    def make_decoder(self):
        kinds = codec.NormalDecoder([2]), codec.CategoricalDecoder(3), codec.NormalDecoder([])
        return codec.MLPObsDecoder(self.hparams, codec.JointDecoder(kinds))


@pytest.fixture
def notes(observed):
    return observed, np.arange(24).reshape(4, 6) % 3, observed[..., 0]


@pytest.mark.parametrize("form", FORMS)
def test_tuples_of_a_joint_decoder(pooled, notes, form):
    model = pooled(Notes, SMALL.replace(vae_type="RNN"), run_eagerly=True)
    data = FORMS[form]
    expected = model.log_prob(notes)
    predicted = model.predict(data(notes), batch_size=2 if form == "arrays" else None, verbose=0)
    assert_close(predicted.log_prob.sum(axis=1), expected.numpy())
    history = model.fit(
        data(notes), validation_data=data(notes), epochs=1, shuffle=False, verbose=0
    ).history
    after = np.sum(model.log_prob(notes)) / 24
    assert history["val_log_prob"][0] == pytest.approx(after, rel=1e-5)
    assert model.trained_steps == (1 if form == "arrays" else 2)


@pytest.mark.parametrize("shape", [(0, 6, 2), (4, 0, 2)])
def test_data_without_rows_or_steps_is_refused(driven, shape):
    model, observed = driven, np.zeros(shape, np.float32)
    batch = {"observed": observed, "inputs": np.zeros([*shape[:2], 1], np.float32)}
    with pytest.raises(
        ValueError, match=rf"observed of shape \({shape[0]}, {shape[1]}, 2\) has no"
    ):
        model.fit(batch, verbose=0)
    assert model.trained_steps == 0


def test_a_forecast_of_no_rows_is_refused(pooled):
    model = pooled(Waves, HPARAMS)
    with pytest.raises(ValueError, match="observed has no rows"):
        model.forecast(np.zeros([0, 6, 2], np.float32), 2)
