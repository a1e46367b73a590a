"""vaeseq-play from the command line."""

import functools
import json

import PIL.Image
import pytest

from vaeseq.examples.play import app

TINY = (
    "rnn_hidden_sizes=[8],obs_decoder_fc_hidden_layers=[8],policy_fc_layers=[8],batch_size=4,"
    "sequence_size=5,random_steps=20,replay_steps=200,imagined_games=8,horizon=3,"
    "evaluate_games=2,confirm_games=2,evaluate_every=20"
)


@pytest.fixture
def play_main(run_program):
    return functools.partial(run_program, app)


def test_train_resume_run(tmp_path, play_main):
    run = tmp_path / "run"
    train = ["train", "--log-dir", run]
    code, stdout, stderr = play_main(*train, "--hparams", TINY, "--num-steps", 30)
    assert code == 0, stderr
    assert "trained:" in stdout and "random:" in stdout
    assert {x.name for x in (run / "samples").iterdir()} == {
        "step-000000020.png",
        "step-000000030.png",
    }
    assert PIL.Image.open(run / "dream.gif").n_frames > 5, "equal frames are one"
    code, _, stderr = play_main(*train, "--num-steps", 40)
    assert code == 0 and "from step 30 to 40" in stderr
    assert play_main(*train, "--env", "Acrobot-v1")[0] == 2

    command = ["run", "--log-dir", run, "--num-games", 3, "--max-moves", 12]
    code, stdout, _ = play_main(*command, "--agent", "random", "--seed", 1)
    lines = stdout.splitlines()
    assert code == 0 and len(lines) == 4 and lines[0].startswith("game 1: ")
    code, stdout, _ = play_main(*command, "--json")
    told = json.loads(stdout)
    assert code == 0 and told["env"] == "CartPole-v1" and told["threshold"] == 475
    assert len(told["each"]) == told["games"] == 3 and not told["solved"]
    assert all(game["score"] == game["moves"] <= 12 for game in told["each"])
    code, _, stderr = play_main(*command, "--env", "Acrobot-v1")
    assert code == 2 and "has learned CartPole-v1, not Acrobot-v1" in stderr


def test_a_run_of_a_stranger_imports_nothing(tmp_path, play_main, monkeypatch):
    run, code = tmp_path / "run", tmp_path / "own_games.py"
    code.write_text(
        "import gymnasium, tests.toy_games as toys\n"
        "gymnasium.register('Corridor-v0', toys.Corridor)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    train = ["train", "--log-dir", run, "--num-steps", 3]
    own = ["--env", "own_games:Corridor-v0"]
    assert play_main(*train, *own, "--hparams", TINY)[0] == 0
    for command in (train, ["run", "--log-dir", run]):
        exit_code, _, stderr = play_main(*command)
        assert exit_code == 2 and "if you trust it, add --env own_games:Corridor-v0" in stderr
        assert play_main(*command, *own)[0] == 0


def test_a_solved_run_stays_as_it_is_unless_told_otherwise(tmp_path, play_main):
    train = ["train", "--log-dir", tmp_path, "--num-steps", 60, "--solved-at", "-1"]
    code, _, stderr = play_main(*train, "--hparams", TINY)
    assert code == 0 and "20/60" in stderr.replace(" ", "")
    code, _, stderr = play_main(*train)
    assert code == 0 and "solved at step 20; --no-early-stop goes on" in stderr
    code, _, stderr = play_main(*train[:-3], 40, "--no-early-stop")
    assert code == 0 and "from step 20 to 40" in stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--env", "CartPol-v1"], "did you mean"),
        (["--env", "no_such_module:Env-v0"], "no_such_module"),
        (["--hparams", "replay_steps=100"], "random_steps"),
        (["--hparams", "actor_gradient=pathwise,policy_rnn_hidden_sizes=[4]"], "reinforce"),
        (["--hparams", "replay_steps=60000000,rnn_hidden_sizes=[40000]"], "GB"),
    ],
)
def test_a_users_mistake_is_one_line_and_nothing_written(flags, message, tmp_path, play_main):
    code, _, stderr = play_main("train", "--log-dir", tmp_path / "run", *flags)
    assert code == 2 and message in stderr and len(stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_first_game_is_drawn(tmp_path, play_main):
    pytest.importorskip("pygame")
    run, film = tmp_path / "run", tmp_path / "game.gif"
    assert play_main("train", "--log-dir", run, "--hparams", TINY, "--num-steps", 5)[0] == 0
    command = ["run", "--log-dir", run, "--num-games", 2, "--max-moves", 6, "--render", film]
    assert play_main(*command)[0] == 0
    assert 2 <= PIL.Image.open(film).n_frames <= 7


def test_pictures_that_cannot_be_drawn_are_a_users_mistake(tmp_path, play_main, monkeypatch):
    from gymnasium.envs.classic_control import CartPoleEnv

    def render(self):
        raise ModuleNotFoundError("pygame is not installed")

    run, film = tmp_path / "run", tmp_path / "game.gif"
    assert play_main("train", "--log-dir", run, "--hparams", TINY, "--num-steps", 5)[0] == 0
    monkeypatch.setattr(CartPoleEnv, "render", render)
    code, _, stderr = play_main("run", "--log-dir", run, "--render", film)
    assert code == 2 and "pygame is not installed" in stderr
    assert len(stderr.strip().splitlines()) == 1 and not film.exists()
