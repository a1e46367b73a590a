"""Likelihoods of long sequences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import SMALL, Waves, assert_close
from vaeseq import objectives
from vaeseq.model import scoring
from vaeseq.model.scoring import (
    Score,
    consecutive_windows,
    separate_windows,
    validation_metrics,
)
from vaeseq.vae.core import Inference


def in_windows(observed, width):
    """Returns the rows of [B, T, 2] in windows, as spans of one long sequence."""
    rows, steps = observed.shape[:2]
    spans = [(row * steps, (row + 1) * steps) for row in range(rows)]
    return consecutive_windows(observed.reshape(rows * steps, 2), spans, width)


def totals(score):
    return Score(*map(np.sum, score))


def test_consecutive_windows_have_every_step_of_every_row_once():
    sequence, spans = np.arange(1, 20), [(0, 7), (7, 7), (9, 19)]
    parts = [[], [], []]
    for observed, lengths in consecutive_windows(sequence, spans, 4):
        assert observed.shape == (3, 4)
        for part, row, length in zip(parts, observed, lengths, strict=True):
            part.extend(row[:length])
            assert not row[length:].any()
    assert parts == [sequence[begin:end].tolist() for begin, end in spans]


def test_separate_windows_have_every_step_of_every_span_once():
    sequence, spans = np.arange(1, 20), [(0, 7), (9, 19)]
    batches = list(separate_windows(sequence, spans, 4, rows=3))
    assert [len(lengths) for _, lengths in batches] == [3, 2]
    steps = [
        step
        for observed, lengths in batches
        for row, length in zip(observed, lengths, strict=True)
        for step in row[:length]
    ]
    assert steps == [*range(1, 8), *range(10, 20)]


def test_window_by_window_equals_one_window_without_latents(pooled, observed, scorer):
    model = pooled(Waves, SMALL.replace(vae_type="RNN"))
    score = totals(scorer(model, 5).score(in_windows(observed, 4))[0])
    assert score.bound == pytest.approx(float(np.sum(model.log_prob(observed))), rel=1e-5)
    assert score.elbo == pytest.approx(score.bound, rel=1e-5) and score.kl == 0


def test_one_particle_over_one_window_is_the_elbo(waves, observed, scorer):
    score = totals(scorer(waves).score(in_windows(observed, 6), seed=3)[0])
    elbo = float(np.sum(objectives.elbo(waves.infer(observed)[0])))
    assert score.elbo == pytest.approx(elbo, rel=0.2)


@pytest.mark.parametrize("vae_type", ["ISEQ", "SRNN"])
def test_more_particles_raise_the_bound_towards_the_likelihood(waves, scorer):
    observed = np.random.default_rng(0).normal(size=[50, 6, 2]).astype(np.float32)
    scores = [totals(scorer(waves, k).score(in_windows(observed, 3))[0]) for k in (1, 8, 64)]
    bounds = [score.bound for score in scores]
    assert bounds == sorted(bounds)
    assert scores[-1].elbo < scores[-1].bound
    likelihood = float(np.sum(waves.log_prob(observed, num_samples=2000)))
    assert bounds[-1] == pytest.approx(likelihood, rel=0.05)


def test_a_row_that_has_ended_adds_nothing(waves, observed, scorer):
    start, rest = (observed[:, :3], [3, 0, 0, 0]), (observed[:, 3:], [0, 0, 0, 0])
    short, _ = scorer(waves, 2).score([start])
    longer, _ = scorer(waves, 2).score([start, rest])
    np.testing.assert_allclose(longer, short, rtol=1e-5)
    assert np.all(longer.elbo[1:] == 0)


@pytest.mark.parametrize("particles", [1, 2])
def test_the_state_of_a_row_that_has_ended_stays_as_it_is(waves, observed, scorer, particles):
    start, rest = (observed[:, :3], [3, 3, 3, 3]), (observed[:, 3:], [0, 0, 0, 0])
    _, ended = scorer(waves, particles).score([start])
    _, state = scorer(waves, particles).score([rest], ended)
    assert_close(state.context, ended.context)
    if particles == 1:  # more are resampled
        assert_close(state, ended)


def test_a_score_needs_windows(waves, scorer):
    for state in (None, waves.initial_state(1)):
        for score in (scorer(waves).score, scorer(waves).score_apart):
            with pytest.raises(ValueError, match="windows: there are none"):
                score([], state)


def test_particles_that_are_resampled_often_tighten_the_bound_of_a_long_sequence(pooled, scorer):
    """The likelihood is above both bounds; weights of whole sequences vary more."""
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    observed = np.random.default_rng(0).normal(size=[8, 48, 2]).astype(np.float32)
    bounds = []
    for steps in (48, 4):
        scorer_ = scorer(model, 32, steps_between_resampling=steps)
        bounds.append(totals(scorer_.score(in_windows(observed, 48))[0]).bound)
    assert bounds[0] < bounds[1]


def test_particles_are_resampled_in_proportion_to_their_weights(pooled, scorer, monkeypatch):
    """One particle of each row has all of the weight, so all others continue from its state."""
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    log_prob = tf.constant([[-99.0, 0.0, -99.0, -99.0], [0.0, -99.0, -99.0, -99.0]])
    zero, states = tf.zeros([8, 1]), tf.reshape(tf.range(8), [8, 1, 1])
    inference = Inference(tf.reshape(log_prob, [8, 1]), zero, zero, None, states)
    monkeypatch.setattr(model.core, "infer", lambda *args: inference)
    steps = scoring._Steps((), (), None, tf.zeros([8, 1, 3]))
    before = scoring._Particles(states[:, 0], tf.fill([2, 4], -np.log(np.float32(4))))
    scores, after = scorer(model, 4)._score_chunk(
        steps, before, tf.ones([8], tf.int32), tf.constant([0.2, 0.9])
    )
    np.testing.assert_array_equal(after.state[:, 0], [1, 1, 1, 1, 4, 4, 4, 4])
    np.testing.assert_allclose(after.log_weights, before.log_weights, rtol=1e-5)
    np.testing.assert_allclose(scores[2], 2 * [-np.log(4)], rtol=1e-5)


def test_the_estimate_of_a_likelihood_is_unbiased(pooled, scorer):
    """With weights that are carried, resampled within windows, and between them."""
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    observed = np.random.default_rng(0).normal(size=[1, 4, 2]).astype(np.float32)
    exact = float(np.asarray(model.log_prob(observed, num_samples=10000))[0])
    repeated = np.repeat(observed, 4000, 0)
    few = scorer(model, 3, steps_between_resampling=1)
    ratio = np.exp(few.score(in_windows(repeated, 2))[0].bound - exact)
    error = np.std(ratio) / np.sqrt(len(ratio))
    assert error < 0.05
    assert np.mean(ratio) == pytest.approx(1, abs=4 * error + 0.02)


def test_the_state_after_a_window_has_no_weights_left(pooled, observed, monkeypatch):
    """The last particle of each row has no weight, but enough others have one."""
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))
    scorer_ = scoring.WindowScorer(model, 4)

    def score_chunk(steps, before, lengths, uniforms):
        rows = tf.range(16.0)[:, None]
        state = tf.nest.map_structure(lambda x: tf.zeros_like(x) + rows, before.state)
        return tf.zeros([3, 4]), scoring._Particles(state, tf.math.log(4 * [[0.4, 0.4, 0.2, 1e-9]]))

    monkeypatch.setattr(scorer_, "_score_chunk", score_chunk)
    arguments = tf.constant(observed), tf.fill([4], 6), model.initial_state(16)
    _, after = scorer_._score_window(*arguments, tf.constant([[1, 2], [3, 4]]))
    chosen = np.reshape(after.core[1][:, 0], [4, 4]) - 4 * np.arange(4)[:, None]
    assert chosen.min() == 0 and chosen.max() == 2


def test_a_score_has_the_elbo_of_one_particle_and_the_bound_of_many(pooled, observed, scorer):
    model = pooled(Waves, SMALL.replace(vae_type="SRNN"))

    def score_data(scorer):
        return scorer.score(in_windows(observed, 6), seed=3)[0]

    score, single = scoring.score(model, 50, score_data), score_data(scorer(model))
    assert np.array_equal(score.elbo, single.elbo) and np.array_equal(score.kl, single.kl)
    assert score.bound.sum() > score.elbo.sum()


def test_a_state_of_one_row_scores_one_row(waves, observed, scorer):
    """The shape of such a state is static, and that of a resampled state is not."""
    state = waves.initial_state(1)
    score, _ = scorer(waves).score(in_windows(observed[:1], 4), state)
    assert np.isfinite(score.elbo).all() and score.elbo.shape == (1,)


def test_the_validation_loss_has_the_final_weight_of_the_kl():
    model = Waves(SMALL.replace(vae_type="SEQVAE", divergence_strength_end=0.2))
    score = Score(*np.array([[-3.0, -5.0], [2.0, 2.0], [-3.0, -5.0]]))  # log_prob: -1, -3
    metrics = validation_metrics(model, score, 4)
    assert metrics == pytest.approx({"valid_loss": 1.2, "valid_elbo": -2.0, "valid_kl": 1.0})
