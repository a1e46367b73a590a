"""Turns at the model, also of many requests at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.examples.midi.studio.test_guard import refused
from vaeseq.examples.midi.studio.turns import Busy, Turns

SOME = {"count": 1, "frames": 8, "temperature": 1, "seed": 0}


def test_one_thread_at_a_time_has_its_turn_and_few_wait():
    turns, entered, leave = Turns(most_waiting=2), threading.Semaphore(0), threading.Event()
    inside, most = [], []

    def visit():
        with turns.take():
            inside.append(1)
            most.append(len(inside))
            entered.release()
            leave.wait()
            inside.pop()

    threads = [threading.Thread(target=visit) for _ in range(3)]
    for thread in threads:
        thread.start()
    entered.acquire()
    while turns._places._value:  # until the others wait
        pass
    with pytest.raises(Busy), turns.take():
        pass
    leave.set()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1]
    with turns.take():
        pass


def test_what_fails_gives_its_turn_back():
    turns = Turns(most_waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turns.take():
            _ = 1 / 0
    with turns.take_in_background():
        pass


def test_too_many_requests_are_told_to_try_again(melodies, monkeypatch):
    turns = Turns(most_waiting=0)
    monkeypatch.setattr(melodies.studio._api, "_turns", turns)
    with turns.take():
        response = melodies.post("draw", SOME)
        assert "try again" in refused(response, 503) and response.headers["Retry-After"] == "1"
        assert melodies.post("info").status_code == 200, "needs no turn"
    assert melodies.post("draw", SOME).status_code == 200


def test_many_requests_at_once_get_the_answers_that_they_get_alone(melodies):
    """Those of too many are refused; all others are right."""
    alone = {seed: melodies.ask("draw", **SOME | {"seed": seed}) for seed in range(5)}

    def ask(number):
        response = melodies.post("draw", SOME | {"seed": number % 5})
        return number % 5, response.status_code, response.get_json()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert {code for _, code, _ in answers} <= {200, 503}
    right = [(seed, answer) for seed, code, answer in answers if code == 200]
    assert right and all(answer == alone[seed] for seed, answer in right)
