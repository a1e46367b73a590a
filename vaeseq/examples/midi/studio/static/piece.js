// Pieces of music, as the server sends them: {frames, notes: [[start, length, pitch], ...]}, sorted.
// Every function is pure and returns a new piece.

const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

export const noteName = (pitch) => NAMES[pitch % 12] + (Math.floor(pitch / 12) - 1);
export const isBlackKey = (pitch) => [1, 3, 6, 8, 10].includes(pitch % 12);
export const barsOf = (piece, framesPerBar) => Math.ceil(piece.frames / framesPerBar);

const inOrder = (notes) => notes.sort((a, b) => a[0] - b[0] || a[2] - b[2]);

/** Frames `from` up to `to`; cuts notes at both ends. What is behind the piece is silent. */
export function slice({ notes }, from, to) {
  const kept = [];
  for (const [start, length, pitch] of notes) {
    const first = Math.max(start, from);
    const end = Math.min(start + length, to);
    if (first < end) kept.push([first - from, end - first, pitch]);
  }
  return { frames: to - from, notes: inOrder(kept) };
}

/** Cuts the piece, or adds silence, so that it has this many frames. */
export const fit = (piece, frames) => (piece.frames === frames ? piece : slice(piece, 0, frames));

/** The pieces one after another. */
export function join(pieces) {
  let frames = 0;
  const notes = [];
  for (const piece of pieces) {
    for (const [start, length, pitch] of piece.notes) notes.push([frames + start, length, pitch]);
    frames += piece.frames;
  }
  return { frames, notes: inOrder(notes) };
}

/** Adds a note. Others end where it starts, or start where it ends; those under it are removed. */
export function put(piece, note, oneVoice) {
  const [start, length, pitch] = note;
  const end = start + length;
  const notes = [note];
  for (const other of piece.notes) {
    const [otherStart, otherLength, otherPitch] = other;
    const otherEnd = otherStart + otherLength;
    const meets = start < otherEnd && otherStart < end;
    if (!meets || !(oneVoice || pitch === otherPitch)) notes.push(other);
    else if (otherStart < start) notes.push([otherStart, start - otherStart, otherPitch]);
    else if (end < otherEnd) notes.push([end, otherEnd - end, otherPitch]);
  }
  return { frames: piece.frames, notes: inOrder(notes) };
}

export const remove = (piece, index) => ({
  frames: piece.frames,
  notes: piece.notes.filter((_, i) => i !== index),
});

/** Moves a note into the piece and onto the keys, and keeps its length if that fits. */
export function within([start, length, pitch], frames, [lowest, highest]) {
  const first = Math.min(Math.max(start, 0), frames - 1);
  return [
    first,
    Math.min(Math.max(length, 1), frames - first),
    Math.min(Math.max(pitch, lowest), highest),
  ];
}

export const indexOf = (piece, note) =>
  piece.notes.findIndex((other) => other.every((value, i) => value === note[i]));

/** The music of a path: step k takes its bars from `pieces[k]`, and time goes on.
 *
 * With pieces of four bars and one bar a step, the steps take bars 0, 1, 2, 3, 0, ... Of a note that
 * sounds over the border of two steps, the second part is tied to the first if that has its pitch.
 */
export function walk(pieces, framesPerStep) {
  let notes = [];
  let at = 0;
  for (const piece of pieces) {
    const length = Math.min(framesPerStep, piece.frames);
    const steps = Math.max(1, Math.floor(piece.frames / length));
    const from = ((at / length) % steps) * length;
    const goesOn = new Set(
      piece.notes.filter(([s, l]) => s < from && from < s + l).map(([, , pitch]) => pitch),
    );
    for (const [start, own, pitch] of slice(piece, from, from + length).notes) {
      const before =
        start === 0 && goesOn.has(pitch)
          ? notes.findIndex(([s, l, p]) => p === pitch && s + l === at)
          : -1;
      if (before < 0) notes.push([at + start, own, pitch]);
      else notes = notes.map((x, i) => (i === before ? [x[0], x[1] + own, x[2]] : x));
    }
    at += length;
  }
  return { frames: at, notes: inOrder(notes) };
}

/** Cuts a piece into pieces of at most `most` frames, each a multiple of `unit` frames. */
export function cut(piece, most, unit) {
  const size = Math.max(unit, Math.floor(most / unit) * unit);
  const parts = [];
  for (let from = 0; from < piece.frames; from += size) {
    parts.push(slice(piece, from, Math.min(from + size, piece.frames)));
  }
  return parts;
}

/** Lowest and highest pitch of some pieces, or `otherwise` if they are silent. */
export function range(pieces, otherwise) {
  let [low, high] = [Infinity, -Infinity];
  for (const { notes } of pieces) {
    for (const [, , pitch] of notes) {
      low = Math.min(low, pitch);
      high = Math.max(high, pitch);
    }
  }
  return low <= high ? [low, high] : otherwise;
}
