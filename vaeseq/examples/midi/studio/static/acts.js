// What the model answers to the melody in the roll: continue, more like this, fill, shape.

import { barsOf } from "./piece.js";
import { byId, field, onClick } from "./page.js";
import { toggleLocks } from "./state.js";

const REQUESTS = ["continue", "like", "fill", "shape"]; // each has a button of its name

export function attach(studio) {
  field(studio, "more", "the bars to continue by");
  field(studio, "amount", "how different", "amount-out");
  onClick("continue", () => studio.goOn());
  onClick("like", () => studio.varied());
  onClick("fill", () => studio.fill());
  onClick("shape", () => studio.shape());
  const bars = () => barsOf(studio.piece(), studio.perBar);
  onClick("lock-all", () => studio.act("the locks", toggleLocks(studio.state, bars())));
  const buttons = REQUESTS.map((name) => [name, byId(name)]);
  studio.show(({ state, busy, info, perBar }) => {
    const piece = studio.piece();
    const fits = piece !== null && piece.frames <= info.max_frames;
    for (const [name, button] of buttons) {
      (button.closest(".answers > div") ?? button).hidden = !studio.can(name);
      button.disabled = !fits;
      button.setAttribute("aria-busy", String(busy?.name === name));
    }
    const count = piece ? barsOf(piece, perBar) : 0;
    const locked = state.locked.filter((bar) => bar < count).length;
    byId("fill-note").textContent = locked ? `${locked} of ${count} locked` : "lock bars to keep them";
    byId("lock-all").disabled = !fits;
    byId("lock-all").textContent = count && locked === count ? "Unlock all" : "Lock all";
  });
}
