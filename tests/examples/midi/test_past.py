"""What keys did before, and intervals: stepwise, by hand, and in other keys."""

import copy

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import assert_close
from tests.examples.midi.conftest import TINY
from vaeseq.context import Context, Inputs, core_part
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.intervals import SeeIntervals
from vaeseq.examples.midi.model import MidiModel
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.examples.midi.past import RECALLS, Past, num_features

KEYS_OF_TEST = 7
SMALL = MidiHParams().parse(TINY).replace(past_size=5)


def rolls(states=3, shape=(2, 40, KEYS_OF_TEST), seed=0):
    rng = np.random.default_rng(seed)
    return (rng.integers(states, size=shape) * (rng.random(shape) < 0.3)).astype(np.uint8)


def make_past(states=3, **changes):
    past = Past(SMALL.replace(**changes), Inputs(), KEYS_OF_TEST, states)
    past.n.assign([-1.0, 0.0, 1.0])
    past.b.assign(tf.random.stateless_normal(past.b.shape, [1, 2]))
    return past


@pytest.mark.parametrize("states", [2, 3, 5])
@pytest.mark.parametrize("steps", [1, 3, 30])
def test_a_sequence_equals_its_steps(states, steps):
    past, observed = make_past(states), tf.constant(rolls(states)[:, :steps])
    inputs = tf.zeros([2, steps, 0])
    _, before = past.from_observations(
        tf.constant(rolls(states, seed=1)), tf.zeros([2, 40, 0]), past.initial_state(2)
    )
    for state in (past.initial_state(2), tf.nest.map_structure(lambda x: x[:, 2], before)):
        fused = past.from_observations(observed, inputs, state)
        assert_close(fused, Context.from_observations(past, observed, inputs, state))


def test_a_long_sequence_is_computed_in_parts(monkeypatch):
    past, observed, inputs = make_past(), tf.constant(rolls()), tf.zeros([2, 40, 0])
    whole = past.from_observations(observed, inputs, past.initial_state(2))
    monkeypatch.setattr("vaeseq.examples.midi.past._PART", 7)
    assert_close(past.from_observations(observed, inputs, past.initial_state(2)), whole)


def test_a_context_does_not_depend_on_later_frames():
    past, observed, inputs = make_past(), rolls(), tf.zeros([2, 40, 0])
    changed = np.concatenate([observed[:, :20], 2 - observed[:, 20:]], axis=1)
    before, after = (
        past.from_observations(tf.constant(x), inputs, past.initial_state(2))[0].decoder.numpy()
        for x in (observed, changed)
    )
    np.testing.assert_array_equal(before[:, :21], after[:, :21])
    assert np.abs(before[:, 21] - after[:, 21]).max() > 0.1


def test_the_recall_of_a_passage_is_what_followed_it():
    past = make_past(2, past_size=50)
    past.a.assign(tf.fill(past.a.shape, 5.0))
    past.b.assign(tf.zeros_like(past.b))
    passage = rolls(2, (2, 20, KEYS_OF_TEST))
    observed = np.concatenate([passage, rolls(2, (2, 3, KEYS_OF_TEST), 1), passage], axis=1)
    context, _ = past.from_observations(
        tf.constant(observed), tf.zeros([2, 43, 0]), past.initial_state(2)
    )
    reliance, sums = np.split(context.decoder.numpy(), [RECALLS], axis=-1)
    recalls = sums.reshape(2, 43, KEYS_OF_TEST, num_features(2))[..., -RECALLS:]
    np.testing.assert_allclose(recalls[:, -1], np.repeat(observed[:, -1, :, None], 3, 2), atol=0.01)
    np.testing.assert_allclose(reliance[:, -1], 1, atol=0.01)
    np.testing.assert_allclose(reliance[:, 0], 0)  # there is no frame before the first


