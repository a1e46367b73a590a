"""The data, the measures and the figure of the bouncing-ball benchmark."""

import numpy as np
import pytest

from benchmarks.quality import bouncing_ball
from benchmarks.quality.bouncing_ball import BALL, PLACES, SIZE, STEPS


@pytest.fixture(scope="module")
def places():
    return bouncing_ball.make_places(200, seed=0)


def test_the_ball_stays_inside_and_has_the_same_size_in_all_frames(places):
    assert places.shape == (200, STEPS, 2)
    assert places.min() == 0 and places.max() == PLACES - 1
    frames = bouncing_ball.draw(places)
    assert frames.shape == (200, STEPS, SIZE, SIZE) and set(np.unique(frames)) == {0, 1}
    assert (frames.sum(axis=(2, 3)) == BALL.sum()).all()


def test_the_ball_keeps_its_velocity_unless_it_would_hit_a_wall(places):
    moves = np.diff(places, axis=1)
    speed = np.hypot(*np.moveaxis(moves, -1, 0))
    assert speed.min() == 2 and speed.max() < 2.9
    turns = (moves[:, 1:] != moves[:, :-1]).any(axis=-1)
    straight = places[:, 1:-1] + moves[:, :-1]
    np.testing.assert_array_equal(turns, ~bouncing_ball.is_inside(straight))
    assert 0.2 < turns.mean() < 0.3


def test_the_seed_decides_everything(places):
    np.testing.assert_array_equal(bouncing_ball.make_places(200, seed=0), places)
    assert (bouncing_ball.make_places(200, seed=1) != places).any()


def test_a_new_direction_is_equally_likely_to_be_any_that_stays_inside():
    at_a_corner = np.zeros([3000, 1, 2], int)
    new = bouncing_ball.simulate(at_a_corner, np.random.default_rng(0), 1)[:, 0]
    directions, counts = np.unique(new, axis=0, return_counts=True)
    assert directions.tolist() == [[0, 2], [1, 2], [2, 0], [2, 1], [2, 2]]
    assert abs(counts / 600 - 1).max() < 0.15


def test_only_whole_balls_are_found(places):
    frames = bouncing_ball.draw(places[:5, 0])
    ball_and_pixel, too_small, in_pieces = frames[:3].copy()
    ball_and_pixel[np.unravel_index(np.argmin(ball_and_pixel), ball_and_pixel.shape)] = 1
    too_small[np.unravel_index(np.argmax(too_small), too_small.shape)] = 0
    in_pieces = np.zeros_like(in_pieces)
    in_pieces.flat[: 2 * int(BALL.sum()) : 2] = 1  # as many pixels as a ball, and no two together
    two = np.maximum(*bouncing_ball.draw(np.array([[0, 0], [8, 8]])))
    nothing = np.zeros_like(two)
    np.testing.assert_array_equal(bouncing_ball.find(frames), places[:5, 0])
    broken = np.stack([ball_and_pixel, too_small, in_pieces, two, nothing])
    assert (bouncing_ball.find(broken) == -1).all()


def test_impossible_moves_do_not_count(places):
    assert bouncing_ball.share_of_possible_moves(places) == 1
    jump = [[4, 4], [6, 6], [4, 4]]  # turns in the middle
    stop = [[2, 2], [0, 0], [0, 0]]
    turn = [[2, 2], [0, 0], [2, 1]]
    gone = [[4, 4], [-1, -1], [8, 8]]
    share = bouncing_ball.share_of_possible_moves(np.array([jump, stop, turn, gone]))
    assert share == 1 / 4


def test_entropies_count_what_is_uncertain():
    at_a_corner, in_flight = [[4, 4], [2, 2], [0, 0], [2, 1]], [[4, 4], [6, 6], [8, 8], [10, 10]]
    frames, pixels = bouncing_ball.entropies(np.array([at_a_corner, in_flight]))
    first, second = np.log(PLACES**2), np.log(len(bouncing_ball.VELOCITIES))
    np.testing.assert_allclose(
        frames, [[first, second, 0, np.log(5)], [first, second, 0, 0]], rtol=1e-6
    )
    assert ((pixels > 5 * frames) | (frames == 0)).all() and ((pixels == 0) == (frames == 0)).all()


def test_pixels_that_are_all_sure_have_no_entropy():
    frames = np.zeros([4, SIZE, SIZE])
    frames[:2, 0] = 1
    expected = SIZE * np.log(2)
    assert bouncing_ball.entropy_of_pixels(frames) == pytest.approx(expected, abs=1e-6)


def test_the_figure_shows_the_futures_of_a_ball_at_a_wall(places, tmp_path):
    turn = bouncing_ball.find_turn(places)
    assert turn.shape == (1, STEPS // 2, 2) and bouncing_ball.is_turning(turn).all()
    many = np.repeat(turn, 6, axis=0)
    futures = bouncing_ball.draw(bouncing_ball.simulate(many, np.random.default_rng(0), 3))
    bouncing_ball.plot(bouncing_ball.draw(turn)[0], {"physics": futures}, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
