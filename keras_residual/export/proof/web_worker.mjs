// A program that runs an exported file in a browser's runtime, under Node.
//
//     node web_worker.mjs RUNTIME MODULES MODEL FOLDER
//
// RUNTIME is onnxruntime-web or litert.js, MODULES a node_modules folder that has it. FOLDER holds job.json,
// {"inputs": {name: {type, shape}}, "batches": n}, and the numbers of each batch in NUMBER_NAME.bin;
// it gets outputs.json, {name: {type, shape}}, and the numbers of each batch in NUMBER_NAME.out.
import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";

const [runtime, modules, model, folder] = process.argv.slice(2);
const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int16: Int16Array, int32: Int32Array, int64: BigInt64Array, float16: Uint16Array };
const require = createRequire(join(modules, "index.js"));
const job = JSON.parse(await readFile(join(folder, "job.json"), "utf8"));

async function numbers(index, name) {
  const bytes = await readFile(join(folder, `${index}_${name}.bin`));
  return new ARRAYS[job.inputs[name].type](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

async function onnx() {
  const ort = await import(pathToFileURL(require.resolve("onnxruntime-web")));
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(await readFile(model));
  return async (batch) => {
    const tensors = Object.fromEntries(Object.entries(batch).map(([name, values]) =>
      [name, new ort.Tensor(job.inputs[name].type, values, job.inputs[name].shape)]));
    const outputs = await session.run(tensors);
    return session.outputNames.map((name) => [name, outputs[name].type, outputs[name].dims, outputs[name].data]);
  };
}

async function litert() {
  const folder = join(modules, "@litertjs", "core", "wasm");
  // Its loader expects a page or a worker, the WebAssembly behind it a module of Node's.
  globalThis.self = globalThis;
  globalThis.require = createRequire(import.meta.url);
  globalThis.__dirname = folder;
  globalThis.importScripts = (path) => runInThisContext(readFileSync(path, "utf8"), { filename: path });
  const { loadLiteRt, loadAndCompile, Tensor } = await import(pathToFileURL(require.resolve("@litertjs/core")));
  await loadLiteRt(folder + "/");
  const compiled = await loadAndCompile(new Uint8Array(await readFile(model)), { accelerator: "wasm" });
  const details = compiled.getInputDetails();
  // A file without a signature has names of tensors; one input needs no name.
  const named = details.every(({ name }) => name in job.inputs);
  return async (batch) => {
    const values = named ? details.map(({ name }) => [name, batch[name]]) : Object.entries(batch);
    const outputs = await compiled.run(values.map(([name, array]) => new Tensor(array, job.inputs[name].shape)));
    return outputs.map((output, index) => [compiled.getOutputDetails()[index].name,
      output.type.dtype, output.type.layout.dimensions, output.toTypedArray()]);
  };
}

const run = await { "onnxruntime-web": onnx, "litert.js": litert }[runtime]();
let described;
for (let index = 0; index < job.batches; index += 1) {
  const batch = {};
  for (const name of Object.keys(job.inputs)) batch[name] = await numbers(index, name);
  const outputs = await run(batch);
  described = Object.fromEntries(outputs.map(([name, type, shape]) => [name, { type, shape }]));
  for (const [name, , , data] of outputs) {
    await writeFile(join(folder, `${index}_${name}.out`), Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
}
await writeFile(join(folder, "outputs.json"), JSON.stringify(described));
process.exit(0);