def test_the_sums_by_hand():
    """The last two frames, and an average of the frames before, for whether keys sound."""
    past, observed = make_past(2), rolls(2)
    context, _ = past.from_observations(
        tf.constant(observed), tf.zeros([2, 40, 0]), past.initial_state(2)
    )
    sums = context.decoder.numpy()[..., RECALLS:].reshape(2, 40, KEYS_OF_TEST, -1)
    np.testing.assert_array_equal(sums[:, 2:, :, 0], observed[:, 1:-1])
    np.testing.assert_array_equal(sums[:, 2:, :, 1], observed[:, :-2])
    average = sum(0.5**lag * observed[:, 20 - lag] for lag in range(1, 6))
    np.testing.assert_allclose(sums[:, 20, :, 2], average, rtol=1e-5)


@pytest.mark.parametrize("keyboards", [1, 2])
def test_intervals_are_the_same_in_all_keys(keyboards):
    layer, x = SeeIntervals(4, 60), np.zeros([3, keyboards, 60, 2], np.float32)
    x[:, :, 20:30] = np.random.default_rng(0).normal(size=[3, keyboards, 10, 2])
    here, higher = (
        layer(np.roll(x, shift, axis=2).reshape(3, -1, 2)).numpy().reshape(3, keyboards, 60, 4)
        for shift in (0, 5)
    )
    np.testing.assert_allclose(np.roll(here, 5, axis=2)[:, :, 5:], higher[:, :, 5:], atol=1e-5)
    assert np.abs(here - higher).max() > 0.1


def test_octaves_are_seen_at_any_distance():
    layer = SeeIntervals(4, 60)
    x = np.zeros([1, 60, 1], np.float32)
    layer(x)
    layer.p.assign(tf.fill(layer.p.shape, 10.0))  # so that relu changes nothing
    silent = layer(x).numpy()
    x[0, 5] = 1
    changed = np.abs(layer(x).numpy() - silent).max(axis=(0, 2)) > 1e-6
    assert changed[5 + 36] and changed[:18].all()


@pytest.mark.parametrize("changes", [{"velocity_levels": 0}, {}, {"velocity_levels": 3}])
def test_a_model_that_sees_intervals(changes, pooled):
    hparams = SMALL.replace(decoder="nade", nade_hidden=4, interval_units=3, **changes)
    model = pooled(MidiModel, hparams.replace(interval_features=4), 2 * KEYS)
    observed = rolls(2 + hparams.velocity_levels, (2, 9, 2 * KEYS))
    losses = model.fit(observed, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    log_prob = model.infer(observed)[0].log_prob.numpy()
    changed = observed.copy()
    changed[:, 5:] = 0
    np.testing.assert_allclose(model.infer(changed)[0].log_prob[:, :5], log_prob[:, :5], rtol=1e-5)
    first, state = model.infer(observed[:, :4])
    second, _ = model.infer(observed[:, 4:], state=state)
    parts = np.concatenate([first.log_prob, second.log_prob], axis=1)
    np.testing.assert_allclose(parts, log_prob, rtol=1e-4)
    assert model.generate(2, 5, state=state).shape == (2, 5, 2 * KEYS)


def test_a_model_that_sees_intervals_is_copied(pooled):
    hparams = SMALL.replace(decoder="nade", nade_hidden=4, interval_units=3, interval_features=4)
    model, observed = pooled(MidiModel, hparams, KEYS), rolls(3, (2, 6, KEYS))
    assert_close(copy.deepcopy(model).log_prob(observed), model.log_prob(observed))


def test_only_the_decoder_sees_its_part_of_a_context(pooled):
    hparams = SMALL.replace(decoder="nade", nade_hidden=4, interval_units=3, interval_features=4)
    model = pooled(MidiModel, hparams, KEYS)
    contexts, _ = model.context.from_observations(
        tf.constant(rolls(3, (2, 6, KEYS))), (), model.initial_state(2).context
    )
    seen = sum(x.shape[-1] for x in tf.nest.flatten(core_part(contexts)))
    assert model.core.d_rnn.layers[0].kernel.shape[0] == seen < KEYS
    assert contexts.decoder.shape[-1] == RECALLS + KEYS * num_features(3)
