import { Tensor, loadAndCompile, loadLiteRt } from "@litertjs/core";
import { element, reported, say, start } from "./common.js";
import { Microphone, decoded, draw, resampled } from "./microphone.js";

const EVERY_SECONDS = 0.5;
// What is kept of a longer talk.
const MOST_SECONDS = 60;
// A tagger's shorter runs of a label are no segment.
const SHORTEST_SECONDS = 0.1;
// Names of a tagger's label for steps where there is nothing.
const NOTHING = ["", "silence", "background", "blank"];
let network, model, heard, waiting, isBusy;

/** Returns where to cut a recording: at most as long as the network's input, at quiet places. */
function* pieces(wave) {
  const [most, near] = [model.samples_taken, Math.round(model.rate / 40)];
  let from = 0;
  while (wave.length - from > most) {
    let [best, cut, energy] = [Infinity, from + most, 0];
    for (let place = from + Math.floor(most / 2); place < from + most; place++) {
      energy += wave[place] ** 2 - (place - near < from + most / 2 ? 0 : wave[place - near] ** 2);
      const isWhole = place - from - most / 2 >= near;
      if (isWhole && energy < best) [best, cut] = [energy, place - Math.floor(near / 2)];
    }
    yield [from, cut];
    from = cut;
  }
  yield [from, wave.length];
}

/** Returns the most probable unit of each step of a piece, the number of units, and the seconds of a step. */
async function path(piece) {
  const samples = new Float32Array(model.samples_taken);
  samples.set(piece);
  const input = new Tensor(samples, [1, model.samples_taken]);
  const [output] = await network.run([input]);
  const [values, [, steps, units]] = [output.toTypedArray().slice(), [...output.type.layout.dimensions]];
  [input, output].forEach((tensor) => tensor.delete());
  const perStep = model.samples_taken / steps;
  const valid = Math.min(steps, Math.ceil(piece.length / perStep));
  const found = Array.from({ length: valid }, (_, step) => {
    const scores = values.subarray(step * units, (step + 1) * units);
    return scores.indexOf(scores.reduce((most, score) => Math.max(most, score), -Infinity));
  });
  return { found, units, seconds: perStep / model.rate };
}

/** Returns the labels on a path, with the seconds where each begins and ends. */
function labelled({ found, units, seconds }, offset) {
  const labels = [];
  for (let begin = 0, end; begin < found.length; begin = end) {
    for (end = begin + 1; found[end] === found[begin]; end++);
    const name = model.labels?.[found[begin]] ?? `${found[begin]}`;
    const isLabel = model.has_blank ? found[begin] !== units - 1
      : !NOTHING.includes(name.toLowerCase()) && (end - begin) * seconds >= SHORTEST_SECONDS;
    if (isLabel) labels.push({ name, begin: offset + begin * seconds, end: offset + end * seconds });
  }
  return labels;
}

function show(wave, labels) {
  const loudest = wave.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
  const context = draw(wave, 0.7 / loudest);
  const [width, height, all] = [context.canvas.width, context.canvas.height, wave.length / model.rate];
  context.font = "600 44px system-ui, sans-serif";
  context.textAlign = "center";
  for (const { name, begin, end } of labels) {
    const [from, to] = [(begin / all) * width, (end / all) * width];
    context.fillStyle = "#e08a0033";
    context.fillRect(from, 0, Math.max(2, to - from), height);
    context.fillStyle = "#e08a00";
    context.fillText(name, (from + to) / 2, 42);
  }
  const names = labels.map(({ name }) => name);
  element("transcript").textContent = names.join(names.every((name) => name.length === 1) && model.has_blank ? "" : " ");
}

async function transcribe(wave) {
  const started = performance.now();
  const labels = [];
  for (const [from, to] of pieces(wave)) {
    labels.push(...labelled(await path(wave.subarray(from, to)), from / model.rate));
  }
  const spent = performance.now() - started;
  show(wave, labels);
  say(`${spent.toFixed(1)} ms for ${(wave.length / model.rate).toFixed(1)} s`);
}

async function classifyFile(blob) {
  microphone.stop();
  await transcribe(await decoded(blob, model.rate));
}

/** Returns the last samples of what was heard, at the network's rate. */
async function recent(seconds) {
  const { rate, blocks } = heard;
  const all = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
  blocks.reduce((place, block) => (all.set(block, place), place + block.length), 0);
  return resampled(all.subarray(Math.max(0, all.length - Math.floor(seconds * rate))), rate, model.rate);
}

const listen = reported(async () => {
  isBusy = true;
  try {
    await transcribe(await recent(model.samples_taken / model.rate));
  } finally {
    isBusy = false;
  }
});

const microphone = new Microphone((samples, rate) => {
  heard ??= { rate, blocks: [], count: 0 };
  heard.blocks.push(samples);
  heard.count += samples.length;
  while (heard.count - heard.blocks[0].length > MOST_SECONDS * rate) heard.count -= heard.blocks.shift().length;
  waiting += samples.length;
  if (isBusy || waiting < EVERY_SECONDS * rate) return;
  waiting = 0;
  listen();
});

async function press() {
  if (!microphone.isOn) {
    [heard, waiting] = [undefined, 0];
    return microphone.start();
  }
  microphone.stop();
  while (isBusy) await new Promise((done) => setTimeout(done, 20));
  // What was shown so far is the end of what was said.
  if (heard) await transcribe(await recent(MOST_SECONDS));
}

async function load(bytes) {
  if (model.rate < 8000) throw new Error(`Browsers record at 8000 Hz or more; the network takes ${model.rate}.`);
  await loadLiteRt("./core/wasm/");
  network = await loadAndCompile(bytes, { accelerator: "wasm" });
}

function describe(found) {
  model = found;
  return `${(model.samples_taken / model.rate).toPrecision(2)} s at ${model.rate} Hz`;
}

start({ describe, inputs: "recordings", load, classifyFile, button: "microphone", press, parameter: "sound" });
