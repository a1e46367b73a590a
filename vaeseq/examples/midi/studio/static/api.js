// Requests to the studio's server: with the token, abortable, patient with a busy model, and waiting
// for a server that is gone.

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
  /** `tell(state)` gets "here", "busy" or "gone" whenever that changes. */
  constructor(token, tell) {
    this.token = token;
    this.tell = tell;
    this.state = "here";
    this.waiting = null; // a promise for the return of the server
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

  async #send(name, body, type, signal, more = {}) {
    const headers = { "X-Token": this.token, "Content-Type": type, ...more };
    for (let tries = 0; ; ) {
      let answer;
      try {
        answer = await fetch(`/api/${name}`, { method: "POST", headers, body, signal });
      } catch (error) {
        if (error.name === "AbortError") throw error;
        await this.#back(signal); // no answer at all: the server is gone
        continue;
      }
      if (answer.status === 503 && ++tries < BUSY_TRIES) {
        this.#now("busy");
        const seconds = Number(answer.headers.get("Retry-After")) || 1;
        await sleep(1000 * Math.min(seconds, 5), signal);
        continue;
      }
      this.#now("here");
      if (!answer.ok) throw new Refusal(await words(answer), answer.status);
      return answer;
    }
  }

  /** Waits until the server answers again; all requests wait for the same look-out. */
  async #back(signal) {
    this.#now("gone");
    this.waiting ??= this.#lookOut().finally(() => (this.waiting = null));
    await Promise.race([this.waiting, aborted(signal)]);
  }

  async #lookOut() {
    for (;;) {
      await sleep(POLL_MS);
      try {
        await fetch("/static/style.css", { cache: "no-store" });
        return this.#now("here");
      } catch {
        // still gone
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
