// The session in the fragment of the address, which browsers do not send to the server.
//
// What is read may be anything: each field is checked, and one that does not fit becomes what a new
// session has.

import { CORNERS, MOST_PATH_CELLS, can, initial, limits, set, clamp } from "./state.js";

const VERSION = 1;

/** The fragment of a session: what differs from a new one, as JSON in URL-safe base 64. */
export function encode(state, info) {
  const plain = initial(info);
  const changed = Object.fromEntries(
    Object.entries(state).filter(([name, value]) => !same(value, plain[name])),
  );
  const text = JSON.stringify({ v: VERSION, run: info.run, weights: info.weights, ...changed });
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte));
  return btoa(bytes.join("")).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Whether a text begins as all fragments of sessions do: with {" in base 64. */
export const begins = (text) => text.startsWith("eyJ");

/** Reads a fragment. Returns {state, run, weights}; throws an Error in words if it is no session. */
export function decode(fragment, info) {
  let read;
  try {
    const text = atob(fragment.replaceAll("-", "+").replaceAll("_", "/"));
    read = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (x) => x.charCodeAt(0))));
  } catch {
    throw new Error("The address holds no session that can be read; perhaps it was cut off.");
  }
  if (read === null || typeof read !== "object" || !Number.isInteger(read.v)) {
    throw new Error("The address holds no session of a studio.");
  }
  if (read.v > VERSION) throw new Error("The session is from a newer version of the studio.");
  const { run = "", weights = "" } = read;
  return { state: checked(read, info), run: String(run), weights: String(weights) };
}

function checked(read, info) {
  const plain = initial(info);
  const names = Object.keys(limits(info)).filter((name) => name in read);
  const state = set(plain, info, Object.fromEntries(names.map((name) => [name, read[name]])));
  const cells = info.pad_size ** 2;
  const take = (name, read_) => {
    if (name in read) state[name] = read_(read[name]) ?? plain[name];
  };
  take("corners", (value) => sources(value, CORNERS.length, info));
  take("ends", (value) => sources(value, 2, info));
  take("sliders", (value) => sliders(value, info));
  take("locked", (value) => whole(value, 0, 1024, 1024));
  take("path", (value) => whole(value, 0, cells - 1, MOST_PATH_CELLS));
  take("loop", loop);
  take("repeat", (value) => (typeof value === "boolean" ? value : undefined));
  take("tiles", (value) => tiles(value, info));
  take("shown", (value) => shown(value, state, info));
  return state;
}

function shown(value, state, info) {
  const index = (most) =>
    Number.isInteger(value.index) && value.index >= 0 && value.index < most ? value.index : 0;
  switch (value?.from) {
    case "pad":
      return can(info, "pad") ? { from: "pad" } : undefined;
    case "path":
      return can(info, "pad") && state.path.length ? { from: "path" } : undefined;
    case "line":
      if (!can(info, "line")) return undefined;
      return { from: "line", index: value.index === null ? null : index(state.steps) };
    case "tiles":
      return { from: "tiles", index: index(16) };
    case "own": {
      const own = piece(value.piece, info);
      return own && { from: "own", piece: own };
    }
  }
}

function tiles(value, info) {
  const body = value?.body ?? {};
  const { seed, temperature, amount } = limits(info);
  const common = {
    count: 4,
    temperature: clamp(body.temperature, temperature, 1),
    seed: clamp(body.seed, seed, 0),
  };
  if (value?.name === "draw") {
    const frames = { low: 1, high: info.max_frames, step: 1 };
    return { name: "draw", body: { ...common, frames: clamp(body.frames, frames, info.window) } };
  }
  const own = value?.name === "like" && piece(body.piece, info);
  if (own) {
    return {
      name: "like",
      body: { ...common, piece: own, amount: clamp(body.amount, amount, 0.3) },
    };
  }
}

function sources(value, count, info) {
  if (!Array.isArray(value) || value.length !== count) return undefined;
  const read = value.map((source) => {
    if (source?.piece) {
      const own = piece(source.piece, info);
      return own && { piece: own };
    }
    const { low, high } = limits(info).seed;
    const { seed } = source ?? {};
    return Number.isInteger(seed) && low <= seed && seed <= high ? { seed } : undefined;
  });
  return read.includes(undefined) ? undefined : read;
}

function piece(value, info) {
  const { frames, notes } = value ?? {};
  const fits = (note) =>
    Array.isArray(note) &&
    note.length === 3 &&
    note.every(Number.isInteger) &&
    note[0] >= 0 &&
    note[1] >= 1 &&
    note[0] + note[1] <= frames &&
    note[2] >= 0 &&
    note[2] <= 127;
  if (!Number.isInteger(frames) || frames < 1 || frames > info.max_frames) return undefined;
  if (!Array.isArray(notes) || !notes.every(fits)) return undefined;
  return { frames, notes: [...notes].sort((a, b) => a[0] - b[0] || a[2] - b[2]) };
}

function sliders(value, info) {
  if (value === null || typeof value !== "object") return undefined;
  const read = info.attributes
    .map(({ name }) => [name, clamp(value[name], { low: -3, high: 3, step: 0.1 }, 0)])
    .filter(([, amount]) => amount !== 0);
  return Object.fromEntries(read);
}

function whole(value, low, high, most) {
  const fits = (x) => Number.isInteger(x) && low <= x && x <= high;
  return Array.isArray(value) && value.every(fits) ? value.slice(0, most) : undefined;
}

function loop(value) {
  const [from, to] = whole(value, 0, 1024, 2) ?? [];
  return from < to ? [from, to] : undefined;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
