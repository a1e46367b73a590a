// Canvases that are sharp on every screen, the colours of the style sheet, and small piano rolls.

/** Fits the pixels of a canvas to its box and the screen; returns a context in CSS pixels. */
export function prepare(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(devicePixelRatio || 1, 3);
  const [columns, rows] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** Calls `draw` when the box, the screen or the colour scheme changes. */
export function redrawWhenNeeded(canvas, draw) {
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

export const color = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const CORNER_COLORS = ["corner-1", "corner-2", "corner-3", "corner-4"];

/** The colours of the cells of a pad: those of its corners, mixed as light mixes, a little purer. */
export function cellColors(size) {
  const corners = CORNER_COLORS.map((name) => linear(color(name)));
  return Array.from({ length: size ** 2 }, (_, cell) => {
    const [x, y] = [(cell % size) / (size - 1), Math.floor(cell / size) / (size - 1)];
    const shares = [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
    const mixed = [0, 1, 2].map((i) =>
      corners.reduce((total, corner, k) => total + shares[k] * corner[i], 0),
    );
    const grey = 0.2126 * mixed[0] + 0.7152 * mixed[1] + 0.0722 * mixed[2];
    return `rgb(${mixed.map((value) => gamma(grey + PURER * (value - grey))).join(" ")})`;
  });
}

const PURER = 1.25;
const linear = (hex) =>
  [1, 3, 5].map((i) => (parseInt(hex.slice(i, i + 2), 16) / 255) ** 2.2);
const gamma = (value) => Math.round(255 * Math.min(Math.max(value, 0), 1) ** (1 / 2.2));

/** The pitches between which nearly all notes of some pieces lie: few far ones flatten no picture. */
export function usualRange(pieces) {
  const pitches = pieces.flatMap(({ notes }) => notes.map(([, , pitch]) => pitch));
  pitches.sort((a, b) => a - b);
  if (!pitches.length) return [60, 72];
  const at = (share) => pitches[Math.round(share * (pitches.length - 1))];
  const [low, high] = [at(0.03), at(0.97)];
  const more = Math.max(0, 12 - (high - low)) / 2;
  return [low - more, high + more];
}

/** Draws a piece into a box, pitches from `low` up to `high`; what lies outside is at its edge. */
export function miniature(context, piece, [low, high], { x, y, width, height }) {
  const row = height / (high - low + 1);
  const thick = Math.max(row * 0.9, 1.8);
  const frame = width / piece.frames;
  for (const [start, length, pitch] of piece.notes) {
    const shown = Math.min(Math.max(pitch, low), high);
    const top = y + (high - shown + 0.5) * row - thick / 2;
    const wide = Math.max(length * frame - Math.min(0.8, 0.25 * frame), 0.8);
    context.fillRect(x + start * frame, top, wide, thick);
  }
}
