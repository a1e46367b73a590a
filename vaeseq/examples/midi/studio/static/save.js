// Files to take away: the melody in the roll, the whole path, or the line.

import { cut } from "./piece.js";
import { byId, make } from "./page.js";

export function attach(studio) {
  const what = byId("save-what");
  const { info, perBar } = studio;

  function pieces() {
    const chosen = {
      piece: () => studio.piece(),
      path: () => studio.walk(),
      line: () => studio.answers.lane("line").answer?.pieces,
    }[what.value]();
    if (!chosen) return [];
    return Array.isArray(chosen) ? chosen : cut(chosen, info.max_frames, perBar);
  }

  async function save(button) {
    const kind = button.dataset.kind;
    const music = pieces();
    if (!music.length) return studio.fail("There is nothing to save yet.");
    const { tempo, transpose, program } = studio.state;
    button.setAttribute("aria-busy", "true");
    try {
      const body = { kind, pieces: music, tempo, transpose, program };
      const { blob, name } = await studio.api.download(body);
      const link = make("a", { download: name, href: URL.createObjectURL(blob) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      studio.say(`Saved ${name}, ${Math.ceil(blob.size / 1000)} kB.`);
    } catch (error) {
      studio.fail(error.message);
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  for (const button of document.querySelectorAll("[data-kind]")) {
    button.addEventListener("click", () => save(button));
  }
  studio.show(({ state }) => {
    const has = { piece: true, path: state.path.length > 0, line: studio.can("line") };
    for (const option of what.options) option.disabled = !has[option.value];
    if (!has[what.value]) what.value = "piece";
  });
}
