// Requests to the studio's server: with the token, abortable, patient with a busy model, and waiting
// for a server that is gone, or was started again and has another token.

const BUSY_TRIES = 60;
const POLL_MS = 1500;

/** What the server refused, in its words. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export class Api {
  /** `tell(state)` gets "here", "busy", "gone" or "stale" (the token is not that of the server)
   * whenever that changes. `returned(info)` is called, and waited for, when a server answers again
   * that was away, or another one in its place; requests that wait go on after it. */
  constructor(token, tell, returned = () => {}) {
    this.token = token;
    this.tell = tell;
    this.returned = returned;
    this.state = "here";
    this.waiting = null; // a promise for the return of the server
    this.wake = () => {}; // ends a pause of the look-out
  }

  get isThere() {
    return this.state === "here" || this.state === "busy";
  }

  /** Answers JSON to JSON. Rejects with a Refusal, or an AbortError. */
  async ask(name, body, signal) {
    const answer = await this.#send(name, JSON.stringify(body), "application/json", signal);
    return answer.json();
  }

  /** Reads a file of a person: {piece, tempo, message}. */
  async upload(file, signal) {
    const headers = { "X-Name": encodeURIComponent(file.name) };
    const type = "application/octet-stream";
    return (await this.#send("upload", file, type, signal, headers)).json();
  }

  /** Makes a file: {blob, name}. */
  async download(body, signal) {
    const answer = await this.#send("download", JSON.stringify(body), "application/json", signal);
    const disposition = answer.headers.get("Content-Disposition") ?? "";
    const name = /filename="?([^";]+)"?/.exec(disposition)?.[1] ?? `vaeseq.${body.kind}`;
    return { blob: await answer.blob(), name };
  }

  /** Takes another token, and looks whether the server knows it. */
  renew(token) {
    if (!token || token === this.token) return;
    this.token = token;
    this.waiting ??= this.#lookOut();
    this.wake();
  }

  async #send(name, body, type, signal, more = {}) {
    for (let tries = 0; ; ) {
      let answer;
      try {
        answer = await this.#fetch(name, body, { "Content-Type": type, ...more }, signal);
      } catch (error) {
        if (error.name === "AbortError") throw error;
        await this.#away("gone", signal); // no answer at all
        continue;
      }
      if (answer.status === 403) {
        await this.#away("stale", signal);
        continue;
      }
      if (answer.status === 503 && ++tries < BUSY_TRIES) {
        this.#now("busy");
        const seconds = Number(answer.headers.get("Retry-After")) || 1;
        await sleep(1000 * Math.min(seconds, 5), signal);
        continue;
      }
      if (!this.waiting) this.#now("here");
      if (!answer.ok) throw new Refusal(await words(answer), answer.status);
      return answer;
    }
  }

  #fetch(name, body, headers, signal) {
    const all = { "X-Token": this.token, ...headers };
    return fetch(`/api/${name}`, { method: "POST", headers: all, body, signal });
  }

  /** Waits until the server answers again; all requests wait for the same look-out. */
  async #away(state, signal) {
    if (!this.waiting) this.#now(state);
    this.waiting ??= this.#lookOut();
    await Promise.race([this.waiting, aborted(signal)]);
  }

  async #lookOut() {
    for (let tried = null; ; ) {
      // A server that is gone may come back at any time; one with another token needs a person.
      const woken = new Promise((done) => (this.wake = done));
      if (this.state === "gone") await Promise.race([sleep(POLL_MS), woken]);
      else if (this.state === "stale" && tried === this.token) await woken;
      tried = this.token;
      try {
        const answer = await this.#fetch("info", "{}", { "Content-Type": "application/json" });
        if (answer.ok) {
          await this.returned(await answer.json());
          this.waiting = null;
          return this.#now("here");
        }
        this.#now(answer.status === 403 ? "stale" : "gone");
      } catch {
        this.#now("gone");
      }
    }
  }

  #now(state) {
    if (state !== this.state) this.tell((this.state = state));
  }
}

async function words(answer) {
  try {
    return (await answer.json()).error;
  } catch {
    return `The server answered with status ${answer.status}.`;
  }
}

const sleep = (ms, signal) =>
  Promise.race([new Promise((done) => setTimeout(done, ms)), aborted(signal)]);

const aborted = (signal) =>
  new Promise((_, refuse) => {
    const abort = () => refuse(new DOMException("No longer wanted.", "AbortError"));
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
