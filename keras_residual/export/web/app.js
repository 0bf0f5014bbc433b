import { FilesetResolver, ImageClassifier } from "./tasks-vision/vision_bundle.mjs";

const TOP = 5;
const element = (id) => document.getElementById(id);
const [video, shown, status, list] = ["video", "shown", "status", "labels"].map(element);
let classifier, model, stream;

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Draws a picture at the network's size, stretched or cropped as its accuracy was measured. */
function fitted(source, width, height) {
  const canvas = new OffscreenCanvas(model.width, model.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  let [w, h] = [width, height];
  if (model.fit === "crop") {
    const scale = model.crop * Math.min(width / model.width, height / model.height);
    [w, h] = [model.width * scale, model.height * scale];
  }
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h, 0, 0, model.width, model.height);
  return canvas;
}

function classify(source, width, height) {
  const picture = fitted(source, width, height);
  const started = performance.now();
  const found = classifier.classify(picture).classifications[0].categories;
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

function show(source, width, height) {
  shown.width = width;
  shown.height = height;
  shown.getContext("2d").drawImage(source, 0, 0, width, height);
  [shown.hidden, video.hidden, element("hint").hidden] = [false, true, true];
}

async function classifyFile(blob) {
  stopCamera();
  const picture = await createImageBitmap(blob, { imageOrientation: "from-image" });
  show(picture, picture.width, picture.height);
  classify(picture, picture.width, picture.height);
}

function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  element("camera").textContent = "Camera";
}

async function startCamera() {
  stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  video.srcObject = stream;
  await video.play();
  [shown.hidden, video.hidden, element("hint").hidden] = [true, false, true];
  element("camera").textContent = "Stop";
  const step = () => {
    if (!stream) return;
    if (video.videoWidth) classify(video, video.videoWidth, video.videoHeight);
    setTimeout(() => requestAnimationFrame(step), 100);
  };
  step();
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
  element("facts").textContent = [`${model.width} × ${model.height} pixels`, size(model.bytes),
    ...(model.accuracy ? [`${(100 * model.accuracy).toFixed(1)} % of ${model.samples} test images`] : [])].join(" · ");
  const files = await FilesetResolver.forVisionTasks("./tasks-vision/wasm");
  const bytes = new Uint8Array(await (await fetch(model.file)).arrayBuffer());
  classifier = await ImageClassifier.createFromOptions(files, { baseOptions: { modelAssetBuffer: bytes } });
  say("Ready.");
  element("file").addEventListener("change", reported(async (event) => {
    if (event.target.files[0]) await classifyFile(event.target.files[0]);
  }));
  element("camera").addEventListener("click", reported(async () => (stream ? stopCamera() : startCamera())));
  const asked = new URLSearchParams(location.search).get("picture");
  if (asked) await classifyFile(await (await fetch(asked)).blob());
  document.body.dataset.ready = "yes";
}

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("worker.js").then(() => navigator.serviceWorker.ready).then(() => {
    document.body.dataset.offline = "yes";
  }).catch(() => {});
}
reported(start)();
