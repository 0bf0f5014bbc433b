// What the pages for sound share: recordings, the microphone, and the picture of a wave.
import { element, say } from "./common.js";

const shown = element("shown");

/** Returns the samples of a recording at a rate, as the mean of its channels. */
export async function decoded(blob, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  // Decoding resamples to the rate of its context.
  const found = await context.decodeAudioData(await blob.arrayBuffer());
  const mono = found.getChannelData(0).slice();
  for (let channel = 1; channel < found.numberOfChannels; channel++) {
    found.getChannelData(channel).forEach((value, place) => { mono[place] += value; });
  }
  return mono.map((value) => value / found.numberOfChannels);
}

/** Returns samples at another rate, by way of a WAV file: only decoding filters what is too high. */
export async function resampled(wave, from, to) {
  if (from === to) return wave;
  const header = new DataView(new ArrayBuffer(44));
  const text = (place, letters) => [...letters].forEach((letter, i) => header.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 4 * wave.length, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 3, true); // floats
  header.setUint16(22, 1, true);
  header.setUint32(24, from, true);
  header.setUint32(28, 4 * from, true);
  header.setUint16(32, 4, true);
  header.setUint16(34, 32, true);
  text(36, "data");
  header.setUint32(40, 4 * wave.length, true);
  return decoded(new Blob([header, wave]), to);
}

/** Draws a wave over the width of the canvas, made `scale` times as loud, and returns its context. */
export function draw(wave, scale = 1) {
  const context = shown.getContext("2d");
  const [width, height] = [shown.width, shown.height];
  context.fillStyle = "#0b6e5f";
  context.clearRect(0, 0, width, height);
  for (let x = 0; x < width; x++) {
    const part = wave.subarray(Math.floor((x * wave.length) / width), Math.floor(((x + 1) * wave.length) / width));
    const reach = Math.max(1, scale * height * part.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    context.fillRect(x, (height - reach) / 2, 1, reach);
  }
  [shown.hidden, element("hint").hidden] = [false, true];
  return context;
}

/** The microphone behind its button: `heard` gets blocks of samples and their rate. */
export class Microphone {
  constructor(heard) {
    this.heard = heard;
  }

  get isOn() {
    return this.stream !== undefined;
  }

  async start() {
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("recorder.js");
    const recorder = new AudioWorkletNode(this.context, "recorder");
    this.context.createMediaStreamSource(this.stream).connect(recorder);
    element("microphone").textContent = "Stop";
    say("Speak.");
    recorder.port.onmessage = ({ data }) => {
      if (this.isOn) this.heard(data, this.context.sampleRate);
    };
  }

  stop() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.stream = this.context = undefined;
    element("microphone").textContent = "Microphone";
  }
}
