"""Objectives of models: what their updates draw, count and refuse."""

import numpy as np
import pytest
import tensorflow as tf

import vaeseq
from tests.conftest import SMALL, Waves, assert_close
from vaeseq.model import objective
from vaeseq.model.base import _Terms
from vaeseq.nn import replicas
from vaeseq.nn.convert import stateless_seed
from vaeseq.vae import bounds

SRNN = SMALL.replace(vae_type="SRNN")
OBJECTIVES = ["iwae", "fivo"]


def make(hparams, model=Waves):
    """Returns a model that is not compiled, so that a single step takes no tracing."""
    made = model(hparams)
    made.compile(run_eagerly=True)
    return made


def bound(model, observed, seed=0, **batch):
    prepared = model.prepare(observed, **batch)
    return objective.bound(model, prepared, None, tf.constant([seed, 0]), 1.0, False)


def test_an_update_with_one_particle_is_bitwise_that_of_the_elbo(observed):
    weights = []
    for name in ("elbo", *OBJECTIVES):
        model = make(SRNN.replace(objective=name, use_monte_carlo_kl=False))
        metrics = model.train_on_batch(observed, return_dict=True)
        weights.append([*model.get_weights(), *metrics.values()])
        assert "bound" not in metrics
    for other in weights[1:]:
        assert_close(other, weights[0], 0)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_same_step_draws_the_same(name, observed):
    """So a training run that is resumed ends with the same weights."""
    model = make(SRNN.replace(objective=name, num_particles=3, dropout=0.3))
    variables = [*model.variables, *model.optimizer.variables]
    model.train_on_batch(observed)
    before = [x.numpy() for x in variables]
    ends = []
    for _ in range(2):
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        metrics = model.train_on_batch(observed, return_dict=True)
        ends.append(model.get_weights())
    assert_close(ends[0], ends[1], 0)
    assert metrics["loss"] == pytest.approx(-metrics["bound"])
    assert metrics["bound"] > metrics["elbo"]
    assert 1 <= metrics["effective_sample_size"] <= 3


def test_sample_sizes_are_means_over_the_rows_of_all_batches():
    model = make(SRNN.replace(objective="iwae", num_particles=3))
    model.reset_metrics()
    for size, steps in ((5.0, 20.0), (1.0, 2.0)):
        terms = _Terms(0.0, 0.0, 0.0, 0.0, size, num_steps=steps, num_rows=2.0)
        model._update_means(1.0, terms)
    assert model.get_metrics_result()["effective_sample_size"] == 3


@pytest.mark.parametrize("name", ["elbo", *OBJECTIVES])
def test_parts_of_a_batch_draw_what_the_whole_draws(name, observed):
    """The parts are those of workers, or micro-batches; the rows are independent."""
    model = Waves(SRNN.replace(objective=name, num_particles=8))
    observed = 4 * observed  # so unlikely that particles are resampled
    whole = bound(model, observed)
    parts = []
    for part in range(2):
        with replicas.part_of_batch(part, 2):
            parts.append(bound(model, observed[2 * part : 2 * part + 2]))
    for values, *of_parts in zip(whole, *parts, strict=True):
        if values is not None:
            assert_close(tf.concat(of_parts, 0), values)


