// The piano roll: shows what is heard, and edits it. Every edit makes the melody the person's own.

import { cellColors, color, prepare, redrawWhenNeeded } from "./draw.js";
import { barsOf, indexOf, isBlackKey, noteName, put, range, remove, within } from "./piece.js";
import { loopFrames, own, toggleLock } from "./state.js";
import { byId, chooseFile, make, onClick, takesDrops } from "./page.js";

const HANDLE = 8; // pixels at the end of a note that lengthen it
const LEAST_ROWS = 26;
const BAR_WIDTH = 76;
const MOST_WIDTH = 8000;
const PIANO = [21, 108]; // the keys of melodies

export function attach(studio) {
  const { info, perBar, perBeat } = studio;
  const [roll, ruler, keyboard] = [byId("roll"), byId("ruler"), byId("keyboard")];
  const [scroll, wide, locks] = [byId("roll-scroll"), byId("roll-wide"), byId("locks")];
  const oneVoice = info.kind === "melody";
  const keyRange = oneVoice ? PIANO : [0, 127];
  let selected = null; // a note
  let drag = null;
  let changing = null; // what the keys change: the piece without the note, and the result so far
  let length = Math.max(1, Math.round(perBeat / 2)); // of the next note
  let rows = [55, 80]; // the pitches that are shown; they rest during a drag

  const piece = () => studio.piece();
  const editable = () => piece() && piece().frames <= info.max_frames;
  const frameWidth = () => roll.clientWidth / piece().frames;
  const rowHeight = () => roll.clientHeight / (rows[1] - rows[0] + 1);

  // --- drawing ---

  function chooseRows() {
    if (drag) return;
    let [low, high] = range([piece()], [info.lowest, info.highest]).map((pitch, i) => pitch + (i ? 3 : -3));
    const more = Math.max(0, LEAST_ROWS - (high - low + 1));
    low = Math.max(0, low - Math.floor(more / 2));
    rows = [low, Math.min(127, Math.max(high + Math.ceil(more / 2), low + LEAST_ROWS - 1))];
  }

  function draw() {
    if (!piece() || !roll.clientWidth) return;
    chooseRows();
    drawGrid();
    drawKeyboard();
    drawRuler();
  }

  function drawGrid() {
    const { context, width, height } = prepare(roll);
    const [frame, row, music] = [frameWidth(), rowHeight(), piece()];
    for (let pitch = rows[0]; pitch <= rows[1]; pitch++) {
      if (!isBlackKey((pitch + studio.state.transpose + 120) % 12)) continue;
      context.fillStyle = color("black-key");
      context.fillRect(0, (rows[1] - pitch) * row, width, row);
    }
    for (let at = 0; at < music.frames; at += perBeat) {
      const isBar = Math.abs(at / perBar - Math.round(at / perBar)) < 1e-6;
      if (!isBar && frame * perBeat < 9) continue;
      context.fillStyle = color(isBar ? "bar-line" : "grid");
      context.fillRect(Math.round(at * frame), 0, 1, height);
    }
    const { locked } = studio.state;
    context.fillStyle = color("edge");
    context.globalAlpha = 0.14;
    for (const bar of locked) context.fillRect(bar * perBar * frame, 0, perBar * frame, height);
    context.globalAlpha = 1;
    drawNotes(context, frame, row);
    const [from, to] = loopFrames(studio.state, music.frames, perBar);
    context.fillStyle = color("well");
    context.globalAlpha = 0.66;
    context.fillRect(0, 0, from * frame, height);
    context.fillRect(to * frame, 0, width - to * frame, height);
    context.globalAlpha = 1;
  }

  function drawNotes(context, frame, row) {
    const ink = inks();
    for (const note of piece().notes) {
      const [start, own_, pitch] = note;
      const top = (rows[1] - pitch) * row;
      context.fillStyle = ink(start);
      context.beginPath();
      const gap = Math.min(1.5, frame / 4);
      context.roundRect(start * frame + gap / 2, top + 0.5, own_ * frame - gap, row - 1, Math.min(4, row / 3));
      context.fill();
      if (selected && note.every((x, i) => x === selected[i])) {
        context.lineWidth = 2;
        context.strokeStyle = color("focus");
        context.stroke();
      }
    }
  }

  /** The colour of a note by its frame: that of its place on the pad, if it comes from there. */
  function inks() {
    const { shown, place, path, stride, bars } = studio.state;
    const colors = shown.from === "pad" || shown.from === "path" ? cellColors(info.pad_size) : [];
    if (shown.from === "pad") return () => colors[place];
    if (shown.from === "path") {
      const step = Math.min(stride || bars, bars) * perBar;
      return (start) => colors[path[Math.min(Math.floor(start / step), path.length - 1)]];
    }
    const ink = color("ink");
    return () => ink;
  }

  function drawKeyboard() {
    const { context, width } = prepare(keyboard);
    const row = rowHeight();
    context.font = `${Math.min(11, Math.max(9, row))}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    for (let pitch = rows[0]; pitch <= rows[1]; pitch++) {
      const heard = pitch + studio.state.transpose;
      const top = (rows[1] - pitch) * row;
      if (heard < 0 || heard > 127) continue;
      if (isBlackKey(heard)) {
        context.fillStyle = color("bar-line");
        context.fillRect(0, top + 0.5, width * 0.42, row - 1);
      } else if (heard % 12 === 0) {
        context.fillStyle = color("faint");
        context.fillText(noteName(heard), width * 0.5, top + row / 2);
      }
    }
  }

  function drawRuler() {
    const { context, width, height } = prepare(ruler);
    const [frame, music] = [frameWidth(), piece()];
    const [from, to] = loopFrames(studio.state, music.frames, perBar);
    context.fillStyle = color("edge");
    context.globalAlpha = 0.25;
    context.fillRect(from * frame, 0, (to - from) * frame, height);
    context.globalAlpha = 1;
    context.fillRect(from * frame, height - 3, (to - from) * frame, 3);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    const every = Math.ceil(26 / (perBar * frame));
    for (let bar = 0; bar < barsOf(music, perBar); bar += every) {
      context.fillStyle = color("faint");
      context.fillText(String(bar + 1), bar * perBar * frame + 5, height / 2);
    }
  }

  function drawLocks(bars) {
    locks.hidden = !studio.can("fill") || !editable();
    while (locks.children.length > bars) locks.lastChild.remove();
    for (let bar = locks.children.length; bar < bars; bar++) {
      const button = make("button", { type: "button", icon: "open" });
      button.append(make("span", { text: String(bar + 1) }));
      button.addEventListener("click", () =>
        studio.act(`lock of bar ${bar + 1}`, toggleLock(studio.state, bar)),
      );
      locks.append(button);
    }
    [...locks.children].forEach((button, bar) => {
      const isLocked = studio.state.locked.includes(bar);
      button.setAttribute("aria-pressed", String(isLocked));
      button.setAttribute("aria-label", `Lock bar ${bar + 1}`);
      button.querySelector("use").setAttribute("href", isLocked ? "#i-lock" : "#i-open");
    });
  }

  // --- editing ---

  function edit(label, next, note, merge = null) {
    selected = note;
    studio.act(label, own(studio.state, next), merge);
    tell();
  }

  /** Replaces the selected note by another, on the piece without it.
   *
   * That piece is kept while the same note is changed again, so that what the note passes over on its
   * way is there again behind it.
   */
  function change(label, note) {
    const index = indexOf(piece(), selected);
    if (index < 0) return;
    if (changing?.result !== piece()) changing = { base: remove(piece(), index) };
    const moved = within(note, piece().frames, keyRange);
    hear(moved, selected);
    edit(label, put(changing.base, moved, oneVoice), moved);
    changing.result = piece();
  }

  function add(start, pitch, merge = null) {
    const note = within([start, length, pitch], piece().frames, keyRange);
    hear(note);
    edit("add a note", put(piece(), note, oneVoice), note, merge);
  }

  function removeSelected() {
    const index = selected ? indexOf(piece(), selected) : -1;
    if (index < 0) return studio.say("No note is selected.");
    const next = piece().notes[index + 1] ?? piece().notes[index - 1] ?? null;
    edit("remove a note", remove(piece(), index), next);
  }

  const hear = (note, before = null) =>
    !studio.player.playing && note[2] !== before?.[2] && studio.player.tap(note[2]);

  // --- pointer ---

  const at = ({ offsetX, offsetY }) => ({
    x: offsetX,
    frame: Math.min(Math.max(Math.floor(offsetX / frameWidth()), 0), piece().frames - 1),
    pitch: rows[1] - Math.min(Math.max(Math.floor(offsetY / rowHeight()), 0), rows[1] - rows[0]),
  });

  /** The note at a place; a little more than its row, for fingers. */
  function hit(event) {
    const { frame, pitch } = at(event);
    const meets = (tolerance) =>
      piece().notes.findLast(
        ([s, l, p]) => s <= frame && frame < s + l && Math.abs(p - pitch) <= tolerance,
      );
    return meets(0) ?? (event.pointerType === "touch" ? meets(1) : undefined);
  }

  roll.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !piece()) return;
    if (!editable()) return studio.fail("This is too long to edit; clear or shorten the path.");
    roll.focus({ preventScroll: true, focusVisible: false });
    const note = hit(event);
    const merge = `roll ${event.timeStamp}`;
    const { frame, pitch, x } = at(event);
    if (note) {
      const end = (note[0] + note[1]) * frameWidth();
      const atEnd = end - x < Math.min(HANDLE, (note[1] * frameWidth()) / 3);
      selected = note;
      begin(event, { merge, note, frame, pitch, lengthens: atEnd });
      tell();
      draw();
    } else if (event.pointerType === "touch") {
      drag = { tap: { frame, pitch } }; // a finger may want to scroll: add when it is lifted
    } else {
      add(frame, pitch, merge);
      begin(event, { merge, note: selected, frame, pitch, lengthens: true });
    }
  });

  function begin(event, started) {
    roll.setPointerCapture(event.pointerId);
    const base = remove(piece(), indexOf(piece(), started.note));
    drag = { ...started, base };
  }

  roll.addEventListener("pointermove", (event) => {
    if (!piece()) return;
    if (!drag?.base) return hover(event);
    const { frame, pitch } = at(event);
    const [start, own_, own_pitch] = drag.note;
    if (frame === drag.frame && pitch === drag.pitch && !drag.moved) return; // a click that trembles
    drag.moved = true;
    const by = frame - drag.frame;
    const wanted = drag.lengthens
      ? [start, Math.max(1, frame - start + 1), own_pitch]
      : [start + by, own_, own_pitch + pitch - drag.pitch];
    const moved = within(wanted, drag.base.frames, keyRange);
    if (moved.every((value, i) => value === selected?.[i])) return;
    hear(moved, selected);
    if (drag.lengthens) length = moved[1];
    const label = drag.lengthens ? "lengthen a note" : "move a note";
    edit(label, put(drag.base, moved, oneVoice), moved, drag.merge);
  });

  function hover(event) {
    const note = hit(event);
    const end = note && (note[0] + note[1]) * frameWidth() - event.offsetX;
    const atEnd = note && end < Math.min(HANDLE, (note[1] * frameWidth()) / 3);
    roll.style.cursor = !note ? "cell" : atEnd ? "ew-resize" : "grab";
  }

  roll.addEventListener("pointerup", () => {
    const tap = drag?.tap;
    drag = null;
    if (tap) add(tap.frame, tap.pitch);
    studio.settle();
    draw();
  });
  roll.addEventListener("pointercancel", () => {
    drag = null;
    studio.settle();
  });
  // A finger on a note moves the note, elsewhere it scrolls.
  roll.addEventListener(
    "touchstart",
    (event) => {
      const { left, top } = roll.getBoundingClientRect();
      const { clientX, clientY } = event.touches[0];
      const place = { offsetX: clientX - left, offsetY: clientY - top, pointerType: "touch" };
      if (piece() && hit(place)) event.preventDefault();
    },
    { passive: false },
  );
  roll.addEventListener("dblclick", (event) => {
    if (!piece() || !hit(event)) return;
    selected = hit(event);
    removeSelected();
  });

  // --- keys ---

  roll.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !editable()) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    const index = selected ? indexOf(piece(), selected) : -1;
    act(index, index < 0 ? null : selected, event.shiftKey ? 12 : 1);
  });

  const select = (index) => {
    changing = null;
    selected = piece().notes[Math.min(Math.max(index, 0), piece().notes.length - 1)] ?? null;
    if (selected) {
      hear(selected);
      const x = selected[0] * frameWidth() - scroll.clientWidth / 2;
      scroll.scrollTo({ left: x });
    }
    tell();
    draw();
  };
  const onNote = (label, next) => (index, note, far) => {
    if (note) change(label, next(note, far));
    else studio.say("No note is selected; the left and right arrows select one.");
  };
  const keys = {
    ArrowRight: (index) => select(index + 1),
    ArrowLeft: (index) => select(index < 0 ? 0 : index - 1),
    ArrowUp: onNote("move a note", ([s, l, p], far) => [s, l, p + far]),
    ArrowDown: onNote("move a note", ([s, l, p], far) => [s, l, p - far]),
    ",": onNote("move a note", ([s, l, p]) => [s - 1, l, p]),
    ".": onNote("move a note", ([s, l, p]) => [s + 1, l, p]),
    "-": onNote("lengthen a note", ([s, l, p]) => [s, l - 1, p]),
    "+": onNote("lengthen a note", ([s, l, p]) => [s, l + 1, p]),
    "=": onNote("lengthen a note", ([s, l, p]) => [s, l + 1, p]),
    Enter: (_, note) => add(note ? note[0] + note[1] : 0, note ? note[2] : 60),
    Delete: () => removeSelected(),
    Backspace: () => removeSelected(),
  };

  // --- the ruler: a click plays from there, a drag sets the loop ---

  const barAt = (x) =>
    Math.min(Math.max(Math.floor(x / (perBar * frameWidth())), 0), barsOf(piece(), perBar) - 1);
  ruler.addEventListener("pointerdown", (event) => {
    if (!piece()) return;
    ruler.setPointerCapture(event.pointerId);
    ruler.from = { x: event.offsetX, bar: barAt(event.offsetX), merge: `ruler ${event.timeStamp}` };
  });
  ruler.addEventListener("pointermove", (event) => {
    if (!ruler.from || Math.abs(event.offsetX - ruler.from.x) < 6) return;
    ruler.from.moved = true;
    const [a, b] = [ruler.from.bar, barAt(event.offsetX)].sort((x, y) => x - y);
    studio.set("set the loop", { loop: [a, b + 1] }, ruler.from.merge);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    ruler.addEventListener(name, () => {
      const { moved, x } = ruler.from ?? { moved: true };
      ruler.from = null;
      studio.settle();
      if (!moved) studio.play(Math.floor(x / frameWidth()));
    });
  }
  const setLoop = () => {
    const bars = barsOf(piece(), perBar);
    const from = Math.min(Math.max(byId("loop-from").valueAsNumber || 1, 1), bars);
    const to = Math.min(Math.max(byId("loop-to").valueAsNumber || bars, from), bars);
    studio.set("set the loop", { loop: from === 1 && to === bars ? null : [from - 1, to] });
    studio.render();
  };
  byId("loop-from").addEventListener("change", setLoop);
  byId("loop-to").addEventListener("change", setLoop);
  onClick("loop-all", () => studio.set("loop all", { loop: null }));

  // --- own files ---

  const use = (read, tempo) => studio.take(read, tempo);
  const useFile = (file) => studio.upload(file, use);
  onClick("roll-file", () => chooseFile(useFile));
  onClick("note-remove", removeSelected);
  takesDrops(byId("roll-drop"), { file: useFile, piece: use });

  // --- telling ---

  function tell() {
    byId("roll-note").textContent = described();
  }

  /** Where the melody comes from. */
  function origin({ shown, place, path, steps }) {
    const size = info.pad_size;
    const column = (place % size) + 1;
    switch (shown.from) {
      case "pad":
        return `the pad, column ${column}, row ${Math.floor(place / size) + 1}`;
      case "path":
        return `the path, ${path.length} steps`;
      case "line":
        return shown.index === null ? "the whole line" : `step ${shown.index + 1} of ${steps} of the line`;
      case "tiles":
        return `${studio.noun} ${shown.index + 1} of four`;
      default:
        return "your own";
    }
  }

  function described() {
    if (!piece()) return "Waiting for the model …";
    const index = selected ? indexOf(piece(), selected) : -1;
    if (index < 0) return `${piece().notes.length} notes, ${barsOf(piece(), perBar)} bars`;
    const [start, own_, pitch] = selected;
    const beat = (start % perBar) / perBeat + 1;
    const beats = own_ / perBeat;
    const heard = Math.min(Math.max(pitch + studio.state.transpose, 0), 127);
    return (
      `${noteName(heard)}, bar ${Math.floor(start / perBar) + 1}, beat ${round(beat)}, ` +
      `${round(beats)} ${beats === 1 ? "beat" : "beats"} long`
    );
  }

  studio.show(() => {
    const music = piece();
    byId("roll-origin").textContent = origin(studio.state);
    byId("roll-note").setAttribute("aria-live", document.activeElement === roll ? "polite" : "off");
    if (!music) return tell();
    const bars = barsOf(music, perBar);
    const least = Math.min(BAR_WIDTH, MOST_WIDTH / bars);
    wide.style.width = `max(100%, ${Math.round(bars * least)}px)`;
    drawLocks(bars);
    const [from, to] = loopFrames(studio.state, music.frames, perBar);
    setUnlessActive(byId("loop-from"), Math.floor(from / perBar) + 1, bars);
    setUnlessActive(byId("loop-to"), Math.ceil(to / perBar), bars);
    byId("loop-all").disabled = !studio.state.loop;
    byId("note-remove").disabled = !selected || indexOf(music, selected) < 0;
    tell();
    draw();
  });
  redrawWhenNeeded(roll, draw);

  const head = byId("playhead");
  return {
    /** Moves the line that shows what is heard. */
    tick(frame) {
      head.hidden = frame === null || !piece();
      if (head.hidden) return;
      const x = frame * frameWidth();
      head.style.transform = `translateX(${x}px)`;
      const [left, right] = [scroll.scrollLeft, scroll.scrollLeft + scroll.clientWidth - 60];
      if (!drag && (x < left || x > right)) scroll.scrollLeft = x - 20;
    },
  };
}

const round = (value) => String(Number(value.toFixed(2)));

function setUnlessActive(input, value, most) {
  input.max = most;
  if (document.activeElement !== input) input.value = value;
}
