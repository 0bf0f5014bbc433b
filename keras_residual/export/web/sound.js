import { element, say, showAnswer, start } from "./common.js";
import { AudioClassifier, FilesetResolver } from "./tasks-audio/audio_bundle.mjs";

const EVERY_SECONDS = 0.25;
// Softer than this, nobody speaks.
const SILENCE = 0.01;
const shown = element("shown");
let classifier, model, microphone;

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

function draw(wave) {
  const context = shown.getContext("2d");
  const [width, height] = [shown.width, shown.height];
  context.fillStyle = "#0b6e5f";
  context.clearRect(0, 0, width, height);
  for (let x = 0; x < width; x++) {
    const part = wave.subarray(Math.floor((x * wave.length) / width), Math.floor(((x + 1) * wave.length) / width));
    const reach = Math.max(1, height * part.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
    context.fillRect(x, (height - reach) / 2, 1, reach);
  }
  [shown.hidden, element("hint").hidden] = [false, true];
}

function classify(wave, rate) {
  draw(wave);
  showAnswer(() => classifier.classify(wave, rate)[0].classifications[0].categories);
}

async function classifyFile(blob) {
  stopMicrophone();
  // Browsers know rates from 8 kHz on; MediaPipe resamples to that of the network.
  const rate = Math.max(8000, model.rate);
  const context = new OfflineAudioContext(1, 1, rate);
  // Decoding resamples to the rate of its context.
  const decoded = await context.decodeAudioData(await blob.arrayBuffer());
  const mono = decoded.getChannelData(0).slice();
  for (let channel = 1; channel < decoded.numberOfChannels; channel++) {
    decoded.getChannelData(channel).forEach((value, place) => { mono[place] += value; });
  }
  classify(fitted(mono.map((value) => value / decoded.numberOfChannels), rate), rate);
}

function stopMicrophone() {
  microphone?.stream.getTracks().forEach((track) => track.stop());
  microphone?.context.close();
  microphone = undefined;
  element("microphone").textContent = "Microphone";
}

async function startMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();
  microphone = { stream, context };
  await context.audioWorklet.addModule("recorder.js");
  const [source, recorder] = [context.createMediaStreamSource(stream), new AudioWorkletNode(context, "recorder")];
  source.connect(recorder);
  element("microphone").textContent = "Stop";
  say("Speak.");
  const heard = new Float32Array(Math.round(2 * (model.samples_taken / model.rate) * context.sampleRate));
  let waiting = 0;
  recorder.port.onmessage = ({ data }) => {
    heard.copyWithin(0, data.length);
    heard.set(data, heard.length - data.length);
    waiting += data.length;
    if (!microphone || waiting < EVERY_SECONDS * context.sampleRate) return;
    waiting = 0;
    const wave = fitted(heard, context.sampleRate);
    if (wave.some((value) => Math.abs(value) > SILENCE)) classify(wave, context.sampleRate);
  };
}

async function load(bytes) {
  const files = await FilesetResolver.forAudioTasks("./tasks-audio/wasm");
  classifier = await AudioClassifier.createFromOptions(files, { baseOptions: { modelAssetBuffer: bytes } });
}

function describe(found) {
  model = found;
  return `${(model.samples_taken / model.rate).toPrecision(2)} s at ${model.rate} Hz`;
}

const press = async () => (microphone ? stopMicrophone() : startMicrophone());
start({ describe, inputs: "recordings", load, classifyFile, button: "microphone", press, parameter: "sound" });
