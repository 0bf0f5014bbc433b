import { showAnswer, start } from "./common.js";
import { Microphone, decoded, draw } from "./microphone.js";
import { AudioClassifier, FilesetResolver } from "./tasks-audio/audio_bundle.mjs";

const EVERY_SECONDS = 0.25;
// Softer than this, nobody speaks.
const SILENCE = 0.01;
let classifier, model, heard, waiting;

/** Returns the loudest stretch of the network's length, with silence around a short recording. */
function fitted(samples, rate) {
  const length = Math.round((model.samples_taken / model.rate) * rate);
  if (samples.length <= length) {
    const wave = new Float32Array(length);
    wave.set(samples, Math.floor((length - samples.length) / 2));
    return wave;
  }
  let [energy, best, start] = [0, 0, 0];
  for (let place = 0; place < samples.length; place++) {
    energy += samples[place] ** 2 - (place < length ? 0 : samples[place - length] ** 2);
    if (place >= length - 1 && energy > best) [best, start] = [energy, place - length + 1];
  }
  return samples.slice(start, start + length);
}

function classify(wave, rate) {
  draw(wave);
  showAnswer(() => classifier.classify(wave, rate)[0].classifications[0].categories);
}

async function classifyFile(blob) {
  microphone.stop();
  // Browsers know rates from 8 kHz on; MediaPipe resamples to that of the network.
  const rate = Math.max(8000, model.rate);
  classify(fitted(await decoded(blob, rate), rate), rate);
}

const microphone = new Microphone((samples, rate) => {
  heard ??= new Float32Array(Math.round(2 * (model.samples_taken / model.rate) * rate));
  heard.copyWithin(0, samples.length);
  heard.set(samples, heard.length - samples.length);
  waiting += samples.length;
  if (waiting < EVERY_SECONDS * rate) return;
  waiting = 0;
  const wave = fitted(heard, rate);
  if (wave.some((value) => Math.abs(value) > SILENCE)) classify(wave, rate);
});

async function load(bytes) {
  const files = await FilesetResolver.forAudioTasks("./tasks-audio/wasm");
  classifier = await AudioClassifier.createFromOptions(files, { baseOptions: { modelAssetBuffer: bytes } });
}

function describe(found) {
  model = found;
  return `${(model.samples_taken / model.rate).toPrecision(2)} s at ${model.rate} Hz`;
}

async function press() {
  if (microphone.isOn) return microphone.stop();
  [heard, waiting] = [undefined, 0];
  await microphone.start();
}

start({ describe, inputs: "recordings", load, classifyFile, button: "microphone", press, parameter: "sound" });
