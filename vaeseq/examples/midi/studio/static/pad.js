// The pad: 121 melodies between four. A drag hears and shows them at once, since all are decoded.

import { cellColors, color, miniature, prepare, redrawWhenNeeded, usualRange } from "./draw.js";
import { clearPath, extendPath, show, visit } from "./state.js";
import { byId, make, onClick } from "./page.js";

const GAP = 1.5;

export function attach(studio) {
  const pad = byId("pad");
  const size = studio.info.pad_size;
  let drawing = false; // whether a drag draws a path
  let layer = null; // the picture of the cells: it changes less often than what moves over it

  if (!studio.can("pad")) {
    byId("pad-section").replaceChildren(
      make("h2", { text: "Between four" }),
      make("p", {
        class: "faint",
        text: "This run has no latent variable that describes a whole piece, so there is nothing between four pieces.",
      }),
    );
    return;
  }

  // --- drawing ---

  const box = () => {
    const side = pad.clientWidth / size;
    return (cell) => ({
      x: (cell % size) * side,
      y: Math.floor(cell / size) * side,
      width: side,
      height: side,
    });
  };

  function drawCells() {
    const lane = studio.answers.lane("pad");
    layer = document.createElement("canvas");
    layer.source = lane.answer;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    layer.width = layer.height = Math.round(pad.clientWidth * ratio);
    const context = layer.getContext("2d");
    context.scale(ratio, ratio);
    const colors = cellColors(size);
    const pieces = lane.answer?.pieces;
    const pitches = usualRange(pieces ?? []);
    const place = box();
    colors.forEach((own, cell) => {
      const { x, y, width, height } = place(cell);
      context.fillStyle = own;
      context.globalAlpha = 0.15;
      context.beginPath();
      context.roundRect(x + GAP / 2, y + GAP / 2, width - GAP, height - GAP, 4);
      context.fill();
      context.globalAlpha = 1;
      if (!pieces) return;
      const inset = Math.max(3, width * 0.1);
      const inner = { x: x + inset, y: y + inset, width: width - 2 * inset, height: height - 2 * inset };
      miniature(context, pieces[cell], pitches, inner);
    });
  }

  function draw() {
    const { state } = studio;
    const lane = studio.answers.lane("pad");
    if (!pad.clientWidth) return;
    if (layer?.source !== lane.answer || layer.stale) drawCells();
    const { context, width } = prepare(pad);
    context.globalAlpha = lane.waiting ? 0.35 : 1;
    context.drawImage(layer, 0, 0, width, width);
    context.globalAlpha = 1;
    const place = box();
    drawPath(context, state, place);
    const onPad = state.shown.from === "pad";
    ring(context, place(state.place), onPad);
  }

  function drawPath(context, { path, shown }, place) {
    if (!path.length) return;
    const centre = (cell) => {
      const { x, y, width } = place(cell);
      return [x + width / 2, y + width / 2];
    };
    for (const [width, ink] of [[5, color("card")], [2, color("ink")]]) {
      context.lineWidth = width;
      context.strokeStyle = ink;
      context.lineJoin = context.lineCap = "round";
      context.beginPath();
      path.forEach((cell) => context.lineTo(...centre(cell)));
      context.lineTo(...centre(path.at(-1)));
      context.stroke();
    }
    disc(context, centre(path[0]), 4.5, color("ink"));
    const frame = studio.player.position;
    if (shown.from !== "path" || frame === null) return;
    const at = studio.placeOnPath(frame);
    const [from, to] = [path[Math.floor(at)], path[Math.min(Math.floor(at) + 1, path.length - 1)]];
    const share = at - Math.floor(at);
    const [[x0, y0], [x1, y1]] = [centre(from), centre(to)];
    disc(context, [x0 + share * (x1 - x0), y0 + share * (y1 - y0)], 9, color("ink"));
  }

  function disc(context, [x, y], radius, ink) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = ink;
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = color("card");
    context.stroke();
  }

  function ring(context, { x, y, width }, strong) {
    for (const [wide, ink] of [[5, color("card")], [2.5, color("ink")]]) {
      context.beginPath();
      context.roundRect(x + 1, y + 1, width - 2, width - 2, 5);
      context.lineWidth = wide;
      context.strokeStyle = ink;
      if (!strong) context.setLineDash([4, 4]);
      context.stroke();
    }
    context.setLineDash([]);
  }

  // --- acts ---

  function go(cell, merge) {
    const { state } = studio;
    if (drawing) {
      const empty = state.path.length === 0;
      if (!empty && state.path.at(-1) === cell) return;
      studio.act("draw a path", extendPath(state, cell, size), merge);
    } else {
      studio.act("move on the pad", visit(state, cell), merge);
    }
  }

  const cellAt = ({ offsetX, offsetY }) => {
    const index = (x) => Math.min(Math.max(Math.floor((x / pad.clientWidth) * size), 0), size - 1);
    return index(offsetY) * size + index(offsetX);
  };

  let pressed = null; // the name under which a drag is undone as one
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    pad.focus({ preventScroll: true, focusVisible: false });
    pressed = `pad ${event.timeStamp}`;
    if (drawing) studio.act("draw a path", clearPath(studio.state), pressed);
    go(cellAt(event), pressed);
    if (!studio.player.playing) studio.play();
  });
  pad.addEventListener("pointermove", (event) => pressed && go(cellAt(event), pressed));
  for (const name of ["pointerup", "pointercancel"]) {
    pad.addEventListener(name, () => {
      if (!pressed) return;
      pressed = null;
      studio.settle();
      if (drawing && studio.state.path.length > 1) playPath();
    });
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  pad.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { place, path } = studio.state;
    const move = MOVES[event.key];
    if (move) {
      const far = event.shiftKey ? size : 1;
      const clip = (x) => Math.min(Math.max(x, 0), size - 1);
      const cell =
        clip(Math.floor(place / size) + far * move[1]) * size + clip((place % size) + far * move[0]);
      studio.act("move on the pad", visit(studio.state, cell), "pad keys");
      studio.say(where(cell));
    } else if (event.key === "Enter" && drawing) {
      if (path.at(-1) === place) return;
      studio.act("draw a path", extendPath(studio.state, place, size));
      studio.say(`The path has ${studio.state.path.length} places.`);
    } else return;
    event.preventDefault();
  });

  const choose = (path) => {
    drawing = path;
    studio.render();
    if (path) studio.say("Drag over the pad to draw a path; it is walked in time with the music.");
  };
  onClick("mode-explore", () => choose(false));
  onClick("mode-path", () => choose(true));

  function playPath() {
    if (!studio.state.path.length) return;
    studio.act("play the path", show(studio.state, { from: "path" }));
    studio.play(0);
  }
  onClick("path-play", playPath);
  onClick("path-clear", () => studio.act("clear the path", clearPath(studio.state)));

  const stride = byId("stride");
  for (const [value, text] of [[1, "1 bar"], [2, "2 bars"], [4, "4 bars"], [0, "whole"]]) {
    stride.append(make("option", { value, text }));
  }
  stride.addEventListener("change", () =>
    studio.set("the bars of a step", { stride: Number(stride.value) }),
  );

  // --- telling ---

  const where = (cell) => {
    const count = studio.answers.lane("pad").answer?.pieces[cell]?.notes.length;
    const notes = count === undefined ? "" : `, ${count} notes`;
    return `Column ${(cell % size) + 1}, row ${Math.floor(cell / size) + 1} of ${size}${notes}`;
  };

  studio.show(({ state, answers }) => {
    const lane = answers.lane("pad");
    byId("mode-explore").setAttribute("aria-pressed", String(!drawing));
    byId("mode-path").setAttribute("aria-pressed", String(drawing));
    byId("pad-wait").hidden = !lane.waiting;
    pad.setAttribute("aria-busy", String(lane.waiting));
    byId("pad-place").textContent = where(state.place);
    byId("path-play").disabled = byId("path-clear").disabled = !state.path.length;
    if (![...stride.options].some(({ value }) => Number(value) === state.stride)) {
      stride.append(make("option", { value: state.stride, text: `${state.stride} bars` }));
    }
    stride.value = String(state.stride);
    draw();
  });
  redrawWhenNeeded(pad, () => {
    if (layer) layer.stale = true;
    draw();
  });
  return { tick: () => studio.state.shown.from === "path" && draw() };
}
