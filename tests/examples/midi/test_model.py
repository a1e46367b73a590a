"""Models of rolls: likelihoods, observations and scores."""

import numpy as np
import pytest

from tests.examples.midi.conftest import TINY
from vaeseq import UsageError
from vaeseq.examples.midi.corpus import Corpus, consecutive_spans
from vaeseq.examples.midi.hparams import MidiHParams
from vaeseq.examples.midi.model import MidiModel, score_pieces
from vaeseq.examples.midi.music.roll import KEYS
from vaeseq.model.scoring import WindowScorer


@pytest.fixture
def small_model(pooled):
    def make(**changes):
        return pooled(MidiModel, MidiHParams(decoder="keys").parse(TINY).replace(**changes), KEYS)

    return make


def random_rolls(states, shape=(3, 10)):
    return np.random.default_rng(0).integers(states, size=[*shape, KEYS], dtype=np.uint8)


@pytest.mark.parametrize("levels", [0, 1, 4])
def test_log_prob_of_a_frame_is_the_sum_over_keys(levels, small_model):
    """Computed by hand from the logits of the decoder."""
    model = small_model(velocity_levels=levels)
    rolls = random_rolls(2 + levels)
    inference, _ = model.infer(rolls)
    (logits,) = (x.numpy() for x in inference.steps.obs_params)
    if levels == 0:
        logits = np.stack([np.zeros_like(logits), logits], axis=-1)
    log_p = logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))
    expected = np.take_along_axis(log_p, rolls[..., None].astype(int), -1)[..., 0].sum(-1)
    np.testing.assert_allclose(inference.log_prob, expected, rtol=1e-4)


@pytest.mark.parametrize("levels", [0, 2])
def test_keys_that_depend_on_each_other(levels, small_model):
    model = small_model(decoder="nade", nade_hidden=4, velocity_levels=levels)
    rolls = (random_rolls(40) == 0).astype(np.uint8) * (1 + levels)
    before = model.evaluate(rolls, verbose=0, return_dict=True)["loss"]
    model.fit(rolls, epochs=4, verbose=0)
    assert model.evaluate(rolls, verbose=0, return_dict=True)["loss"] < before
    for rows in (1, 2):
        generated = model.to_rolls(model.generate(rows, 5))
        assert generated.shape == (rows, 5, KEYS) and generated.max() <= 1 + levels


def test_scoring_pieces_together_equals_scoring_each_alone(small_model):
    model = small_model()
    frames, lengths = random_rolls(3, (30,)), [5, 17, 8]
    corpus = Corpus(frames, consecutive_spans(lengths))
    score = score_pieces(WindowScorer(model), model, corpus, window_frames=8)
    for index, (begin, end) in enumerate(corpus.spans):
        alone = float(model.log_prob(frames[None, begin:end])[0])
        assert score.bound[index] == pytest.approx(alone, rel=1e-5)


def test_a_piece_has_a_z_for_every_window_if_one_describes_a_sequence(small_model):
    model = small_model(vae_type="SEQVAE", sequence_size=8)
    frames, lengths = random_rolls(3, (30,)), [5, 17, 8]
    corpus = Corpus(frames, consecutive_spans(lengths))
    score = score_pieces(WindowScorer(model, 1), model, corpus)
    begin_state = model.initial_state(1)
    for index, (begin, end) in enumerate(corpus.spans):
        state, kl = begin_state, 0.0
        for at in range(begin, end, 8):
            state = state._replace(core=begin_state.core)
            inference, state = model.infer(frames[None, at : min(at + 8, end)], state=state)
            kl += np.sum(inference.kl)
        assert score.kl[index] == pytest.approx(kl, rel=1e-4)


def test_rolls_come_back_from_betas_and_a_count(small_model):
    model = small_model(velocity_levels=0, decoder="beta_count")
    rolls = (random_rolls(40) == 0).astype(np.uint8)
    assert rolls.sum(-1).max() <= 10
    np.testing.assert_array_equal(model.to_rolls(model.observe(rolls)), rolls)
    generated = model.to_rolls(tuple(x.numpy() for x in model.generate(2, 5)))
    assert generated.shape == (2, 5, KEYS) and set(np.unique(generated)) <= {0, 1}


def test_given_latents_are_used(small_model):
    model = small_model(vae_type="SRNN")
    state = model.initial_state(2)
    latents = np.random.default_rng(0).normal(size=[2, 6, 4]).astype(np.float32)
    observed, _ = model.extend(state, 2, 6, seed=3, latents=latents)
    again, _ = model.extend(state, 2, 6, seed=3, latents=latents)
    other, _ = model.extend(state, 2, 6, seed=3, latents=30 * latents)
    assert np.array_equal(observed, again) and not np.array_equal(observed, other)


def test_beta_count_needs_velocity_levels_0():
    with pytest.raises(UsageError, match="velocity_levels=0"):
        MidiHParams(decoder="beta_count")
    MidiHParams(decoder="beta_count", velocity_levels=0)
