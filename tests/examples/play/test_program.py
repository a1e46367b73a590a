"""vaeseq-play on the command line."""

import contextlib
import errno
import functools
import io
import json

import PIL.Image
import pytest

from vaeseq.examples.play import app
from vaeseq.training import files, workers

TINY = (
    "rnn_hidden_sizes=[8],obs_decoder_fc_hidden_layers=[8],policy_fc_layers=[8],batch_size=4,"
    "sequence_size=5,random_steps=20,replay_steps=200,imagined_games=8,horizon=3,game_steps=30,"
    "evaluate_games=2,confirm_games=2,evaluate_every=20"
)
WITHOUT_UPDATES = TINY.replace("random_steps=20", "random_steps=100")
OWN_ENV = "tests.examples.play.toy_environments:VaeseqCorridor-v0"


@pytest.fixture
def play_main(run_program):
    return functools.partial(run_program, app)


@pytest.fixture(scope="module")
def trained_run(tmp_path_factory):
    """A run of 30 steps on CartPole, and what its training printed."""
    path, stdout = tmp_path_factory.mktemp("play") / "run", io.StringIO()
    command = ["train", "--log-dir", str(path), "--hparams", TINY, "--num-steps", "30"]
    args = app.parser().parse_args(command)
    with contextlib.redirect_stdout(stdout):
        args.run(args)
    return path, stdout.getvalue()


def test_training_writes_samples_a_dream_and_a_summary(trained_run):
    path, stdout = trained_run
    assert "trained:" in stdout and "random:" in stdout
    samples = {x.name for x in (path / "samples").iterdir()}
    assert samples == {"step-000000020.png", "step-000000030.png"}
    assert PIL.Image.open(path / "dream.gif").n_frames > 5, "equal frames are merged"


def test_run_prints_each_game_and_a_summary(trained_run, play_main):
    command = ["run", "--log-dir", trained_run[0], "--num-games", 3, "--max-moves", 12]
    code, stdout, _ = play_main(*command, "--agent", "random", "--seed", 1)
    lines = stdout.splitlines()
    assert code == 0 and len(lines) == 4 and lines[0].startswith("game 1: score ")
    assert "over 3 games; not solved (threshold 475)" in lines[3]
    code, stdout, _ = play_main(*command, "--agent", "random", "--solved-at", 2)
    assert "over 3 games; solved (threshold 2)" in stdout
    code, stdout, _ = play_main(*command, "--json")
    result = json.loads(stdout)
    assert code == 0 and result["env"] == "CartPole-v1" and result["threshold"] == 475
    assert len(result["each"]) == result["games"] == 3 and not result["solved"]
    assert all(game["score"] == game["moves"] <= 12 for game in result["each"])


def test_a_run_keeps_its_environment(trained_run, play_main):
    flags = ["--log-dir", trained_run[0], "--env", "Acrobot-v1"]
    code, _, stderr = play_main("run", *flags)
    assert code == 2 and "has learned CartPole-v1, not Acrobot-v1" in stderr
    assert play_main("train", *flags)[0] == 2


def test_a_solved_run_stays_as_it_is_without_no_early_stop(tmp_path, play_main, without_pictures):
    train = ["train", "--log-dir", tmp_path, "--num-steps", 60, "--solved-at", "-1"]
    code, stdout, stderr = play_main(*train, "--hparams", WITHOUT_UPDATES)
    assert code == 0 and "20/60" in stderr.replace(" ", "")
    assert stdout.count("; solved (threshold -1)") == 2
    assert "closing games, then as many with random actions" in stderr
    code, _, stderr = play_main(*train)
    assert code == 0 and "solved at step 20; use --no-early-stop to continue" in stderr
    code, _, stderr = play_main(*train[:-3], 25, "--no-early-stop")
    assert code == 0 and "from step 20 to 25" in stderr


def test_closing_games_that_were_interrupted_are_played_later(
    tmp_path, play_main, without_pictures, monkeypatch
):
    monkeypatch.setattr(workers, "launch", None)  # a player is never shared by several replicas
    train = ["train", "--log-dir", tmp_path, "--hparams", WITHOUT_UPDATES, "--num-steps", 20]
    assert "trained for 20 moves" in play_main(*train)[1]
    assert play_main(*train)[1] == ""
    (tmp_path / "dream.gif").unlink()
    assert "trained for 20 moves" in play_main(*train)[1]
    assert (tmp_path / "dream.gif").exists()


def test_metrics_of_another_program_are_no_obstacle(tmp_path, play_main, without_pictures):
    train = ["train", "--log-dir", tmp_path, "--hparams", WITHOUT_UPDATES, "--num-steps"]
    assert play_main(*train, 20)[0] == 0
    (tmp_path / "metrics.jsonl").write_text('{"step": 10, "seconds": 1, "loss": 2}\n')
    code, _, stderr = play_main(*train, 30)
    assert code == 0 and "from step 20 to 30" in stderr


def test_a_run_of_an_older_version_has_no_agent_sees(tmp_path, play_main, without_pictures):
    train = ["train", "--log-dir", tmp_path, "--hparams", WITHOUT_UPDATES, "--num-steps"]
    assert play_main(*train, 20)[0] == 0
    path = tmp_path / "run.json"
    about = json.loads(path.read_text())
    assert about["hparams"].pop("agent_sees") == "observation"
    path.write_text(json.dumps(about))
    code, _, stderr = play_main(*train, 30)
    assert code == 0 and "from step 20 to 30" in stderr


