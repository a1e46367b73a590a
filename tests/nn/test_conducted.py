"""The recurrence in segments: what reaches what, and that one batch equals single steps."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import SMALL, assert_close
from tests.nn.stacks import stepwise, weighted_sum
from vaeseq.nn.conducted import ConductedStack
from vaeseq.nn.recurrence import RNN_CELLS

FEATURES, PARTS, PART_SIZE = 2, 2, 2  # of z with 3 units, parts of 2


def make(segment, places, steps, rnn_cell="lstm", embed_inputs=True):
    """Returns a stack, inputs [B, T, 2], and states at random of rows at these places."""
    keras.utils.set_random_seed(0)
    hparams = SMALL.replace(
        seqvae_segment=segment, seqvae_parts=PARTS, rnn_cell=rnn_cell, rnn_hidden_sizes=(3, 4)
    )
    rnn = ConductedStack(hparams, embed_inputs)
    state = rnn.state_from(tf.random.normal([len(places), rnn.state_size]))
    state = tf.nest.map_structure(
        lambda x: tf.random.normal(x.shape) if x.dtype.is_floating else x, state
    )
    inputs = tf.random.normal([len(places), steps, FEATURES])
    return rnn, inputs, state._replace(place=tf.constant(places)[:, None])


@st.composite
def cases(draw):
    segment = draw(st.integers(1, 5))
    places = draw(st.lists(st.integers(0, PARTS * segment - 1), min_size=1, max_size=4))
    cell, embed_inputs = draw(st.sampled_from(RNN_CELLS)), draw(st.booleans())
    return segment, places, draw(st.integers(1, 11)), cell, embed_inputs


@settings(max_examples=12, deadline=None)
@given(case=cases())
def test_unroll_equals_repeated_steps_from_any_place(case):
    rnn, inputs, state = make(*case)
    assert_close(rnn.unroll(inputs, state), stepwise(rnn, inputs, state))


@settings(max_examples=6, deadline=None)
@given(case=cases())
def test_the_gradient_of_unroll_equals_that_of_steps(case):
    rnn, inputs, state = make(*case)
    rnn.unroll(inputs, state)
    given = [inputs, *(x for x in tf.nest.flatten(state) if x.dtype.is_floating)]
    gradients = []
    for run in (rnn.unroll, functools.partial(stepwise, rnn)):
        with tf.GradientTape() as tape:
            tape.watch(given)
            outputs, states = run(inputs, state)
            loss = weighted_sum((outputs, states._replace(place=())))
        found = tape.gradient(loss, given + rnn.trainable_variables, unconnected_gradients="zero")
        gradients.append([tf.convert_to_tensor(x) for x in found])
    assert_close(*gradients, 1e-4)


@pytest.fixture(params=["unroll", "steps"])
def dependence(request):
    """Returns which steps depend on each part of the state and on each input, by the gradient.

    Of two rows of 7 steps in segments of 3. The first begins a segment, the second has one step
    left in its own:

        row 0    0 1 2 | 3 4 5 | 6
        row 1    0 | 1 2 3 | 4 5 6
    """
    rnn, inputs, state = make(3, [0, 2], 7)
    run = rnn.unroll if request.param == "unroll" else functools.partial(stepwise, rnn)
    names = ("low", "conductor", "topic", "embedding")
    parts = {name: getattr(state, name) for name in names} | {"inputs": inputs}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(parts)
        given = state._replace(**{name: parts[name] for name in names})
        outputs = tf.unstack(tf.reduce_sum(run(parts["inputs"], given)[0], axis=2), axis=1)
    sizes = {"inputs": 7, "topic": PARTS * PART_SIZE}
    found = {name: np.zeros([2, 7, sizes.get(name, 1)], bool) for name in parts}
    for t, output in enumerate(outputs):
        for name, gradient in tape.gradient(output, parts, unconnected_gradients="zero").items():
            for x in tf.nest.flatten(gradient):
                found[name][:, t] |= np.any(np.reshape(x, [2, found[name].shape[2], -1]), axis=2)
    return found


def test_nothing_but_the_conductor_leads_from_a_segment_to_the_next(dependence):
    segment = np.array([[0, 0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 2, 2, 2]])
    same = segment[:, :, None] == segment[:, None]
    np.testing.assert_array_equal(dependence["inputs"], same & np.tri(7, dtype=bool))
    ongoing = np.array([[0] * 7, [1, 0, 0, 0, 0, 0, 0]], bool)[..., None]
    for name in ("low", "embedding"):
        np.testing.assert_array_equal(dependence[name], ongoing, name)
    np.testing.assert_array_equal(dependence["conductor"], ~ongoing)


def test_each_segment_sees_its_part_of_the_topic_and_those_before_by_the_conductor(dependence):
    """With two parts of two units, the third segment sees the first part again."""
    first = np.array([[1] * 7, [0, 0, 0, 0, 1, 1, 1]], bool)
    second = np.array([[0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 1]], bool)
    expected = np.stack([first, first, second, second], axis=2)
    np.testing.assert_array_equal(dependence["topic"], expected)


def test_the_conductor_takes_one_step_for_each_segment():
    """Row 0 begins with the first part of the topic, row 1 within the segment of the first."""
    rnn, inputs, state = make(3, [0, 2], 7)
    _, states = rnn.unroll(inputs, state)
    parts = tf.reshape(state.topic, [2, PARTS, PART_SIZE])
    embeddings = []
    for row, order in ((0, [0, 1, 0]), (1, [1, 0])):
        conductor = tf.nest.map_structure(lambda x, row=row: x[row : row + 1], state.conductor)
        found = []
        for part in order:
            h, conductor = rnn.conductor.step(parts[row : row + 1, part], conductor)
            found.append(tf.concat([h[0], parts[row, part]], axis=0))
        embeddings.append(found)
        after = tf.nest.map_structure(lambda x, row=row: x[row : row + 1, -1], states.conductor)
        assert_close(after, conductor)
    (first, second, third), (fourth, fifth) = embeddings
    begun = state.embedding[1]
    expected = [
        [first, first, first, second, second, second, third],
        [begun, fourth, fourth, fourth, fifth, fifth, fifth],
    ]
    assert_close(states.embedding, tf.stack([tf.stack(x) for x in expected]))
    places = [[1, 2, 3, 4, 5, 0, 1], [3, 4, 5, 0, 1, 2, 3]]
    assert states.place[..., 0].numpy().tolist() == places


def test_each_step_of_a_segment_sees_its_own_map_of_the_embedding():
    rnn, _, _ = make(3, [0], 1)
    embedding = tf.random.normal([2, 4 + PART_SIZE])
    rnn.of_steps(embedding)
    maps = np.split(rnn.of_steps.kernel, 3, axis=1)
    assert_close(rnn._to_steps(embedding), tf.stack([embedding @ W for W in maps], axis=1))


def test_a_state_holds_each_feature_once_and_begins_a_segment():
    rnn, _, _ = make(3, [0], 1)
    features = np.arange(1, rnn.state_size + 1, dtype=np.float32)
    state = rnn.state_from(features[None])
    found = np.concatenate([x[0] for x in tf.nest.flatten(state)])
    assert sorted(found[found != 0]) == features.tolist()
    assert state.place.numpy().tolist() == [[0]]
    assert not any(x.numpy().any() for x in tf.nest.flatten(rnn.initial_state(3)))


def test_the_features_of_states_are_the_outputs():
    rnn, inputs, state = make(3, [0, 2], 4)
    outputs, states = rnn.unroll(inputs, state)
    assert_close(rnn.features(states), outputs)


@pytest.mark.parametrize("embed_inputs", [True, False])
def test_the_embedding_is_an_input_of_each_step_only_if_wanted(embed_inputs):
    rnn, inputs, state = make(3, [0], 2, embed_inputs=embed_inputs)
    rnn.unroll(inputs, state)
    assert rnn.low.layers[0].kernel.shape[0] == FEATURES + embed_inputs * 4
