// Rows of small piano rolls: the four drawn melodies, and the steps of the line. Each plays.

import { color, miniature, prepare, redrawWhenNeeded, usualRange } from "./draw.js";
import { show } from "./state.js";
import { DRAGGED, byId, field, make, onClick } from "./page.js";

const COUNT = 4;

export function attach(studio) {
  const choose = (from, index) => {
    const words = index === null ? "play the line" : `show ${studio.noun} ${index + 1}`;
    studio.act(words, show(studio.state, { from, index }));
    studio.play(0);
  };

  row(studio, byId("tiles"), {
    lane: "tiles",
    count: () => COUNT,
    name: (index) => `${studio.noun === "melody" ? "Melody" : "Piece"} ${index + 1}`,
    shownIndex: ({ shown }) => (shown.from === "tiles" ? shown.index : -1),
    choose: (index) => choose("tiles", index),
  });
  onClick("generate", () => studio.generate());
  studio.show(({ state }) => {
    const { name, body } = state.tiles;
    byId("tiles-origin").textContent =
      name === "draw" ? `seeds ${body.seed} to ${body.seed + COUNT - 1}` : `like the ${studio.noun}`;
  });

  if (!studio.can("line")) {
    byId("line-section").remove();
    return;
  }
  row(studio, byId("line"), {
    lane: "line",
    count: ({ steps }) => steps,
    name: (index) => `Step ${index + 1}`,
    shownIndex: ({ shown, steps }) =>
      shown.from === "line" && shown.index !== null ? Math.min(shown.index, steps - 1) : -1,
    choose: (index) => choose("line", index),
  });
  field(studio, "steps", "the steps of the line");
  onClick("line-play", () => choose("line", null));
}

function row(studio, container, { lane, count, name, shownIndex, choose }) {
  const pieces = () => studio.answers.lane(lane).answer?.pieces ?? [];

  function tile(index) {
    const button = make("button", { type: "button", class: "tile", draggable: "true" }, [
      make("canvas", { "aria-hidden": "true" }),
      make("span", { text: String(index + 1) }),
    ]);
    button.addEventListener("click", () => pieces()[index] && choose(index));
    button.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData(DRAGGED, JSON.stringify(pieces()[index]));
    });
    return button;
  }

  function draw() {
    const pitches = usualRange(pieces());
    [...container.children].forEach((button, index) => {
      const { context, width, height } = prepare(button.querySelector("canvas"));
      if (!pieces()[index]) return;
      context.fillStyle = color("ink");
      miniature(context, pieces()[index], pitches, {
        x: 10, y: 22, width: width - 20, height: height - 32,
      });
    });
  }

  let drawn = null;
  studio.show(({ state, answers }) => {
    const { waiting, answer } = answers.lane(lane);
    while (container.children.length > count(state)) container.lastChild.remove();
    while (container.children.length < count(state)) {
      container.append(tile(container.children.length));
      drawn = null;
    }
    container.setAttribute("aria-busy", String(waiting));
    container.classList.toggle("stale", waiting);
    [...container.children].forEach((button, index) => {
      const notes = pieces()[index]?.notes.length;
      button.setAttribute("aria-pressed", String(index === shownIndex(state)));
      button.setAttribute("aria-label", `${name(index)}${notes === undefined ? "" : `, ${notes} notes`}`);
    });
    if (answer !== drawn) draw();
    drawn = answer;
  });
  redrawWhenNeeded(container, draw);
}
