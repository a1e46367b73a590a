import keras
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close
from vaeseq.context import Accumulate, Chain, Context, EncodeObserved, Inputs, Nothing


def contexts():
    encoder = keras.layers.Dense(3, "tanh")
    combiner = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    return {
        "nothing": Nothing(),
        "inputs": Inputs(),
        "encode": EncodeObserved(encoder, 3),
        "encode inputs": EncodeObserved(encoder, 3, input_encoder=keras.layers.Dense(4)),
        "accumulate": Accumulate(encoder, 3, history_size=4),
        "accumulate more than the sequence has": Accumulate(encoder, 3, history_size=9),
        "combine": Accumulate(encoder, 3, history_size=2, combiner=combiner),
        "chain": Chain([EncodeObserved(encoder, 3), Accumulate(encoder, 3, 2), Inputs()]),
    }


@pytest.mark.parametrize("name", contexts())
def test_from_observations_equals_the_scanned_steps(name):
    context = contexts()[name]
    observed = tf.random.stateless_normal([2, 5, 2], [0, 1])
    inputs = tf.random.stateless_normal([2, 5, 6], [0, 2])
    state = tf.nest.map_structure(
        lambda x: tf.random.stateless_normal(x.shape, [0, 3]), context.initial_state(2)
    )
    fused = context.from_observations(observed, inputs, state)
    assert_close(fused, Context.from_observations(context, observed, inputs, state))


@pytest.mark.parametrize("name", contexts())
def test_a_context_does_not_depend_on_the_current_or_later_observations(name):
    context = contexts()[name]
    observed = tf.random.stateless_normal([2, 5, 2], [0, 1])
    inputs = tf.zeros([2, 5, 6])
    changed = tf.concat([observed[:, :3], observed[:, 3:] + 1], axis=1)
    before, after = (
        context.from_observations(x, inputs, context.initial_state(2))[0]
        for x in (observed, changed)
    )
    first_steps = [tf.nest.map_structure(lambda x: x[:, :4], nest) for nest in (before, after)]
    assert_close(*first_steps)


def test_a_context_of_inputs_needs_inputs():
    class Driven(Waves):
        def make_context(self):
            return Inputs()

    with pytest.raises(ValueError, match=r"inputs_spec, or use context\.Nothing"):
        Driven(SMALL)
