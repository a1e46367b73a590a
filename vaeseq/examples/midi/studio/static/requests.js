// What the page asks the model for, as functions of the session. The same session asks for the same
// music, and gets it: every answer is a function of the request and the run alone.

import { fit } from "./piece.js";
import { nextSeed } from "./state.js";

const source = (given, frames) => (given.piece ? { piece: fit(given.piece, frames) } : given);

function common(state, info) {
  const { temperature, seed, sliders, bars } = state;
  return { frames: bars * info.frames_per_bar, temperature, seed, sliders };
}

export function pad(state, info) {
  const shared = common(state, info);
  return { ...shared, corners: state.corners.map((corner) => source(corner, shared.frames)) };
}

export function line(state, info) {
  const shared = common(state, info);
  const [start, end] = state.ends.map((end) => source(end, shared.frames));
  return { ...shared, start, end, steps: state.steps };
}

export function goOn(state, info, piece) {
  const frames = Math.min(state.more * info.frames_per_bar, info.max_frames - piece.frames);
  return { piece, frames, temperature: state.temperature, seed: nextSeed(state) };
}

export function fill(state, piece, bars) {
  const locked = state.locked.filter((bar) => bar < bars);
  return { piece, locked, temperature: state.temperature, seed: nextSeed(state) };
}

export function shape(state, piece) {
  const { temperature, seed, sliders } = state;
  return { source: { piece }, frames: piece.frames, temperature, seed, sliders };
}
