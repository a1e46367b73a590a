// Undo and redo: the states before and after the present one. Every function is pure.

const MOST = 300;

export const begin = (state) => ({ past: [], state, label: "", merge: null, future: [] });

/** Makes an act. Acts with the same `merge` in a row, such as one drag, are undone together. */
export function commit(history, state, label, merge = null) {
  if (JSON.stringify(state) === JSON.stringify(history.state)) return history;
  const joins = merge !== null && merge === history.merge;
  const { past } = history;
  return {
    past: joins ? past : [...past, { state: history.state, label: history.label }].slice(-MOST),
    state,
    label,
    merge,
    future: [],
  };
}

/** Ends a drag: the next act is undone by itself. */
export const settle = (history) => (history.merge === null ? history : { ...history, merge: null });

export const canUndo = (history) => history.past.length > 0;
export const canRedo = (history) => history.future.length > 0;

export function undo(history) {
  const previous = history.past.at(-1);
  if (!previous) return history;
  const { state, label } = history;
  const future = [{ state, label }, ...history.future];
  return { past: history.past.slice(0, -1), ...previous, merge: null, future };
}

export function redo(history) {
  const [next, ...future] = history.future;
  if (!next) return history;
  const { state, label } = history;
  return { past: [...history.past, { state, label }], ...next, merge: null, future };
}
