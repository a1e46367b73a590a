"""The command `evaluate` of vaeseq-midi."""

import argparse
from collections.abc import Sequence

import numpy as np

from vaeseq.cli.results import check_particles, print_json
from vaeseq.errors import UsageError
from vaeseq.examples.midi.collect import collect, select_fitting, warn_refused
from vaeseq.examples.midi.corpus import Corpus, consecutive_spans
from vaeseq.examples.midi.judge import DEFAULT_SECONDS, check_memory, judge
from vaeseq.examples.midi.model import WINDOW_FRAMES, score_pieces, training_windows
from vaeseq.examples.midi.music import roll
from vaeseq.examples.midi.music.midi_file import DRUMS
from vaeseq.examples.midi.music.roll import RollFormat
from vaeseq.examples.midi.program import MidiProgram, open_corpora
from vaeseq.model import scoring
from vaeseq.model.latent_usage import latent_usage
from vaeseq.model.scoring import Score, Span, WindowScorer


def evaluate(args: argparse.Namespace) -> None:
    """Prints likelihoods of pieces as a JSON object, and comparisons with samples.

    See `summary` and `judge`.
    """
    _check_flags(args)
    seconds, temperature = args.length or DEFAULT_SECONDS, args.temperature or 1.0
    run, model = MidiProgram().trained(args.log_dir)
    form, train, corpus = open_corpora(run)
    if args.samples:
        check_memory(form, args.samples, seconds)
    refused: dict[str, str] = {}
    if args.eval_files:
        corpus, refused = _collect_corpus(args.eval_files, form)

    def score_corpus(scorer: WindowScorer) -> Score:
        return score_pieces(scorer, model, corpus, args.seed, progress=True)

    num_samples = args.log_prob_samples or model.hparams.log_prob_samples
    time_steps = model.hparams.batch_size * WINDOW_FRAMES
    check_particles(num_samples, time_steps, model.core.latent_size)
    score = scoring.score(model, num_samples, score_corpus)
    num_samples = num_samples if model.core.latent_size else 1
    result: dict[str, object] = {**summary(score, corpus.spans, num_samples), "refused": refused}
    if model.has_sequence_latent:
        result |= latent_usage(model, training_windows(model, corpus), args.seed)._asdict()
    if args.samples:
        compared = judge(
            model, form, train, corpus, args.samples, seconds, temperature, seed=args.seed
        )
        result |= {
            "samples": {
                "num_samples": args.samples,
                "seconds": seconds,
                "temperature": temperature,
                **{name: comparison._asdict() for name, comparison in compared.items()},
            }
        }
    print_json(result)


def _check_flags(args: argparse.Namespace) -> None:
    for name in ("length", "temperature"):
        if getattr(args, name) and not args.samples:
            raise UsageError(f"--{name}: needs --samples; give their number, or leave it out")


def _collect_corpus(patterns: Sequence[str], form: RollFormat) -> tuple[Corpus, dict[str, str]]:
    """Returns the pieces of --eval-files, and the reason why each other file was refused."""
    flag = "--eval-files"
    pieces, refused = collect(patterns, flag, form.beats, DRUMS in form.programs)
    pieces, too_large = warn_refused(select_fitting(pieces, form), flag)
    rolls = [roll.to_roll(piece.notes, form) for piece in pieces]
    return Corpus(np.concatenate(rolls), consecutive_spans(map(len, rolls))), refused | too_large


def summary(score: Score, spans: Sequence[Span], num_samples: int) -> dict[str, float]:
    """Returns the results of an evaluation, in nats per frame; the first frame counts.

    The literature has two conventions: the total over all frames divided by their number, and
    (`*_by_piece`) the mean over pieces of each piece's mean.
    """
    lengths = np.array([end - begin for begin, end in spans])
    best = score.best
    return {
        "nats_per_frame": float(-np.sum(best) / lengths.sum()),
        "nats_per_frame_by_piece": float(-np.mean(best / lengths)),
        "elbo": float(np.sum(score.elbo) / lengths.sum()),
        "elbo_by_piece": float(np.mean(score.elbo / lengths)),
        "kl": float(np.sum(score.kl) / lengths.sum()),
        "log_prob": float(np.sum(score.bound) / lengths.sum()),
        "log_prob_by_piece": float(np.mean(score.bound / lengths)),
        "log_prob_samples": num_samples,
        "num_frames": int(lengths.sum()),
        "num_pieces": len(lengths),
    }
