import numpy as np
import pytest

from tests.conftest import TINY
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.examples.text.model import TextModel, sample_texts, score_text
from vaeseq.model.scoring import WindowScorer

HPARAMS, VOCABULARY = TextHParams().parse(TINY), Vocabulary("abc")


def test_streams_score_every_character_once_given_the_text_before_it(pooled):
    model = pooled(TextModel, HPARAMS, VOCABULARY)
    ids = np.random.default_rng(0).integers(3, size=157)
    exact = float(model.log_prob(ids[None])[0])
    scorer = WindowScorer(model)
    assert score_text(scorer, ids).bound == pytest.approx(exact, rel=1e-5)
    streams = score_text(scorer, ids, stream_characters=30)
    assert streams.bound == pytest.approx(exact, rel=1e-3), "only distant context is lost"


def test_samples_in_several_pieces_have_the_requested_length(pooled):
    model = pooled(TextModel, HPARAMS, VOCABULARY)
    texts = list(sample_texts(model, "ab", num_samples=3, length=517))
    assert [len(text) for text in texts] == [517] * 3 and set("".join(texts)) <= set("abc\ufffd")
