// Answers of the model, kept by their requests. Since an answer is a function of its request, undo
// and redo need no second request, and a drag over the pad needs none at all.

const MOST = 60;

export class Answers {
  /** `changed()` is called when a lane has a new answer, or has begun or ended to wait. */
  constructor(api, changed) {
    this.api = api;
    this.changed = changed;
    this.kept = new Map(); // by request, the least recently used first
    this.lanes = new Map();
  }

  /** Makes this the request that a lane wants. The one before is aborted if it is another.
   *
   * A lane shows its latest answer until the next has come. `delay` in milliseconds lets a control
   * that is still moving change its mind.
   */
  want(name, request, body, delay = 0) {
    const key = `${request} ${JSON.stringify(body)}`;
    const lane = this.lane(name);
    if (lane.key === key) return;
    lane.controller?.abort();
    const known = this.kept.get(key);
    if (known) {
      this.#keep(key, known);
      this.#set(name, { key, answer: known, waiting: false, error: null, controller: null });
      return;
    }
    const controller = new AbortController();
    this.#set(name, { ...lane, key, waiting: true, error: null, controller });
    this.#fetch(name, key, request, body, delay, controller.signal);
  }

  lane(name) {
    return this.lanes.get(name) ?? { key: null, answer: null, waiting: false, error: null };
  }

  async #fetch(name, key, request, body, delay, signal) {
    try {
      if (delay) await new Promise((done) => setTimeout(done, delay));
      if (signal.aborted) return;
      const answer = await this.api.ask(request, body, signal);
      this.#keep(key, answer);
      this.#set(name, { key, answer, waiting: false, error: null, controller: null });
    } catch (error) {
      if (signal.aborted) return;
      const failed = { waiting: false, error: error.message, controller: null };
      this.#set(name, { ...this.lane(name), ...failed });
    }
  }

  #keep(key, answer) {
    this.kept.delete(key);
    this.kept.set(key, answer);
    if (this.kept.size > MOST) this.kept.delete(this.kept.keys().next().value);
  }

  #set(name, lane) {
    this.lanes.set(name, lane);
    this.changed(name);
  }
}