def test_the_bounds_rise_with_the_particles(vae_type):
    observed = np.random.default_rng(0).normal(size=[100, 5, 2]).astype(np.float32)
    hparams = SMALL.replace(vae_type=vae_type)
    likelihood = float(tf.reduce_sum(Waves(hparams).log_prob(observed, num_samples=500)))
    for name in OBJECTIVES:
        means = []
        for K in (1, 32):
            model = Waves(hparams.replace(objective=name, num_particles=K))
            result = bound(model, observed)
            values = result.log_prob - result.kl if result.bound is None else result.bound
            means.append(float(tf.reduce_sum(values)))
        if vae_type == "RNN":  # the likelihood is exact, and particles are ignored
            assert means == pytest.approx(2 * [likelihood])
        else:
            assert means == sorted(means)
            assert means[-1] < likelihood + 0.03 * abs(likelihood)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_what_is_missing_or_behind_the_end_does_not_count(name, observed):
    model = Waves(SRNN.replace(objective=name, num_particles=3, gaps=True))
    mask = np.random.default_rng(1).random([4, 6, 2]) < 0.6
    lengths, ends = [6, 2, 4, 1], np.arange(6)[None, :, None]
    counts = mask & (ends < np.reshape(lengths, [4, 1, 1]))
    results = [
        bound(model, np.where(counts, observed, filler), lengths=lengths, observed_mask=mask)
        for filler in (np.nan, 5.0)
    ]
    assert np.isfinite(results[0].bound).all()
    assert_close(*map(tuple, results), 0)
    assert np.abs(results[0].bound - bound(model, observed, lengths=lengths).bound).max() > 0.1


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rows_have_weights_and_steps_have_none(name, observed):
    model = make(SRNN.replace(objective=name, num_particles=3))
    weight = np.array([2.0, 0.0, 1.0, 1.0])
    result = model.evaluate(observed, sample_weight=weight, verbose=0, return_dict=True)
    seed = stateless_seed(model.hparams.seed)
    alone = objective.bound(model, model.prepare(observed), None, seed, 1.0, False)
    assert result["bound"] == pytest.approx(float(np.sum(weight * alone.bound)) / 24, rel=1e-5)
    assert result["loss"] == pytest.approx(-result["bound"])
    with pytest.raises(ValueError, match=r"sample_weight must have the shape \[B\] with"):
        model.evaluate(observed, sample_weight=np.ones([4, 6]), verbose=0)


class Noisy(Waves):
    """A decoder with dropout and `add_loss`."""

    def make_decoder(self):
        decoder = super().make_decoder()

        class Adding(type(decoder)):
            def call(self, features):
                self.add_loss(tf.constant(0.25))
                return super().call(features)

        decoder.__class__ = Adding
        return decoder


def test_a_replay_repeats_the_dropout_and_counts_nothing_twice(observed, monkeypatch):
    model = make(
        SRNN.replace(objective="iwae", num_particles=2, estimator="dreg", dropout=0.5), Noisy
    )
    seen, original = [], bounds.iwae

    def spy(core, inference, strength, replay):
        if replay is not None:
            seen.append((inference.log_prob, replay.infer(inference.steps.latents).log_prob))
        return original(core, inference, strength, replay)

    monkeypatch.setattr(bounds, "iwae", spy)
    metrics = model.train_on_batch(observed, return_dict=True)
    assert metrics["loss"] == pytest.approx(0.25 - metrics["bound"], rel=1e-5)
    ((first, again),) = seen
    assert_close(first, again)


def test_fivo_refuses_losses_in_its_loop(observed):
    with pytest.raises(vaeseq.UsageError, match="add_loss and activity regularizers are not"):
        make(SRNN.replace(objective="fivo", num_particles=2), Noisy).train_on_batch(observed)


def test_fivo_refuses_xla():
    model = Waves(SRNN.replace(objective="fivo", num_particles=2))
    with pytest.raises(ValueError, match="XLA cannot compile the gradient of objective=fivo"):
        model.compile(jit_compile=True)


@pytest.mark.parametrize(
    ("hparams", "message"),
    [
        ({"num_particles": 0}, "num_particles = 0 is out of range: at least 1"),
        ({"objective": "vimco"}, "objective cannot be 'vimco'"),
        (
            {"objective": "fivo", "estimator": "dreg"},
            "estimator=dreg is for objective=elbo and objective=iwae",
        ),
        ({"objective": "iwae", "num_particles": 2, "kl_balance": 0.8}, "set kl_balance=0.5,"),
        ({"estimator": "stl", "free_bits": 2.0}, "set kl_balance=0.5,free_bits=0"),
        (
            {
                "objective": "fivo",
                "num_particles": 2,
                "vae_type": "SEQVAE",
                "seqvae_batch_norm": 0.5,
            },
            "seqvae_batch_norm is for objective=elbo",
        ),
    ],
)
def test_what_excludes_each_other_is_one_clear_error(hparams, message):
    with pytest.raises(vaeseq.UsageError, match=message):
        Waves(SRNN.replace(**hparams))
