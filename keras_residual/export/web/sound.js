import { AudioClassifier, FilesetResolver } from "./tasks-audio/audio_bundle.mjs";

const TOP = 5;
const EVERY_SECONDS = 0.25;
// Softer than this, nobody speaks.
const SILENCE = 0.01;
const element = (id) => document.getElementById(id);
const [shown, status, list] = ["shown", "status", "labels"].map(element);
let classifier, model, microphone;

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

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
  const started = performance.now();
  const found = classifier.classify(wave, rate)[0].classifications[0].categories;
  const spent = performance.now() - started;
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, TOP);
  list.replaceChildren(...best.map((category) => {
    const item = document.createElement("li");
    const [label, share] = [document.createElement("span"), document.createElement("span")];
    label.textContent = category.categoryName || `class ${category.index}`;
    share.textContent = `${(100 * category.score).toFixed(1)} %`;
    item.style.setProperty("--share", `${Math.max(0, Math.min(1, category.score)) * 100}%`);
    item.append(label, share);
    return item;
  }));
  say(`${spent.toFixed(1)} ms`);
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

const reported = (work) => async (...args) => {
  try {
    await work(...args);
  } catch (error) {
    say(`${error.message ?? error}`, true);
  }
};

async function start() {
  model = await (await fetch("model.json")).json();
  document.title = element("name").textContent = model.name;
  const seconds = (model.samples_taken / model.rate).toPrecision(2);
  element("facts").textContent = [`${seconds} s at ${model.rate} Hz`, size(model.bytes),
    ...(model.accuracy ? [`${(100 * model.accuracy).toFixed(1)} % of ${model.samples} test recordings`] : [])].join(" · ");
  const files = await FilesetResolver.forAudioTasks("./tasks-audio/wasm");
  const bytes = new Uint8Array(await (await fetch(model.file)).arrayBuffer());
  classifier = await AudioClassifier.createFromOptions(files, { baseOptions: { modelAssetBuffer: bytes } });
  say("Ready.");
  element("file").addEventListener("change", reported(async (event) => {
    if (event.target.files[0]) await classifyFile(event.target.files[0]);
  }));
  element("microphone").addEventListener("click", reported(async () => (microphone ? stopMicrophone() : startMicrophone())));
  const asked = new URLSearchParams(location.search).get("sound");
  if (asked) await classifyFile(await (await fetch(asked)).blob());
  document.body.dataset.ready = "yes";
}

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("worker.js").then(() => navigator.serviceWorker.ready).then(() => {
    document.body.dataset.offline = "yes";
  }).catch(() => {});
}
reported(start)();
