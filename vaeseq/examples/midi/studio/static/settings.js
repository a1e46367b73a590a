// How melodies are drawn, and how they sound.

import { byId, field, make, onClick } from "./page.js";
import { randomSeed } from "./sources.js";
import { limits } from "./state.js";

const LENGTHS = [2, 4, 8, 16]; // in bars

export function attach(studio) {
  field(studio, "temperature", "the temperature", "temperature-out");
  field(studio, "bars", "the length");
  usualLengths(studio);
  field(studio, "seed", "the seed");
  field(studio, "tempo", "the tempo");
  field(studio, "transpose", "the key");
  onClick("seed-new", () => studio.set("another seed", { seed: randomSeed(), count: 0 }));

  const program = byId("program");
  studio.info.programs.forEach((text, value) => program.append(make("option", { value, text })));
  program.addEventListener("change", () =>
    studio.set("the instrument", { program: Number(program.value) }),
  );
  studio.show(({ state }) => (program.value = String(state.program)));
}

/** A button for each of some lengths, beside the field that takes any. */
function usualLengths(studio) {
  const most = limits(studio.info).bars.high;
  for (const bars of LENGTHS.filter((bars) => bars <= most)) {
    const button = make("button", { type: "button", text: String(bars), "aria-label": `${bars} bars` });
    button.addEventListener("click", () => studio.set("the length", { bars }));
    byId("lengths").append(button);
    studio.show(({ state }) => button.setAttribute("aria-pressed", String(state.bars === bars)));
  }
}
