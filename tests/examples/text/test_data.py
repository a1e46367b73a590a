import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaeseq import UsageError
from vaeseq.examples.text import data
from vaeseq.examples.text.data import Vocabulary

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def as_file(tmp_path, content, **kwargs):
    path = tmp_path / "corpus"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return data.file_text(path, "--train-corpus", **kwargs)


@given(texts)
@settings(deadline=None)
def test_decode_is_the_inverse_of_encode(text):
    vocabulary = Vocabulary.from_counts(data.count(lambda: iter([text])), 10**6, 1)
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    assert vocabulary.count_oov(ids) == 0 and ids.max(initial=0) < vocabulary.size
    again = Vocabulary.from_json(vocabulary.to_json(), "here")
    assert again.characters == vocabulary.characters and (again.encode(text) == ids).all()


def test_the_most_frequent_characters_are_known_and_the_others_fall_into_buckets():
    vocabulary = Vocabulary.from_counts(data.count(lambda: iter(["aaabbbcd", "dé"])), 3, 2)
    assert vocabulary.characters == ("a", "b", "d")
    assert vocabulary.encode("abd").tolist() == [0, 1, 2]
    assert vocabulary.encode("cé").tolist() == [3 + ord("c") % 2, 3 + ord("é") % 2]
    assert vocabulary.decode([0, 3, 4]) == "a\ufffd\ufffd"


def test_a_lone_surrogate_is_an_unknown_character():
    assert Vocabulary("ab").encode("a\udcffb").tolist() == [0, 2, 1]


def test_a_file_of_any_unicode_is_read_in_blocks(tmp_path):
    text = "naïve 日本語 \U0001f3b5\r\nend"
    assert "".join(as_file(tmp_path, text, keep_returns=True, block_bytes=5)()) == text


@pytest.mark.parametrize("block_bytes", [1, 4, 1000])
def test_line_ends_become_newlines_and_a_mark_of_byte_order_is_left_out(tmp_path, block_bytes):
    content = "\ufeffone\r\ntwo\rthree\n\r\n\ufeff\r"
    text = as_file(tmp_path, content, block_bytes=block_bytes)
    assert "".join(text()) == "one\ntwo\nthree\n\n\ufeff\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        ("\ufeff", "is empty"),
        (b"abc\0def", "binary"),
        (b"abcdefgh\xff", "not UTF-8 text: invalid start byte at byte 8"),
        ("日本".encode()[:-1], "not UTF-8 text: .* at byte 3"),
    ],
)
def test_a_file_without_text_is_refused(tmp_path, content, message):
    with pytest.raises(UsageError, match=message):
        list(as_file(tmp_path, content, block_bytes=4)())


def test_a_missing_file_or_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="--train-corpus: cannot read"):
            list(data.file_text(path, "--train-corpus")())


@pytest.mark.parametrize("text", ["a", "aaaaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghi"])
def test_a_text_that_is_too_short_or_constant_is_refused(text):
    with pytest.raises(UsageError, match="--train-corpus"):
        data.check_length(data.count(lambda: iter([text])), window=10, has_valid=False)


def test_encoded_files_hold_the_text_and_are_split_nine_to_one(tmp_path):
    text = as_file(tmp_path, "abcdefghij" * 20)
    counts = data.count(text)
    vocabulary = Vocabulary.from_counts(counts, 100, 1)
    folder = tmp_path / "run" / "corpus"
    folder.parent.mkdir()
    data.encode_to_file(text, vocabulary, folder / "corpus/train_corpus.ids")
    train, valid = data.load_split(folder.joinpath, vocabulary)
    assert len(train) == 180 and len(valid) == 20 and train[:].dtype == np.uint8
    assert (train[7:180][:3] == train[7:10]).all() and len(valid[18:99]) == 2
    assert vocabulary.decode(np.concatenate([train[:], valid[:]])) == "abcdefghij" * 20
    data.encode_to_file(text, vocabulary, folder / "corpus/valid_corpus.ids")
    assert [len(ids) for ids in data.load_split(folder.joinpath, vocabulary)] == [200, 200]


def test_windows_are_a_function_of_seed_and_step_and_reach_both_ends():
    ids = np.arange(12)

    def batch(step, seed=0):
        return data.window_batch(ids, step, 4, 10, seed)

    assert (batch(3) == batch(3)).all()
    assert any((batch(0) != batch(step)).any() for step in range(1, 5))
    assert any((batch(0) != batch(0, seed)).any() for seed in range(1, 5))
    starts = np.unique([batch(step)[:, 0] for step in range(30)])
    assert starts.tolist() == [0, 1, 2]


def test_plays_become_plain_text():
    markdown = "# Macbeth\n\n_Enter **x**_\n\n**First Witch**  \nWhen shall we  \nmeet?\n\n\n\n"
    assert data._plain(markdown) == "Macbeth\n\nEnter x\n\nFirst Witch:\nWhen shall we\nmeet?\n\n"
