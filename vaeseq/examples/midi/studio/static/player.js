// The transport: plays a piece in time, and changes over to another piece in the middle of it.

const SOON = 0.12; // seconds that are scheduled ahead
const SOON_IN_BACKGROUND = 1.5; // browsers slow the timers of a page that is not seen
const TICK_MS = 25;
const MOST_VOICES = 64; // an untrained model may strike every key at once

export class Player {
  /** `makeSound()` resolves to a Sound; it is called at the first note. `tell()`: on or off. */
  constructor(makeSound, tell) {
    this.makeSound = makeSound;
    this.tell = tell;
    this.playing = false;
    this.music = null;
    this.marks = []; // {time, frame}: when frames that were scheduled are heard
    this.voices = [];
  }

  /** What to play from now on: {piece, loop: [from, to) in frames, repeat, frameSeconds,
   * transpose, program}. If it plays already, the place in time is kept. */
  change(music) {
    const before = this.music;
    this.music = music;
    if (!this.playing || !this.sound || same(before, music)) return;
    const now = this.sound.context.currentTime;
    const index = this.marks.findLastIndex(({ time }) => time <= now);
    const here = this.marks[index] ?? { time: now, frame: music.loop[0] };
    this.marks = this.marks.slice(0, index + 1);
    const inside = music.loop[0] <= here.frame && here.frame < music.loop[1];
    this.next = {
      time: Math.max(now, here.time + before.frameSeconds),
      frame: inside ? here.frame + 1 : music.loop[0],
    };
    if (index < 0) this.next = { time: now, frame: here.frame };
    const keepsSound = before.program === music.program && before.transpose === music.transpose;
    this.#changeOver(now, inside && index >= 0 ? here.frame : -1, keepsSound);
    this.#schedule();
  }

  /** Starts at a frame, or where the loop does. */
  async play(frame = this.music?.loop[0]) {
    this.stop();
    if (!this.music) return;
    const turn = (this.turn = {});
    this.sound ??= await this.makeSound();
    await this.sound.context.resume();
    if (turn !== this.turn) return; // stopped or started anew while the sound was made
    this.playing = true;
    const [from, to] = this.music.loop;
    const inside = from <= frame && frame < to;
    this.next = { time: this.sound.context.currentTime + 0.05, frame: inside ? frame : from };
    this.timer = setInterval(() => this.#schedule(), TICK_MS);
    this.#schedule();
    this.tell(true);
  }

  stop() {
    this.turn = null;
    clearInterval(this.timer);
    const now = this.sound?.context.currentTime ?? 0;
    for (const voice of this.voices) if (voice.end > now) voice.release(now);
    this.voices = [];
    this.marks = [];
    if (this.playing) {
      this.playing = false;
      this.tell(false);
    }
  }

  /** Lets one pitch be heard for a moment, as when a note is edited. */
  async tap(pitch) {
    this.sound ??= await this.makeSound();
    await this.sound.context.resume();
    this.tapped?.release(this.sound.context.currentTime);
    const now = this.sound.context.currentTime + 0.01;
    this.tapped = this.sound.play(this.music.program, this.#pitch(pitch), now, 0.25);
  }

  /** The place that is heard now, in frames with a fraction, or null. */
  get position() {
    if (!this.playing) return null;
    const { context } = this.sound;
    const now = context.currentTime - (context.outputLatency || 0);
    const here = this.marks.findLast(({ time }) => time <= now) ?? this.marks[0];
    if (!here) return null;
    const into = (now - here.time) / this.music.frameSeconds;
    return here.frame + Math.min(Math.max(into, 0), 1);
  }

  /** Ends or keeps what sounds, and starts what the new piece holds at this frame. */
  #changeOver(now, frame, keepsSound) {
    const { piece, frameSeconds, loop } = this.music;
    const holding = piece.notes.filter(([start, length]) => start <= frame && frame < start + length);
    const kept = new Set();
    this.voices = this.voices.filter((voice) => {
      const note = holding.find(([, , pitch]) => this.#pitch(pitch) === voice.pitch);
      const stays = keepsSound && note && voice.start <= now && now < voice.end;
      if (stays && !kept.has(note)) {
        kept.add(note);
        voice.release(this.next.time + (Math.min(note[0] + note[1], loop[1]) - frame - 1) * frameSeconds);
        return true;
      }
      if (voice.end > now) voice.release(now);
      return false;
    });
    for (const note of holding) {
      const end = Math.min(note[0] + note[1], loop[1]);
      if (!kept.has(note)) this.#strike(note[2], now, (end - frame) * frameSeconds);
    }
  }

  #schedule() {
    const { context } = this.sound;
    const until = context.currentTime + (document.hidden ? SOON_IN_BACKGROUND : SOON);
    const { loop, frameSeconds, repeat, piece } = this.music;
    // After a pause of the whole machine, go on from now instead of catching up.
    if (this.next.time < context.currentTime - 0.5) this.next.time = context.currentTime;
    while (this.next.time < until) {
      if (this.next.frame >= loop[1]) {
        if (!repeat) return this.#stopAfter(this.next.time);
        this.next.frame = loop[0];
      }
      const { time, frame } = this.next;
      this.marks.push({ time, frame });
      for (const [start, length, pitch] of piece.notes) {
        if (start !== frame) continue;
        this.#strike(pitch, time, Math.min(length, loop[1] - frame) * frameSeconds);
      }
      this.next = { time: time + frameSeconds, frame: frame + 1 };
    }
    this.marks = this.marks.slice(-256);
    this.voices = this.voices.filter(({ end }) => end > context.currentTime);
  }

  #stopAfter(time) {
    if (this.sound.context.currentTime >= time) this.stop();
  }

  #strike(pitch, time, seconds) {
    const { program } = this.music;
    if (this.voices.length >= MOST_VOICES) return;
    this.voices.push(this.sound.play(program, this.#pitch(pitch), time, seconds));
  }

  #pitch(pitch) {
    return Math.min(Math.max(pitch + this.music.transpose, 0), 127);
  }
}

const same = (a, b) =>
  a !== null &&
  a.piece === b.piece &&
  ["frameSeconds", "program", "transpose", "repeat"].every((name) => a[name] === b[name]) &&
  a.loop.every((frame, i) => frame === b.loop[i]);
