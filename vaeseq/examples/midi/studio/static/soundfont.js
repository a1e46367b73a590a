// Reads the instruments of a SoundFont 2 file (SoundFont Technical Specification 2.04, E-mu 1998):
// samples, loops, tuning, volume envelope, filter, pan and attenuation. Modulators and low-frequency
// oscillators are ignored.

// Generators, by their number in the file.
const START = 0, END = 1, LOOP_START = 2, LOOP_END = 3, START_COARSE = 4, END_COARSE = 12;
const FILTER = 8, FILTER_Q = 9, PAN = 17;
const ATTACK = 34, HOLD = 35, DECAY = 36, SUSTAIN = 37, RELEASE = 38;
const INSTRUMENT = 41, KEYS = 43, VELOCITIES = 44, LOOP_START_COARSE = 45, ATTENUATION = 48;
const LOOP_END_COARSE = 50, COARSE_TUNE = 51, FINE_TUNE = 52, SAMPLE = 53, MODE = 54;
const SCALE = 56, ROOT = 58;

const DEFAULTS = new Map([
  [FILTER, 13500], [ATTACK, -12000], [HOLD, -12000], [DECAY, -12000], [RELEASE, -12000],
  [SCALE, 100], [ROOT, -1],
]);
// What an instrument says of these is final; all else that a preset says is added to it.
const NOT_ADDED = new Set([KEYS, VELOCITIES, MODE, ROOT, SAMPLE, INSTRUMENT]);

export class SoundFont {
  /** Takes the bytes of a file. Throws an Error if they are no SoundFont. */
  constructor(buffer) {
    const view = new DataView(buffer);
    this.chunks = chunks(view);
    for (const name of ["smpl", "phdr", "pbag", "pgen", "inst", "ibag", "igen", "shdr"]) {
      if (!this.chunks[name]) throw new Error(`The SoundFont has no chunk ${name}.`);
    }
    this.samples = new Int16Array(buffer, ...this.#sampleWords());
    this.programs = new Map();
  }

  /** Returns what sounds if a melodic program plays a key: regions, usually one or two. */
  regions(program, key, velocity = 100) {
    if (!this.programs.has(program)) this.programs.set(program, this.#zones(program));
    return this.programs
      .get(program)
      .filter(({ keys, velocities }) => holds(keys, key) && holds(velocities, velocity))
      .map((zone) => this.#region(zone.generators, key));
  }

  #sampleWords() {
    const { at, size } = this.chunks.smpl;
    return [at, Math.floor(size / 2)];
  }

  #zones(program) {
    const presets = this.#table("phdr", 38, (v, at) => ({
      program: v.getUint16(at + 20, true),
      bank: v.getUint16(at + 22, true),
      bag: v.getUint16(at + 24, true),
    }));
    const index = presets.findIndex((x) => x.bank === 0 && x.program === program);
    if (index < 0 || index + 1 >= presets.length) return [];
    const [first, last] = [presets[index].bag, presets[index + 1].bag];
    const found = [];
    for (const preset of this.#bags("pbag", "pgen", first, last, INSTRUMENT)) {
      for (const own of this.#instrument(preset.get(INSTRUMENT))) {
        found.push({
          keys: overlap(preset.get(KEYS), own.get(KEYS)),
          velocities: overlap(preset.get(VELOCITIES), own.get(VELOCITIES)),
          generators: sum(own, preset),
        });
      }
    }
    return found;
  }

  #instrument(index) {
    const bags = this.#table("inst", 22, (v, at) => v.getUint16(at + 20, true));
    return this.#bags("ibag", "igen", bags[index], bags[index + 1], SAMPLE);
  }

  /** The zones of a preset or instrument; the first, if it ends in nothing, holds for all. */
  #bags(bag, gen, first, last, ending) {
    const starts = this.#table(bag, 4, (v, at) => v.getUint16(at, true));
    let shared = new Map();
    const zones = [];
    for (let index = first; index < last; index++) {
      const own = this.#generators(gen, starts[index], starts[index + 1]);
      if (own.has(ending)) zones.push(new Map([...shared, ...own]));
      else if (index === first) shared = own;
    }
    return zones;
  }

  #generators(chunk, first, last) {
    const { at, view } = this.chunks[chunk];
    const read = new Map();
    for (let index = first; index < last; index++) {
      const operator = view.getUint16(at + 4 * index, true);
      const isRange = operator === KEYS || operator === VELOCITIES;
      const amount = at + 4 * index + 2;
      read.set(
        operator,
        isRange ? [view.getUint8(amount), view.getUint8(amount + 1)] : view.getInt16(amount, true),
      );
    }
    return read;
  }

  #table(chunk, width, read) {
    const { at, size, view } = this.chunks[chunk];
    return Array.from({ length: Math.floor(size / width) }, (_, i) => read(view, at + width * i));
  }

  /** What a sampler needs to know: places in samples, times in seconds, gains as factors. */
  #region(generators, key) {
    const get = (generator) => generators.get(generator) ?? DEFAULTS.get(generator) ?? 0;
    const { view, at } = this.chunks.shdr;
    const header = at + 46 * get(SAMPLE);
    const word = (offset) => view.getUint32(header + offset, true);
    const root = get(ROOT) >= 0 ? get(ROOT) : view.getUint8(header + 40);
    const correction = view.getInt8(header + 41);
    const cents = (key - root) * get(SCALE) + 100 * get(COARSE_TUNE) + get(FINE_TUNE) + correction;
    const start = word(20) + get(START) + 32768 * get(START_COARSE);
    return {
      id: `${get(SAMPLE)} ${start}`,
      start,
      end: word(24) + get(END) + 32768 * get(END_COARSE),
      loop: [1, 3].includes(get(MODE)),
      loopStart: word(28) + get(LOOP_START) + 32768 * get(LOOP_START_COARSE) - start,
      loopEnd: word(32) + get(LOOP_END) + 32768 * get(LOOP_END_COARSE) - start,
      sampleRate: word(36),
      rate: 2 ** (cents / 1200),
      gain: 10 ** ((-0.4 * get(ATTENUATION)) / 200), // 0.4: as the E-mu hardware, and FluidSynth
      pan: get(PAN) / 500,
      attack: seconds(get(ATTACK)),
      hold: seconds(get(HOLD)),
      decay: seconds(get(DECAY)), // by 100 dB
      sustain: 10 ** (-Math.min(Math.max(get(SUSTAIN), 0), 1000) / 200),
      release: seconds(get(RELEASE)), // by 100 dB
      cutoff: 8.176 * 2 ** (get(FILTER) / 1200),
      resonance: get(FILTER_Q) / 10,
    };
  }
}

function chunks(view) {
  const found = {};
  const walk = (at, end) => {
    while (at + 8 <= end) {
      const name = String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
      const size = view.getUint32(at + 4, true);
      if (name === "RIFF" || name === "LIST") walk(at + 12, Math.min(at + 8 + size, end));
      else found[name] = { at: at + 8, size, view };
      at += 8 + size + (size % 2);
    }
  };
  walk(0, view.byteLength);
  return found;
}

const EVERY = [0, 127];
const holds = ([low, high], value) => low <= value && value <= high;
const overlap = (a = EVERY, b = EVERY) => [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
const seconds = (timecents) => 2 ** (Math.min(timecents, 8000) / 1200);

function sum(own, preset) {
  const result = new Map(own);
  for (const [generator, amount] of preset) {
    if (NOT_ADDED.has(generator)) continue;
    const base = own.get(generator) ?? DEFAULTS.get(generator) ?? 0;
    result.set(generator, base + amount);
  }
  return result;
}