def test_an_agent_that_sees_the_state_plays_as_it_was_evaluated(
    tmp_path, play_main, without_pictures
):
    sees_state = f"{WITHOUT_UPDATES},vae_type=VRNN,agent_sees=state"
    flags = ["--log-dir", tmp_path, "--hparams", sees_state, "--num-steps", 20]
    code, stdout, _ = play_main("train", *flags)
    assert code == 0 and "trained:" in stdout
    run = ["run", "--log-dir", tmp_path, "--num-games", 2, "--json"]
    (code, first, _), (_, second, _) = play_main(*run), play_main(*run)
    assert code == 0 and first == second and json.loads(first)["games"] == 2


def test_a_run_from_elsewhere_imports_no_module_unless_it_is_named(
    tmp_path, play_main, without_pictures
):
    train = ["train", "--log-dir", tmp_path, "--num-steps", 3]
    assert play_main(*train, "--env", OWN_ENV, "--hparams", WITHOUT_UPDATES)[0] == 0
    for command in (train, ["run", "--log-dir", tmp_path]):
        exit_code, _, stderr = play_main(*command)
        assert exit_code == 2 and f"if you trust it, add --env {OWN_ENV}" in stderr
        assert play_main(*command, "--env", OWN_ENV)[0] == 0


def test_a_run_that_does_not_name_its_game_is_a_usage_error(tmp_path, play_main):
    about = {"program": "vaeseq-play", "hparams": {}}
    (tmp_path / "run.json").write_text(json.dumps(about))
    for command in ("run", "train"):
        code, _, stderr = play_main(command, "--log-dir", tmp_path)
        assert code == 2 and "run.json does not name the game" in stderr
        assert len(stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "command, flag", [("train", "--env"), ("run", "--env"), ("run", "--render")]
)
def test_an_empty_value_is_not_the_default(command, flag, tmp_path, play_main):
    code, _, stderr = play_main(command, "--log-dir", tmp_path / "run", flag, "")
    assert code == 2 and f"{flag}: must not be empty" in stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--env", "CartPol-v1"], "did you mean"),
        (["--env", "no_such_module:Env-v0"], "no_such_module"),
        (["--hparams", "replay_steps=100"], "random_steps"),
        (["--hparams", "num_particles=0"], "num_particles = 0 is out of range: at least 1"),
        (["--hparams", "objective=fivo,estimator=dreg"], "objective=fivo has only estimator=plain"),
        (["--hparams", "actor_gradient=pathwise,policy_rnn_hidden_sizes=[4]"], "reinforce"),
        (["--hparams", "vae_type=SRNN,agent_sees=state"], "vae_type=VRNN or vae_type=RNN"),
        (["--hparams", "agent_sees=all"], "agent_sees cannot be 'all'"),
        (["--hparams", "game_steps=1000000000"], "games of 1000000000 steps side by side needs"),
        (["--hparams", "imagined_games=65536,horizon=4096"], "time steps needs"),
        (["--hparams", "replay_steps=60000000,rnn_hidden_sizes=[40000]"], "GB"),
    ],
)
def test_a_usage_error_is_one_line_and_writes_nothing(flags, message, tmp_path, play_main):
    code, _, stderr = play_main("train", "--log-dir", tmp_path / "run", *flags)
    assert code == 2 and message in stderr and len(stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_first_game_is_rendered(trained_run, tmp_path, play_main):
    pytest.importorskip("pygame")
    path = tmp_path / "game.gif"
    flags = ["--num-games", 2, "--max-moves", 6, "--render", path]
    assert play_main("run", "--log-dir", trained_run[0], *flags)[0] == 0
    assert 2 <= PIL.Image.open(path).n_frames <= 7
    for wrong in (path / "below" / "game.gif", tmp_path, "/"):
        flags[-1] = wrong
        code, stdout, stderr = play_main("run", "--log-dir", trained_run[0], *flags)
        assert code == 2 and f"--render: cannot write {wrong}: " in stderr
        assert not stdout, "no game has been played in vain"
    assert [x.name for x in tmp_path.iterdir()] == ["game.gif"]


def test_the_result_is_printed_even_if_the_film_cannot_be_written(
    trained_run, tmp_path, play_main, monkeypatch
):
    pytest.importorskip("pygame")

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "atomic_write", full)
    flags = ["--num-games", 1, "--max-moves", 2, "--json", "--render", tmp_path / "game.gif"]
    code, stdout, stderr = play_main("run", "--log-dir", trained_run[0], *flags)
    assert code == 2 and "--render: cannot write" in stderr and "No space left" in stderr
    assert json.loads(stdout)["games"] == 1


def test_an_environment_that_cannot_render_is_a_usage_error(
    trained_run, tmp_path, play_main, monkeypatch
):
    from gymnasium.envs.classic_control import CartPoleEnv

    def render(self):
        raise ModuleNotFoundError("pygame is not installed")

    monkeypatch.setattr(CartPoleEnv, "render", render)
    path = tmp_path / "game.gif"
    code, _, stderr = play_main("run", "--log-dir", trained_run[0], "--render", path)
    assert code == 2 and "pygame is not installed" in stderr
    assert len(stderr.strip().splitlines()) == 1 and not path.exists()
