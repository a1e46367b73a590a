// Play and stop, undo and redo, the status line, and the keys that work everywhere.

import { canRedo, canUndo } from "./history.js";
import { byId, onClick, setIcon } from "./page.js";

const PLACES = { p: "pad", r: "roll" }; // to which a key leads
const PRESSES = { g: "generate", c: "continue", l: "like", f: "fill" }; // and which one it presses

const press = (button) => button.checkVisibility() && button.click();

export function attach(studio) {
  const status = byId("status");
  studio.sayings.push((text, bad) => {
    status.textContent = text;
    status.classList.toggle("bad", bad);
  });

  onClick("play", () => studio.togglePlay());
  onClick("undo", () => studio.undo());
  onClick("redo", () => studio.redo());
  onClick("repeat", () => studio.set("repeat", { repeat: !studio.state.repeat }));
  onClick("help-open", () => byId("help").showModal());
  onClick("copy-link", async () => {
    try {
      await navigator.clipboard.writeText(new URL(`#${studio.fragment}`, location.href).href);
      studio.say("The link is copied: it holds the whole session.");
    } catch {
      studio.fail("The browser does not let the page copy; copy the address of the page instead.");
    }
  });
  byId("volume").addEventListener("input", (event) => {
    if (studio.player.sound) studio.player.sound.volume = event.target.valueAsNumber;
  });

  // After a click with the pointer, Space is for the music, not for the button again.
  document.addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest("button")?.blur();
  });

  document.addEventListener("keydown", (event) => {
    if (byId("help").open) return;
    const types = event.target.matches('input:not([type="range"]), select, textarea');
    const presses = event.target.matches("button, summary, a");
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (command && !types && key === "z") event.shiftKey ? studio.redo() : studio.undo();
    else if (command && !types && key === "y") studio.redo();
    else if (command || event.altKey) return;
    else if (key === " " && !types && !presses) studio.togglePlay();
    else if (PLACES[key] && !types) byId(PLACES[key])?.focus(); // a run may have no pad
    else if (PRESSES[key] && !types) press(byId(PRESSES[key]));
    else if (key === "?" && !types) byId("help").showModal();
    else if (key === "escape" && studio.busy) {
      studio.cancel();
      studio.render();
      studio.say("No longer waiting.");
    } else return;
    event.preventDefault();
  });

  studio.show(({ player, history, state }) => {
    setIcon(byId("play"), player.playing ? "stop" : "play");
    byId("play").setAttribute("aria-label", player.playing ? "Stop" : "Play");
    byId("play").disabled = !studio.piece();
    byId("undo").disabled = !canUndo(history);
    byId("redo").disabled = !canRedo(history);
    byId("undo").title = canUndo(history) ? `Undo: ${history.label}` : "";
    byId("redo").title = canRedo(history) ? `Redo: ${history.future[0].label}` : "";
    byId("repeat").setAttribute("aria-pressed", String(state.repeat));
  });

  const position = byId("position");
  return {
    tick(frame) {
      if (frame === null) return;
      const beat = Math.floor((frame % studio.perBar) / studio.perBeat) + 1;
      const text = `${Math.floor(frame / studio.perBar) + 1}.${beat}`;
      if (position.textContent !== text) position.textContent = text;
    },
  };
}
