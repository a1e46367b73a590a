"""The data and the measures of the first-frame benchmark."""

import numpy as np
import pytest

from benchmarks.quality import first_frame


@pytest.fixture(scope="module")
def frames():
    return first_frame.make_possible_frames()


def test_possible_frames_are_all_different(frames):
    images = frames.reshape(-1, first_frame.SIZE**2)
    assert len(np.unique(images, axis=0)) == len(images)


def test_a_shape_moves_by_one_pixel_along_both_axes(frames):
    sequences = first_frame.make_sequences(frames, 50, seed=0)
    assert sequences.shape == (50, first_frame.STEPS, first_frame.SIZE, first_frame.SIZE)
    for axis in (2, 3):
        projected = sequences.max(axis=axis)
        first = projected.argmax(axis=2)  # the first row or column that shows a part of the shape
        assert (np.abs(np.diff(first, axis=1)) == 1).all()


def test_images_near_a_possible_frame_are_counted(frames):
    images = first_frame.make_sequences(frames, 4, seed=0)[:, 0]
    for index in range(4):  # image i differs from its frame in i pixels
        images[index, 0, :index] = 1 - images[index, 0, :index]
    assert first_frame.share_of_shapes(images, frames, 0) == 1 / 4
    assert first_frame.share_of_shapes(images, frames, 2) == 3 / 4


def test_independent_pixels_need_more_nats(frames):
    of_frames, of_pixels = first_frame.entropies(frames)
    assert of_frames == pytest.approx(np.log(3 * first_frame.PLACES**2))
    assert of_pixels > 5 * of_frames
