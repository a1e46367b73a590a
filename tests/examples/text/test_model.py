import itertools

import numpy as np
import pytest

from tests.conftest import TINY
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel, sample_texts, score_text
from vaeseq.model.scoring import WindowScorer

HPARAMS, VOCABULARY = TextHParams().parse(TINY), Vocabulary("abc")


@pytest.fixture
def model(pooled):
    """A model with weights so large that the text before a character matters."""
    model = pooled(TextModel, HPARAMS, VOCABULARY)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(size=weight.shape))
    return model


def test_a_text_of_one_stream_is_scored_exactly(model):
    ids = np.random.default_rng(0).integers(3, size=157)
    assert score_text(WindowScorer(model), ids).bound == pytest.approx(log_prob(model, ids))


def test_each_stream_is_scored_once_given_the_window_before_it(model):
    ids = np.random.default_rng(0).integers(3, size=157)
    bounds = [0, 31, 62, 94, 125, 157]  # five streams of at least 30 characters
    expected = 0.0
    for begin, end in itertools.pairwise(bounds):
        before = max(0, begin - HPARAMS.sequence_size)
        expected += log_prob(model, ids[before:end]) - log_prob(model, ids[before:begin])
    streams = score_text(WindowScorer(model), ids, stream_characters=30)
    assert streams.bound == pytest.approx(expected)


def test_with_one_latent_for_a_sequence_each_window_has_its_own(pooled):
    model = pooled(TextModel, HPARAMS.replace(vae_type="SEQVAE"), VOCABULARY)
    ids = np.random.default_rng(0).integers(3, size=157)
    begin = model.initial_state(1)

    def kl(start, stop):
        last = model.infer(ids[None, start - 1 : start])[1].context if start else begin.context
        state = begin._replace(context=last)
        return np.sum(model.infer(ids[None, start:stop], state=state)[0].kl)

    for stream_characters, bounds in ((30, [0, 31, 62, 94, 125, 157]), (1000, [0, 157])):
        windows = [
            (at, min(at + HPARAMS.sequence_size, end))
            for begin, end in itertools.pairwise(bounds)
            for at in range(begin, end, HPARAMS.sequence_size)
        ]
        score = score_text(WindowScorer(model), ids, stream_characters=stream_characters)
        assert score.kl == pytest.approx(sum(itertools.starmap(kl, windows)), rel=1e-5)


def log_prob(model, ids):
    return float(model.log_prob(ids[None])[0]) if len(ids) else 0.0


def test_samples_in_several_pieces_have_the_requested_length(model):
    texts = list(sample_texts(model, "ab", num_samples=3, length=517))
    assert [len(text) for text in texts] == [517] * 3 and set("".join(texts)) <= set("abc\ufffd")
