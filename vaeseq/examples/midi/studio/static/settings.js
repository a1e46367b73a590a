// How melodies are drawn, and how they sound.

import { byId, field, make, onClick } from "./page.js";
import { randomSeed } from "./sources.js";

export function attach(studio) {
  field(studio, "temperature", "the temperature", "temperature-out");
  field(studio, "bars", "the length");
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
