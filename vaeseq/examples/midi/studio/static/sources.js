// The corners of the pad and the ends of the line: where each comes from, and how to change it.

import { fit } from "./piece.js";
import { CORNERS, setCorner, setEnd } from "./state.js";
import { chooseFile, make, takesDrops } from "./page.js";

const ENDS = ["start", "end"];

export function attach(studio) {
  for (const element of document.querySelectorAll("[data-corner]")) {
    const index = Number(element.dataset.corner);
    attachOne(studio, element, {
      name: `the ${CORNERS[index]} corner`,
      swatch: true,
      set: (source) => setCorner(studio.state, index, source),
      get: (state) => state.corners[index],
    });
  }
  for (const element of document.querySelectorAll("[data-end]")) {
    const index = Number(element.dataset.end);
    attachOne(studio, element, {
      name: `the ${ENDS[index]} of the line`,
      set: (source) => setEnd(studio.state, index, source),
      get: (state) => state.ends[index],
      shown: index ? "End" : "Start",
    });
  }
}

function attachOne(studio, element, { name, swatch, set, get, shown = "" }) {
  const set_ = (label, source) => studio.act(`${label} for ${name}`, set(source));
  const usePiece = (piece) => set_("a melody", { piece: fit(piece, piece.frames) });
  const useFile = (file) => studio.upload(file, usePiece, studio.state.bars);
  const text = make("span", { class: "name" });
  const button = (icon, does, act) => {
    const made = make("button", { type: "button", class: "icon", icon, title: does });
    made.setAttribute("aria-label", `${does}: ${name}`);
    made.addEventListener("click", act);
    return made;
  };
  element.setAttribute("role", "group");
  element.setAttribute("aria-label", name[0].toUpperCase() + name.slice(1));
  element.append(
    ...(swatch ? [make("span", { class: "swatch" })] : []),
    text,
    button("dice", "Draw another melody", () => set_("another melody", { seed: randomSeed() })),
    button("take", `Take the ${studio.noun} of the roll`, () => studio.piece() && usePiece(studio.piece())),
    button("file", "Open a file", () => chooseFile(useFile)),
  );
  takesDrops(element, { file: useFile, piece: usePiece });
  studio.show(({ state }) => {
    const source = get(state);
    const origin = source.piece ? "given" : `seed ${source.seed}`;
    text.textContent = shown ? `${shown}: ${origin}` : origin;
  });
}

/** A seed that is easy to read out. */
export const randomSeed = () => 1 + Math.floor(Math.random() * 99999);
