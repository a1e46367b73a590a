// The elements of the page, and what all controls have in common.

import { limits } from "./state.js";

export const byId = (id) => document.getElementById(id);

/** Makes an element: `make("button", {type: "button", text: "Play"})`. */
export function make(tag, { text, icon, ...attributes } = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (icon) element.append(makeIcon(icon));
  if (text !== undefined) element.append(text);
  element.append(...children);
  return element;
}

export function makeIcon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  setIcon(svg, name);
  return svg;
}

export const setIcon = (element, name) =>
  element.querySelector("use").setAttribute("href", `#i-${name}`);

export const onClick = (id, act) => byId(id).addEventListener("click", act);

/** Ties a number or range input to a field of the session. */
export function field(studio, name, label, output = null) {
  const input = byId(name);
  const { low, high, step } = limits(studio.info)[name];
  Object.assign(input, { min: low, max: high, step });
  input.addEventListener("input", () => {
    if (input.type === "range") studio.set(label, { [name]: input.valueAsNumber }, name);
    else input.dataset.typing = "yes"; // half a number is none: wait until it is whole
  });
  input.addEventListener("change", () => {
    delete input.dataset.typing;
    if (input.type !== "range") studio.set(label, { [name]: input.valueAsNumber });
    studio.settle();
    input.value = studio.state[name];
  });
  studio.show(({ state }) => {
    if (!input.dataset.typing) input.value = state[name];
    if (output) byId(output).textContent = state[name].toFixed(2);
  });
}

/** Takes files and melodies that are dropped on an element. */
export function takesDrops(element, { file, piece }) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    element.classList.remove("over");
    const text = event.dataTransfer.getData(DRAGGED);
    if (text) piece(JSON.parse(text));
    else if (event.dataTransfer.files[0]) file(event.dataTransfer.files[0]);
  });
}

export const DRAGGED = "application/x-vaeseq-piece";

/** Lets a person choose a file. */
export function chooseFile(use) {
  const input = byId("file");
  input.value = "";
  input.onchange = () => input.files[0] && use(input.files[0]);
  input.click();
}
