// The studio: the session and its history, the answers of the model that belong to it, the sound,
// and the acts of a person. The views draw it and call its acts; they hold nothing themselves.

import { Answers } from "./answers.js";
import * as address from "./address.js";
import * as history from "./history.js";
import * as requests from "./requests.js";
import * as state from "./state.js";
import { barsOf, join, walk } from "./piece.js";
import { Player } from "./player.js";

const MOVING_MS = 150; // a control that moves asks the model when it has rested as long as this

export class Studio {
  constructor(api, info, makeSound) {
    this.api = api;
    this.info = info;
    this.perBar = info.frames_per_bar; // whole, even if frames are counted per second
    this.perBeat = this.perBar / info.beats_per_bar;
    this.history = history.begin(state.initial(info));
    this.views = [];
    this.sayings = [];
    this.answers = new Answers(api, () => this.#answered());
    this.player = new Player(makeSound, () => this.render());
    this.busy = null; // the act that waits for the model: {name, controller}
  }

  get state() {
    return this.history.state;
  }

  /** What the run makes, in a word. */
  get noun() {
    return this.info.kind === "melody" ? "melody" : "piece";
  }

  can(name) {
    return state.can(this.info, name);
  }

  // --- acts -------------------------------------------------------------------------------------

  /** Makes the session another one. `merge` joins the acts of one drag for undo. */
  act(label, next, merge = null) {
    this.say(""); // what was said before is over
    this.#go(history.commit(this.history, next, label, merge));
  }

  settle() {
    this.#go(history.settle(this.history));
  }

  set(label, values, merge = null) {
    this.act(label, state.set(this.state, this.info, values), merge);
  }

  undo() {
    const { label } = this.history;
    if (!history.canUndo(this.history)) return this.say("There is nothing to undo.");
    this.#go(history.undo(this.history));
    this.say(`Undone: ${label}.`);
  }

  redo() {
    if (!history.canRedo(this.history)) return this.say("There is nothing to redo.");
    this.#go(history.redo(this.history));
    this.say(`Done again: ${this.history.label}.`);
  }

  /** Opens the session of a fragment; says in words what is wrong with it. `first`: when the page
   * opens, where there is nothing to return to. */
  open(fragment, { first = false } = {}) {
    try {
      const { state: opened, run, weights } = address.decode(fragment, this.info);
      if (first) this.history = history.begin(opened);
      else this.act("open a session", opened);
      if (run && run !== this.info.run) {
        this.say(`This session was made with the run ${run}; this run plays it differently.`);
      } else if (weights && weights !== this.info.weights) {
        this.say("The weights of the run are not those of this session; it is played differently.");
      } else this.say("The session of the address is open.");
    } catch (error) {
      this.fail(error.message);
    }
  }

  get fragment() {
    return address.encode(this.state, this.info);
  }

  play(frame) {
    return this.player.play(frame);
  }

  togglePlay() {
    if (this.player.playing) this.player.stop();
    else this.play();
  }

  /** Lets the model answer to the piece that is shown; the answer is a new piece, one act. */
  async ask(name, label, body) {
    this.cancel();
    const mine = (this.busy = { name, controller: new AbortController() });
    this.say(`Waiting for the model: ${label} ...`);
    this.render();
    try {
      const answer = await this.api.ask(name, body, mine.controller.signal);
      this.busy = null;
      this.act(label, state.spent(state.own(this.state, answer.piece)));
      this.say(`Done: ${label}.`);
      return answer;
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error.message);
    } finally {
      if (this.busy === mine) this.busy = null;
      this.render();
    }
  }

  /** Stops waiting for an answer that is no longer wanted. */
  cancel() {
    this.busy?.controller.abort();
    this.busy = null;
  }

  goOn() {
    const piece = this.piece();
    if (!piece) return;
    if (piece.frames >= this.info.max_frames) {
      return this.fail(`The ${this.noun} has its greatest length; undo, or take a shorter one.`);
    }
    return this.ask("continue", "continue", requests.goOn(this.state, this.info, piece));
  }

  fill() {
    const piece = this.piece();
    if (!piece) return;
    const bars = barsOf(piece, this.perBar);
    const body = requests.fill(this.state, piece, bars);
    if (body.locked.length === bars) {
      return this.fail("Every bar is locked; unlock the bars that are to be drawn anew.");
    }
    return this.ask("fill", "fill the open bars", body);
  }

  shape() {
    const piece = this.piece();
    if (!piece) return;
    if (!Object.keys(this.state.sliders).length) {
      return this.fail("Every slider is at 0; move one, then shape the melody.");
    }
    return this.ask("shape", "shape the melody", requests.shape(this.state, piece));
  }

  generate() {
    this.act("generate four", state.drawn(this.state, this.info, "draw"));
    this.say("Four new ones.");
  }

  /** Draws four melodies like that of the roll, which stays there. */
  varied() {
    const piece = this.piece();
    if (!piece) return;
    const kept = this.state.shown.from === "tiles" ? state.own(this.state, piece) : this.state;
    this.act("more like this", state.drawn(kept, this.info, "like", piece));
    this.say(`Four like the ${this.noun} in the roll, which stays there.`);
  }

