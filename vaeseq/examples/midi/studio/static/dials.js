// Honest dials: how much of the music the latent variable really says.

import { byId, make } from "./page.js";

export function attach({ info }) {
  const { usage } = info;
  if (!usage) return;
  byId("dials-section").hidden = false;
  const { kl, mutual_information: information, windows, active_units: active, units } = usage;
  dial("Active units", `${active} of ${units}`, active, units,
    "coordinates of the latent whose posterior mean differs between melodies");
  dial("KL", nats(kl), kl, Math.max(kl, 1), "what the latent of a melody costs, on average");
  // It is estimated among so many windows, and is at most the logarithm of their number.
  dial("Mutual information", nats(information), information, Math.max(Math.log(windows), 0.1),
    `how well it tells ${windows} held-out melodies apart; full if it never mistakes one`);
}

/** An estimate may be a little below 0. */
const nats = (value) => `${Math.max(value, 0).toFixed(1)} nats`;

function dial(name, text, value, max, meaning) {
  const meter = make("meter", { min: 0, max, value, "aria-label": `${name}: ${text}` });
  byId("dials").append(
    make("div", {}, [
      make("dt", {}, [make("span", { text: name }), make("span", { text })]),
      make("dd", {}, [meter, meaning]),
    ]),
  );
}
