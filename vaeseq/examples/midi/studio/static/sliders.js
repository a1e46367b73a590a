// Sliders of meaning: each moves the latent along a direction that belongs to an attribute, and says
// how much the attribute really moves, and what else moves with it.

import { setSlider } from "./state.js";
import { byId, make, onClick } from "./page.js";

const NOTEWORTHY = 0.25; // of the largest side effect: what else to mention

export function attach(studio) {
  const { attributes } = studio.info;
  if (!attributes.length || !studio.can("shape")) return;
  byId("shape-section").hidden = false;
  const measured = new Map();
  for (const attribute of attributes) {
    const { name, label } = attribute;
    const id = `slider-${name}`;
    const output = make("output", { for: id });
    const now = make("span", { class: "faint note", id: `${id}-now` });
    const input = make("input", { type: "range", id, min: -3, max: 3, step: 0.1 });
    input.setAttribute("aria-describedby", now.id);
    input.addEventListener("input", () =>
      studio.act(label, setSlider(studio.state, name, input.valueAsNumber), id),
    );
    input.addEventListener("change", () => studio.settle());
    byId("sliders").append(
      make("div", { class: "slider" }, [make("label", { for: id, text: capital(label) }), output, input, now]),
    );
    measured.set(name, now);
    studio.show(({ state }) => {
      const amount = state.sliders[name] ?? 0;
      input.value = amount;
      output.textContent = `${amount > 0 ? "+" : ""}${amount.toFixed(1)}`;
      const value = studio.answers.lane("attributes").answer?.attributes[name];
      now.textContent = words(attribute, value, attributes);
    });
  }
  onClick("sliders-zero", () => studio.act("all sliders to 0", { ...studio.state, sliders: {} }));
  studio.show(({ state }) => {
    byId("sliders-zero").disabled = !Object.keys(state.sliders).length;
  });
}

/** What a slider really does, and where the melody in the roll is. */
function words({ name, unit, effect, correlation, others }, value, attributes) {
  // Nothing before the first answer, and null for what a melody without notes does not have.
  const here = value == null ? "" : `now ${figure(value)} ${unit} · `;
  const large = Math.max(...Object.values(others ?? {}).map(Math.abs), 0);
  const beside = attributes
    .filter((other) => other.name !== name && Math.abs(others?.[other.name] ?? 0) > 0)
    .filter((other) => large > 0 && Math.abs(others[other.name]) >= NOTEWORTHY * large)
    .map((other) => `${other.label.toLowerCase()} ${signed(others[other.name])}`);
  const also = beside.length ? ` · also ${beside.slice(0, 2).join(", ")}` : "";
  return `${here}a step: ${signed(effect)}, r ${correlation.toFixed(2)}${also}`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
const figure = (value) => String(Number(value.toPrecision(Math.abs(value) < 10 ? 2 : 3)));
const signed = (value) => `${value < 0 ? "−" : "+"}${figure(Math.abs(value))}`;
