"""Prints docs/hyperparameters.md: the tables of all hyperparameters.

python -m scripts.hyperparameters > docs/hyperparameters.md
"""

from vaeseq.examples.midi.hparams import MELODY, MidiHParams
from vaeseq.examples.play.hparams import PlayHParams
from vaeseq.examples.text.hparams import TextHParams
from vaeseq.hparams import HParams, table

_PAGE = """# Hyperparameters

`HParams` holds the hyperparameters of a model and of its training; each program has a subclass with
other defaults and fields of its own. In Python they are arguments:
`vaeseq.HParams(latent_size=8, rnn_hidden_sizes=(256, 256))`. In the programs they are the flag
`--hparams latent_size=8,rnn_hidden_sizes=[256,256]`, and `--hparams help` prints these tables;
in Python, `help(vaeseq.HParams)` does. A tuple has one item for each layer; `[]` means no layers. A
step is one update of the weights; the steps within a sequence are called time steps.

This page is made from the source by `python -m scripts.hyperparameters > docs/hyperparameters.md`.

## All models: `vaeseq.HParams`

{all}

**Presets** set several values at once: `HParams().parse("preset=paper")`, or `--hparams
preset=paper`. Other values beside the preset override it.

{presets}

## vaeseq-text: `TextHParams`

{text}

## vaeseq-midi: `MidiHParams`

{midi}

With `--encoding melody`, these defaults differ: {melody}.

## vaeseq-play: `PlayHParams`

A step is one step of the real environment.

{play}
"""


def page() -> str:
    """Returns the page."""
    presets = (
        f"* `{name}`: {table.assignments(values)}" for name, values in HParams.presets.items()
    )
    return _PAGE.format(
        all=table.as_markdown(HParams),
        presets="\n".join(presets),
        text=table.as_markdown(TextHParams, HParams),
        midi=table.as_markdown(MidiHParams, HParams),
        melody=table.assignments(table.changed(MidiHParams(), MELODY)),
        play=table.as_markdown(PlayHParams, HParams),
    )


if __name__ == "__main__":
    print(page(), end="")
