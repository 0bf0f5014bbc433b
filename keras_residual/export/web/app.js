import { element, showAnswer, start } from "./common.js";
import { FilesetResolver, ImageClassifier } from "./tasks-vision/vision_bundle.mjs";

const [video, shown] = ["video", "shown"].map(element);
let classifier, model, stream;

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
  showAnswer(() => classifier.classify(picture).classifications[0].categories);
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

async function load(bytes) {
  const files = await FilesetResolver.forVisionTasks("./tasks-vision/wasm");
  classifier = await ImageClassifier.createFromOptions(files, { baseOptions: { modelAssetBuffer: bytes } });
}

function describe(found) {
  model = found;
  return `${model.width} × ${model.height} pixels`;
}

const press = async () => (stream ? stopCamera() : startCamera());
start({ describe, inputs: "images", load, classifyFile, button: "camera", press, parameter: "picture" });
