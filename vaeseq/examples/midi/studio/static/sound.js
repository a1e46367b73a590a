// Notes that sound: samples of a SoundFont with their envelopes, in a small room. Without a
// SoundFont, two oscillators. Works in any audio context, also one that renders into memory.

const QUIET = 1e-4; // -80 dB
const LEVEL = 0.8;
const LOUDNESS = 0.12; // root mean square of one note: instruments are about equally loud

export class Sound {
  /** `font` is a SoundFont, or null. */
  constructor(context, font = null, volume = 1) {
    this.context = context;
    this.font = font;
    this.buffers = new Map();
    this.factors = new Map();
    this.out = context.createGain();
    this.out.gain.value = volume * LEVEL;
    const limiter = new DynamicsCompressorNode(context, {
      threshold: -9, knee: 6, ratio: 8, attack: 0.003, release: 0.2,
    });
    const wet = new GainNode(context, { gain: 0.16 });
    const room = new ConvolverNode(context, { buffer: roomResponse(context) });
    this.out.connect(limiter);
    this.out.connect(wet).connect(room).connect(limiter);
    limiter.connect(context.destination);
  }

  set volume(value) {
    this.out.gain.setTargetAtTime(value * LEVEL, this.context.currentTime, 0.02);
  }

  /** Plays a note at a time of the context; returns its voice, which can end earlier or later. */
  play(program, pitch, time, seconds) {
    const regions = this.font?.regions(program, pitch) ?? [];
    const parts = regions.length
      ? regions.map((region) => this.#sampled(region, time, this.#factor(program)))
      : [this.#oscillators(pitch, time)];
    return new Voice(pitch, parts, time, time + seconds);
  }

  /** What makes a program as loud as others, by a note in the middle of the keyboard. */
  #factor(program) {
    if (!this.factors.has(program)) {
      const power = this.font.regions(program, 64).reduce((total, region) => {
        const data = this.#buffer(region).getChannelData(0).subarray(0, 0.4 * region.sampleRate);
        const mean = data.reduce((sum, value) => sum + value ** 2, 0) / data.length;
        return total + mean * region.gain ** 2;
      }, 0);
      const factor = power > 0 ? LOUDNESS / Math.sqrt(power) : 1;
      this.factors.set(program, Math.min(Math.max(factor, 0.4), 3));
    }
    return this.factors.get(program);
  }

  #sampled(given, time, factor) {
    const { context } = this;
    const region = { ...given, gain: given.gain * factor };
    const source = new AudioBufferSourceNode(context, {
      buffer: this.#buffer(region),
      playbackRate: region.rate,
      loop: region.loop && region.loopEnd > region.loopStart,
      loopStart: region.loopStart / region.sampleRate,
      loopEnd: region.loopEnd / region.sampleRate,
    });
    const end = new GainNode(context);
    let last = source;
    if (region.cutoff < 0.45 * context.sampleRate) {
      last = last.connect(
        new BiquadFilterNode(context, { frequency: region.cutoff, Q: region.resonance }),
      );
    }
    last.connect(envelope(context, region, time)).connect(end);
    const panned = region.pan ? end.connect(new StereoPannerNode(context, region)) : end;
    panned.connect(this.out);
    source.start(time);
    return { sources: [source], end, release: region.release };
  }

  #buffer({ id, start, end, sampleRate }) {
    if (!this.buffers.has(id)) {
      const words = this.font.samples.subarray(start, Math.max(end, start + 1));
      const buffer = this.context.createBuffer(1, words.length, sampleRate);
      buffer.copyToChannel(Float32Array.from(words, (x) => x / 32768), 0);
      this.buffers.set(id, buffer);
    }
    return this.buffers.get(id);
  }

  #oscillators(pitch, time) {
    const { context } = this;
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const shape = { gain: 0.35, attack: 0.008, hold: 0, decay: 3, sustain: 0.25 };
    const end = new GainNode(context);
    const filter = new BiquadFilterNode(context, { frequency: Math.min(5 * frequency, 12000) });
    const sources = [["triangle", 1], ["sine", 2]].map(([type, ratio]) => {
      const most = 0.45 * context.sampleRate;
      const source = new OscillatorNode(context, { type, frequency: Math.min(ratio * frequency, most) });
      source.connect(new GainNode(context, { gain: 1 / ratio ** 2 })).connect(filter);
      source.start(time);
      return source;
    });
    filter.connect(envelope(context, shape, time)).connect(end).connect(this.out);
    return { sources, end, release: 1 };
  }
}

/** A note that sounds, or will. */
class Voice {
  constructor(pitch, parts, start, end) {
    this.pitch = pitch;
    this.parts = parts;
    this.start = start;
    this.release(end);
  }

  /** Ends the note at a time; a time before it starts means that it is never heard. */
  release(time) {
    this.end = time;
    for (const { sources, end, release } of this.parts) {
      // A release of 100 dB in `release` seconds; at least 15 ms, so that nothing clicks.
      const constant = Math.max(release / 11.5, 0.015);
      end.gain.cancelScheduledValues(0);
      end.gain.setValueAtTime(1, 0);
      if (time <= this.start) end.gain.setValueAtTime(0, 0);
      else end.gain.setTargetAtTime(0, time, constant);
      for (const source of sources) source.stop(Math.max(time, this.start) + 9 * constant);
    }
  }
}

function envelope(context, { gain, attack, hold, decay, sustain }, time) {
  const node = new GainNode(context, { gain: 0 });
  const peak = time + Math.max(attack, 0.001);
  const level = Math.max(gain * sustain, QUIET * gain);
  node.gain.setValueAtTime(0, time);
  node.gain.linearRampToValueAtTime(gain, peak);
  node.gain.setValueAtTime(gain, peak + hold);
  // `decay` is the time for 100 dB, and decibels fall evenly: less until a higher level.
  const fall = (decay * -20 * Math.log10(level / gain)) / 100;
  node.gain.exponentialRampToValueAtTime(level, peak + hold + Math.max(fall, 0.001));
  return node;
}

/** A small room: noise that dies away within a second, the same at every start. */
function roomResponse(context) {
  const length = Math.round(1.1 * context.sampleRate);
  const buffer = context.createBuffer(2, length, context.sampleRate);
  let seed = 12345;
  for (const channel of [0, 1]) {
    const data = buffer.getChannelData(channel);
    for (let i = 0; i < length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      data[i] = (seed / 2 ** 31 - 1) * (1 - i / length) ** 3;
    }
  }
  return buffer;
}
