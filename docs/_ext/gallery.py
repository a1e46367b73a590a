"""Music that plays in the page: a picture that links to a MIDI or ABC file gets a button.

    [![A chorale](gallery/chorale.svg)](gallery/chorale.mid)

Without a script, and on GitHub, this is a picture with a link to the file. The sound is that of the
studio, without a SoundFont. Nothing is fetched, so the page also works when opened as a file.
"""

import json
from html import escape
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx import addnodes

from vaeseq.examples.midi import studio
from vaeseq.examples.midi.collect import read_file

_SUFFIXES = (".mid", ".abc")
_FRAME = 0.01  # seconds: the grid on which the page plays
_STUDIO = Path(studio.__file__).parent / "static"
_MODULES = (_STUDIO / "sound.js", _STUDIO / "player.js", Path(__file__).with_suffix(".js"))


def setup(app):
    """Registers the player."""
    app.connect("doctree-read", _add_players, priority=400)  # before Sphinx collects the pictures
    app.connect("builder-inited", _write_script)
    app.connect("html-page-context", _add_script)
    return {"parallel_read_safe": True}


def _add_players(app, doctree):
    folder = Path(app.env.doc2path(app.env.docname)).parent
    for link in list(doctree.findall(addnodes.download_reference)):
        image = next(link.findall(nodes.image), None)
        path = folder / link["reftarget"]
        if image is not None and path.suffix in _SUFFIXES:
            picture = folder / image["uri"]
            app.env.note_dependency(path)
            app.env.note_dependency(picture)
            player = _player(image["alt"], read_file(path).in_seconds(), picture.read_text("utf-8"))
            link.parent.parent.replace(link.parent, player)
            link.children = []
            link += nodes.literal("", path.suffix)
            player[1] += link


def _player(text, notes, picture):
    """Returns a bar with a button, and the picture; the link to the file belongs into the bar."""
    name = escape(text, quote=True)
    music = json.dumps(_music(notes), separators=(",", ":"))
    button = (
        f'<button type="button" class="play" aria-label="Play: {name}" data-music="{escape(music)}"'
        " hidden></button>"
    )
    player = nodes.container(classes=["music"])
    player += nodes.raw("", button, format="html")
    player += nodes.paragraph("", f"{text} ")
    picture = picture.replace("<svg", f'<svg role="img" aria-label="{name}: piano roll"', 1)
    player += nodes.raw("", picture, format="html")
    return player


def _music(notes):
    """Returns a piece as the studio's player takes it."""
    columns = (np.rint(notes.start / _FRAME), np.rint(notes.end / _FRAME), notes.pitch)
    rows = zip(*(column.astype(int).tolist() for column in columns), strict=True)
    return {
        "frames": round(notes.length / _FRAME),
        "notes": [[start, max(1, end - start), pitch] for start, end, pitch in rows],
    }


def _write_script(app):
    """Joins the modules of the player to one script, which may also be loaded from a file."""
    text = "\n".join(path.read_text("utf-8").replace("export class", "class") for path in _MODULES)
    path = Path(app.outdir) / "_static" / "gallery.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'"use strict";\n(() => {{\n{text}}})();\n', encoding="utf-8")


def _add_script(app, pagename, templatename, context, doctree):
    if pagename == "gallery":
        app.add_js_file("gallery.js", loading_method="defer")