  /** Makes a piece the melody of the roll. A file brings its tempo, the session's from then on. */
  take(piece, tempo) {
    const inTempo = state.set(this.state, this.info, { tempo });
    this.act("open a file", state.own(inTempo, piece));
  }

  /** Reads a file and hands the piece and its tempo on; `most` bars of it are used. */
  async upload(file, use, most = Infinity) {
    this.say(`Reading ${file.name} ...`);
    try {
      const { piece, tempo, message } = await this.api.upload(file);
      const before = this.state.tempo;
      use(piece, tempo);
      const bars = barsOf(piece, this.perBar);
      const used = bars > most ? `the first ${most} of ${bars} bars are used; see Bars` : "";
      const heard = tempoWords(tempo, before, this.state.tempo);
      const told = [message, used, heard].filter(Boolean).join("; ");
      this.say(told ? `${file.name}: ${told}` : `${file.name} is read.`);
    } catch ({ message }) {
      this.fail(message.startsWith(file.name) ? message : `${file.name}: ${message}`);
    }
  }

  // --- what is shown ----------------------------------------------------------------------------

  /** The piece in the piano roll, or null while the model has not answered. */
  piece() {
    const { shown, path, stride, place } = this.state;
    const cells = this.answers.lane("pad").answer?.pieces;
    const steps = this.answers.lane("line").answer?.pieces;
    const tiles = this.answers.lane("tiles").answer?.pieces;
    switch (shown.from) {
      case "own":
        return shown.piece;
      case "pad":
        return cells?.[place] ?? null;
      case "path":
        return this.#once("walk", [cells, path, stride], () => this.walk());
      case "line":
        if (shown.index === null) return steps ? this.#once("all", [steps], () => join(steps)) : null;
        return steps?.[Math.min(shown.index, steps.length - 1)] ?? null;
      default:
        return tiles?.[Math.min(shown.index, tiles.length - 1)] ?? null;
    }
  }

  /** The music of the path. */
  walk() {
    const cells = this.answers.lane("pad").answer?.pieces;
    const { path, stride, bars } = this.state;
    if (!cells || !path.length) return null;
    return walk(path.map((cell) => cells[cell]), (stride || bars) * this.perBar);
  }

  /** Where on the path a frame of its walk is: an index with a fraction. */
  placeOnPath(frame) {
    const { stride, bars, path } = this.state;
    const step = Math.min(stride || bars, bars) * this.perBar;
    return Math.min(frame / step, path.length - 1);
  }

  get frameSeconds() {
    return 60 / this.state.tempo / this.info.frames_per_beat;
  }

  // --- telling ----------------------------------------------------------------------------------

  /** `view` draws the studio whenever something changed. */
  show(view) {
    this.views.push(view);
  }

  /** Draws all views. One that fails is told to the console, and stops no other and no request. */
  render() {
    for (const view of this.views) {
      try {
        view(this);
      } catch (error) {
        reportError(error);
      }
    }
  }

  say(text) {
    for (const hear of this.sayings) hear(text, false);
  }

  fail(text) {
    for (const hear of this.sayings) hear(text, true);
  }

  // --- what follows from a change ---------------------------------------------------------------

  /** Asks for what the session needs and is not there. Called once at the start. */
  start() {
    this.#sync();
    this.render();
  }

  #go(next) {
    if (next === this.history) return;
    const before = this.state;
    this.history = next;
    if (before !== next.state) {
      this.#sync(next.merge !== null);
      if (before.shown !== next.state.shown) this.cancel();
    }
    this.render();
  }

  #sync(moving = false) {
    const { answers, info, state: now } = this;
    const delay = moving ? MOVING_MS : 0;
    if (this.can("pad")) answers.want("pad", "pad", requests.pad(now, info), delay);
    if (now.tiles) answers.want("tiles", now.tiles.name, now.tiles.body, delay);
    if (this.can("line")) answers.want("line", "line", requests.line(now, info), delay);
    this.#follow();
  }

  #answered() {
    for (const name of ["pad", "tiles", "line"]) {
      const { error } = this.answers.lane(name);
      if (error && error !== this.told?.[name]) this.fail(error);
      this.told = { ...this.told, [name]: error };
    }
    this.#follow();
    this.render();
  }

  /** Lets the player and the measurements follow the piece that is shown. */
  #follow() {
    const piece = this.piece();
    if (!piece) return;
    const { repeat, program, transpose } = this.state;
    const loop = state.loopFrames(this.state, piece.frames, this.perBar);
    const { frameSeconds } = this;
    this.player.change({ piece, loop, repeat, frameSeconds, program, transpose });
    if (this.can("attributes") && piece !== this.measured) {
      this.measured = piece;
      this.answers.want("attributes", "attributes", { piece }, 250);
    }
  }

  /** Computes something again only if what it depends on is another object. */
  #once(name, causes, compute) {
    this.memo ??= {};
    const known = this.memo[name];
    if (known && known.causes.every((cause, i) => cause === causes[i])) return known.value;
    const value = compute();
    this.memo[name] = { causes, value };
    return value;
  }
}

/** What became of the tempo of a file, in words; none if it is that of the session anyway. */
function tempoWords(tempo, before, now) {
  const own = Math.round(tempo);
  if (own !== now) return `heard at tempo ${now}; at ${own} it is as fast as the file`;
  return before === now ? "" : `the tempo is now ${now}, as fast as the file`;
}
