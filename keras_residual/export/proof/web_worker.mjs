// A program that runs an exported file in a browser's runtime, under Node.
//
//     node web_worker.mjs RUNTIME MODULES MODEL FOLDER
//
// RUNTIME is onnxruntime-web, MODULES a node_modules folder that has it. FOLDER holds job.json,
// {"inputs": {name: {type, shape}}, "batches": n}, and the numbers of each batch in NUMBER_NAME.bin;
// it gets outputs.json, {name: {type, shape}}, and the numbers of each batch in NUMBER_NAME.out.
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [runtime, modules, model, folder] = process.argv.slice(2);
const ARRAYS = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int32: Int32Array, int64: BigInt64Array, float16: Uint16Array };
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

const run = await { "onnxruntime-web": onnx }[runtime]();
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
