// The session: one immutable value, and pure functions from one value to the next.
//
// It says what was asked for, never what the model answered: an answer is a function of the request
// and the run alone, so this value (which fits into an address) is the whole session.
//
// `shown` is what the piano roll shows, which is what is heard and saved:
//   {from: "pad"}               the cell of the pad at `place`
//   {from: "path"}              the walk along `path`
//   {from: "line", index}       a step of the line; `index` null: the whole line
//   {from: "tiles", index}      one of the drawn melodies
//   {from: "own", piece}        an edited, continued, filled, shaped or uploaded piece

const SEEDS = 2 ** 31;
export const MOST_PATH_CELLS = 256;
const USUAL_BARS = 4;
export const CORNERS = ["upper left", "upper right", "lower left", "lower right"];

/** The fields that are plain numbers, with their limits. Whole numbers have a step of 1. */
export function limits(info) {
  const perBar = info.frames_per_bar;
  return {
    seed: { low: 0, high: SEEDS - 1, step: 1 },
    temperature: { low: 0.05, high: 2, step: 0.05 },
    bars: { low: 1, high: Math.max(1, Math.floor(info.max_frames / perBar)), step: 1 },
    more: { low: 1, high: Math.max(1, Math.floor(info.max_frames / perBar)), step: 1 },
    amount: { low: 0, high: 1, step: 0.05 },
    tempo: { low: 30, high: 300, step: 1 },
    transpose: { low: -24, high: 24, step: 1 },
    program: { low: 0, high: Math.max(0, info.programs.length - 1), step: 1 },
    steps: { low: 2, high: 64, step: 1 },
    stride: { low: 0, high: 64, step: 1 }, // bars that a step of the path lasts; 0: the whole piece
    place: { low: 0, high: info.pad_size ** 2 - 1, step: 1 },
    count: { low: 0, high: SEEDS - 1, step: 1 }, // draws so far: each gets a seed of its own
  };
}

export const can = (info, name) => info.can.includes(name);

/** The session that a page without an address opens. */
export function initial(info) {
  const bars = Math.min(USUAL_BARS, Math.max(1, Math.round(info.window / info.frames_per_bar)));
  const middle = Math.floor(info.pad_size ** 2 / 2);
  const state = {
    seed: 1,
    temperature: 0.7,
    bars,
    more: bars,
    amount: 0.3,
    tempo: Math.round(info.tempo),
    transpose: 0,
    program: info.program,
    steps: 5,
    stride: 1,
    place: middle,
    count: 0,
    corners: [{ seed: 11 }, { seed: 22 }, { seed: 33 }, { seed: 44 }],
    ends: [{ seed: 55 }, { seed: 66 }],
    sliders: {},
    locked: [],
    loop: null, // bars [from, to), or null for the whole piece
    repeat: true,
    path: [],
    tiles: null, // the request that drew the melodies beside: {name, body}
    shown: { from: can(info, "pad") ? "pad" : "tiles", index: 0 },
  };
  return drawn(state, info, "draw");
}

/** Sets plain fields; numbers outside their limits become the nearest that is allowed. */
export function set(state, info, values) {
  const all = limits(info);
  const next = { ...state };
  for (const [name, value] of Object.entries(values)) {
    next[name] = all[name] ? clamp(value, all[name], state[name]) : value;
  }
  return next;
}

export const setCorner = (state, index, source) => ({
  ...state,
  corners: replaced(state.corners, index, source),
});
export const setEnd = (state, index, source) => ({
  ...state,
  ends: replaced(state.ends, index, source),
});

export function setSlider(state, name, amount) {
  const sliders = { ...state.sliders, [name]: clamp(amount, { low: -3, high: 3, step: 0.1 }, 0) };
  if (sliders[name] === 0) delete sliders[name];
  return { ...state, sliders };
}

export const visit = (state, cell) => ({ ...state, place: cell, shown: { from: "pad" } });
export const show = (state, shown) => ({ ...state, shown });
export const own = (state, piece) => ({ ...state, shown: { from: "own", piece } });

/** Goes on with the path to a cell, through every cell between. */
export function extendPath(state, cell, size) {
  const cells = state.path.length ? between(state.path.at(-1), cell, size) : [cell];
  const path = [...state.path, ...cells].slice(0, MOST_PATH_CELLS);
  return { ...state, path, place: cell, shown: { from: "pad" } };
}

export const clearPath = (state) => ({
  ...state,
  path: [],
  shown: state.shown.from === "path" ? { from: "pad" } : state.shown,
});

export function toggleLock(state, bar) {
  const locked = state.locked.includes(bar)
    ? state.locked.filter((other) => other !== bar)
    : [...state.locked, bar].sort((a, b) => a - b);
  return { ...state, locked };
}

/** Locks every bar of a piece, or opens all if every one is locked. */
export function toggleLocks(state, bars) {
  const all = Array.from({ length: bars }, (_, bar) => bar);
  return { ...state, locked: all.every((bar) => state.locked.includes(bar)) ? [] : all };
}

/** The seed of the next draw. Draws are 16 apart, since one draw of n pieces uses n seeds. */
export const nextSeed = (state) => (state.seed + 16 * state.count) % (SEEDS - 16);
export const spent = (state) => ({ ...state, count: state.count + 1 });

/** Asks for four new melodies: `draw` from the prior, or `like` a piece. */
export function drawn(state, info, name, piece = null) {
  const { temperature, amount } = state;
  const common = { count: 4, temperature, seed: nextSeed(state) };
  const body =
    name === "draw"
      ? { ...common, frames: state.bars * info.frames_per_bar }
      : { ...common, piece, amount };
  return spent({ ...state, tiles: { name, body } });
}

/** The cells on the straight way from one cell (without it) to another. */
export function between(from, to, size) {
  const [x0, y0, x1, y1] = [from % size, Math.floor(from / size), to % size, Math.floor(to / size)];
  const count = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
  return Array.from({ length: count }, (_, i) => {
    const share = (i + 1) / count;
    return Math.round(y0 + share * (y1 - y0)) * size + Math.round(x0 + share * (x1 - x0));
  });
}

/** The loop in frames, inside a piece of this many frames. */
export function loopFrames({ loop }, frames, perBar) {
  const from = loop ? loop[0] * perBar : 0;
  const to = loop ? Math.min(loop[1] * perBar, frames) : frames;
  return from < to ? [from, to] : [0, frames];
}

export function clamp(value, { low, high, step }, otherwise) {
  if (typeof value !== "number" || !Number.isFinite(value)) return otherwise;
  const rounded = Number((Math.round(value / step) * step).toFixed(6));
  return Math.min(high, Math.max(low, rounded));
}

const replaced = (list, index, value) => list.map((old, i) => (i === index ? value : old));
