// Opens the studio: asks what the run can do, then ties session, sound, views and address together.

import { Api } from "./api.js";
import { SoundFont } from "./soundfont.js";
import { Sound } from "./sound.js";
import { Studio } from "./studio.js";
import { byId, takesDrops } from "./page.js";
import * as acts from "./acts.js";
import * as address from "./address.js";
import * as dials from "./dials.js";
import * as pad from "./pad.js";
import * as roll from "./roll.js";
import * as save from "./save.js";
import * as settings from "./settings.js";
import * as sliders from "./sliders.js";
import * as sources from "./sources.js";
import * as tiles from "./tiles.js";
import * as token from "./token.js";
import * as transport from "./transport.js";

const ADDRESS_MS = 200;
const MEASURED_MS = 2000;
const TROUBLE = {
  gone: "The studio's server does not answer. Nothing is lost: start it again, and this page goes on.",
  stale:
    "The studio was started again, and has another address now. Open the address that it printed in this browser, or paste it here: then this page goes on where it is.",
  busy: "The model is busy; waiting for its turn.",
};

function trouble(state) {
  const banner = byId("banner");
  banner.hidden = state === "here";
  banner.textContent = TROUBLE[state] ?? "";
}

/** Connects to the server: {api, pages}. When a server answers again after it was away, or another
 * one with another token, the page goes on if it has the same run, and is loaded anew if not. */
function connect(opened) {
  const pages = token.join({
    mine: () => (api.isThere ? api.token : null),
    take: (other) => api.renew(other),
  });
  const tell = (state) => {
    trouble(state);
    if (state === "stale") pages.ask();
  };
  const returned = (info) => {
    const fragment = opened.studio?.fragment ?? location.hash.slice(1);
    history.replaceState(null, "", `/?token=${encodeURIComponent(api.token)}#${fragment}`);
    if (!opened.studio || sameRun(info, opened.studio.info)) return;
    location.reload();
    return new Promise(() => {}); // nothing goes on in this page
  };
  const api = new Api(token.inAddress(), tell, returned);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !opened.studio) return;
    api.wake();
    api.ask("info", {}).catch(() => {}); // tells if the server is away
  });
  return { api, pages };
}

const sameRun = (a, b) => ["run", "weights", "version"].every((name) => a[name] === b[name]);

/** Fetches the SoundFont at once, so that the first note need not wait. */
function loadFont() {
  return fetch("/static/TimGM6mb.sf2")
    .then((answer) => {
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      return answer.arrayBuffer();
    })
    .then((buffer) => new SoundFont(buffer));
}

async function open() {
  const opened = {};
  const { api, pages } = connect(opened);
  takePastes(api, opened);
  const info = await api.ask("info", {});
  pages.tell();
  const font = loadFont().catch((error) => {
    byId("sound-note").textContent = `No SoundFont (${error.message}): a plain synthesiser plays.`;
    return null;
  });
  const makeSound = async () =>
    new Sound(new AudioContext({ latencyHint: "interactive" }), await font, byId("volume").valueAsNumber);

  const studio = (opened.studio = new Studio(api, info, makeSound));
  document.title = `${info.run} · vaeseq studio`;
  if (info.kind !== "melody") nameMusic();
  document.body.classList.toggle("no-pad", !studio.can("pad"));
  byId("run").textContent = `${info.run} · ${info.kind === "melody" ? "melodies" : "piano rolls"}`;
  const parts = [transport, settings, sources, pad, roll, tiles, acts, save];
  const moving = parts.map((part) => part.attach(studio)).filter((part) => part?.tick);
  const use = (piece, tempo) => studio.take(piece, tempo);
  takesDrops(document.body, { piece: use, file: (file) => studio.upload(file, use) });
  keepAddress(studio);
  studio.start();

  measured(studio).catch((error) => studio.fail(error.message));

  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const tick = () => {
    const heard = studio.player.position;
    const frame = heard !== null && calm.matches ? Math.floor(heard) : heard;
    if (frame !== null || tick.last !== null) for (const part of moving) part.tick(frame);
    tick.last = frame;
    requestAnimationFrame(tick);
  };
  tick();
  globalThis.studio = studio; // for the curious, and for tests
}

/** Calls music of several voices by its name. */
function nameMusic() {
  byId("roll-title").textContent = "Piece";
  byId("tiles-title").textContent = "Four pieces";
  byId("save-what").options[0].textContent = "The piece in the roll";
}

/** Waits until the server has measured attributes and usage of the latent, then shows them. */
async function measured(studio) {
  while (studio.info.ready === false) {
    await new Promise((done) => setTimeout(done, MEASURED_MS));
    studio.info = await studio.api.ask("info", {});
  }
  byId("measuring").remove();
  sliders.attach(studio);
  dials.attach(studio);
  studio.start();
}

/** Opens what a person pastes anywhere: the link of a session, or the address of the server. */
function takePastes(api, opened) {
  document.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text").trim();
    const [, fragment = ""] = text.split("#");
    const isSession = address.begins(fragment); // other texts have a #, too, such as F# minor
    if (isSession) opened.studio?.open(fragment);
    if (isSession && api.isThere) return;
    const mine = opened.studio?.fragment ?? location.hash.slice(1);
    token.follow(text, mine, (other) => api.renew(other));
  });
}

/** The session is in the address, and the address opens its session. */
function keepAddress(studio) {
  let timer;
  let written = location.hash.slice(1);
  if (written) studio.open(written, { first: true });
  studio.show(() => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (studio.fragment === written) return;
      written = studio.fragment;
      history.replaceState(null, "", `#${written}`);
    }, ADDRESS_MS);
  });
  addEventListener("hashchange", () => {
    written = location.hash.slice(1);
    studio.open(written);
  });
}

open().catch((error) => {
  const banner = byId("banner");
  banner.hidden = false;
  banner.textContent = error.message;
  if (!error.status) throw error;
});
