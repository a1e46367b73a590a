"""The exceptions that the programs print as one line, without a traceback."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """A mistake in the user's input. The message says what is wrong, where, and what to do.

    The programs print it as one line on stderr and exit with 2.

    Example:
      >>> import vaeseq
      >>> try:
      ...     vaeseq.HParams(latent_size=-1)
      ... except vaeseq.UsageError as error:
      ...     print(error)
      hparams: latent_size...
    """


class Stopped(RuntimeError):
    """The end of a training for a reason other than a wrong command line.

    Such as a loss that is not finite, a full disk or a lost worker. The programs print it as one
    line on stderr and exit with 1. The newest checkpoint is kept.

    Example:
      >>> import vaeseq
      >>> try:
      ...     raise vaeseq.Stopped("the loss is not finite at step 7")
      ... except vaeseq.Stopped as error:
      ...     print(error)
      the loss is not finite at step 7
    """


class LostWorker(Stopped):
    """One of several workers has ended or did not start; the others cannot continue alone."""


class Overflow(UsageError):
    """A model has computed numbers that are not finite. In a training, it is `Stopped`."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known word, or else the list of known words."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
