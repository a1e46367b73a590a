"""The summary of a model."""

import re

import keras
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves

SHAPES = {
    "encoder": "(None, 6)",
    "decoder": "[(None, None, 2),",  # the second of its params is in the next line
    "context": "(None, None, 6)",
    "core": "(None, None, 3)",
}


def rows(model, **options):
    """Returns the rows of the summary as pairs of shape and number of parameters, and its text."""
    texts = []
    model.summary(print_fn=texts.append, **options)
    cells = re.findall(r"[│|] (.*?) +[│|] (.*?) +[│|] +([\d,]+) ", texts[0])
    return {name: (shape, int(count.replace(",", ""))) for name, shape, count in cells}, texts[0]


def test_parts_have_shapes_and_each_parameter_counts_once(pooled, vae_type):
    model = pooled(Waves, SMALL.replace(vae_type=vae_type))
    found, text = rows(model)
    shapes = SHAPES | ({"core": "(None, None, 5)"} if vae_type == "RNN" else {})
    assert {name.split()[0]: shape for name, (shape, _) in found.items()} == shapes
    assert sum(count for _, count in found.values()) == model.count_params()
    assert f"Trainable params: {sum(tf.size(x).numpy() for x in model.trainable_weights):,}" in text
    assert "Optimizer params" in text and type(model.core).__name__ in text


def test_expanded_parts_list_each_layer_once(pooled):
    found, text = rows(pooled(Waves, SMALL.replace(vae_type="SRNN")), expand_nested=True)
    names = [name.split()[-2] for name in found]
    assert len(set(names)) == len(names) - 1, "lstm_0 is in d_rnn and in e_rnn"
    assert text.count("MLPObsEncoder") == text.count("MLPObsDecoder") == 1
    assert found["   └ d_rnn (LSTMStack)"][0] == "(None, 5)"


def test_the_model_is_as_before(pooled):
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    before = [x.path for x in model.variables]
    model.encoder.trainable = False
    _, text = rows(model, show_trainable=True)
    model.encoder.trainable = True
    assert "Non-trainable params: 18 " in text
    assert [x.path for x in model.variables] == before


@pytest.mark.parametrize("gaps", [False, True])
def test_further_layers_of_a_model_have_a_row(gaps):
    class Extended(Waves):
        def _create_parts(self):
            super()._create_parts()
            self.extra = keras.layers.Dense(4, name="extra")
            self.extra.build([None, 2])

    model = Extended(SMALL.replace(vae_type="RNN", gaps=gaps))
    found, _ = rows(model)
    assert found["extra (Dense)"] == ("(None, 4)", 12)
    assert sum(count for _, count in found.values()) == model.count_params()
