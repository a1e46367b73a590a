"""The command `generate` of vaeseq-text."""

import argparse

from absl import logging

from vaeseq.cli.arguments import number_of_samples
from vaeseq.cli.usefulness import warn_of_samples, warn_of_sequence_latents
from vaeseq.errors import UsageError
from vaeseq.examples.text.data import Vocabulary
from vaeseq.examples.text.model import TextModel, sample_texts
from vaeseq.examples.text.program import load_trained
from vaeseq.model.latent_space import BETWEEN_TEMPERATURE
from vaeseq.model.sampling import sample_with_common_noise
from vaeseq.training import memory


def generate(args: argparse.Namespace) -> None:
    """Prints sampled texts, with a numbered heading each if there are several."""
    number = number_of_samples(args)
    _, model = load_trained(args)
    _warn_of_unknown(model.vocabulary, "--prime", args.prime)
    for text in args.interpolate or ():
        _warn_of_unknown(model.vocabulary, "--interpolate", text)
    texts = _interpolate(model, args, number) if args.interpolate else _sample(model, args, number)
    for index, text in enumerate(texts, 1):
        if len(texts) > 1:
            print(f"#{index:02d}:")
        print(args.prime + text)


def _warn_of_unknown(vocabulary: Vocabulary, flag: str, text: str) -> None:
    unknown = [x for x in dict.fromkeys(text) if vocabulary.count_oov(vocabulary.encode(x))]
    if unknown:
        logging.warning(
            "%s: not in the vocabulary of the run, so read as the unknown symbol: %s",
            flag,
            ", ".join(map(repr, unknown)),
        )


def _sample(model: TextModel, args: argparse.Namespace, number: int) -> list[str]:
    """Returns texts that continue `--prime`."""
    length = args.length or args.default_length
    _require_memory(number, length)
    how = number, length, args.temperature, args.seed
    texts = list(sample_texts(model, args.prime, *how, progress=True))
    warn_of_samples(_numbered(texts), args.temperature)
    return texts


def _require_memory(number: int, length: int) -> None:
    what = f"--length: {number} x {length} characters"
    memory.require(8.0 * number * length, what, "use a shorter --length")  # id and glyph


def _numbered(texts: list[str]) -> dict[str, str]:
    return {f"#{index:02d}": text for index, text in enumerate(texts, 1)}


def _interpolate(model: TextModel, args: argparse.Namespace, number: int) -> list[str]:
    """Returns texts decoded from points between the latents of two texts."""
    if args.prime:
        raise UsageError("--interpolate cannot be combined with --prime; omit one of them")
    if not all(args.interpolate):
        raise UsageError("--interpolate: a text is empty; give two texts of at least one character")
    length = args.length or model.hparams.sequence_size
    _require_memory(number, length)
    start, end = map(model.vocabulary.encode, args.interpolate)
    z = model.interpolate_latents(start, end, number)
    temperature = args.temperature * BETWEEN_TEMPERATURE
    ids = sample_with_common_noise(
        model, model.state_from_latents(z), length, temperature, args.seed
    )
    texts = list(map(model.vocabulary.decode, ids))
    if not warn_of_sequence_latents(model, (start, end)):
        warn_of_samples(_numbered(texts), temperature, between=True)
    return texts
