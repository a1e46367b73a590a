// Honest dials: how much of the music the latent variable really says.

import { byId, make } from "./page.js";

export function attach({ info }) {
  const { usage } = info;
  if (!usage) return;
  byId("dials-section").hidden = false;
  const { kl, mutual_information: information, active_units: active, units } = usage;
  dial("Active units", `${active} of ${units}`, active, units,
    "coordinates of the latent whose posterior mean differs between melodies");
  dial("KL", nats(kl), kl, Math.max(kl, information, 1),
    "what the latent of a melody costs, on average");
  dial("Mutual information", nats(information), information, Math.max(kl, information, 1),
    "what it tells about which melody it was; the rest of the KL is wasted");
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
