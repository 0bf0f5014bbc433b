// What the pages for pictures and for sound share.

const TOP = 5;
export const element = (id) => document.getElementById(id);

export function say(text, isError = false) {
  element("status").textContent = text;
  element("status").classList.toggle("error", isError);
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Runs `classify`, which returns categories, and shows the best with bars and the milliseconds. */
export function showAnswer(classify) {
  const started = performance.now();
  const found = classify();
  const spent = performance.now() - started;
  const best = [...found].sort((a, b) => b.score - a.score).slice(0, TOP);
  element("labels").replaceChildren(...best.map((category) => {
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

/** Says on the page why some work has failed. */
export const reported = (work) => async (...args) => {
  try {
    await work(...args);
  } catch (error) {
    say(`${error.message ?? error}`, true);
  }
};

/** Says what the network is, and loads it by `load`, which takes the bytes of its file. */
async function begin(model, input, inputs, load) {
  document.title = element("name").textContent = model.name;
  const measured = [
    ...(model.accuracy ? [`${(100 * model.accuracy).toFixed(1)} % of ${model.samples} test ${inputs}`] : []),
    ...(model.error_rate ? [`${(100 * model.error_rate).toFixed(1)} % of the labels of ${model.samples} test ${inputs} wrong`] : []),
  ];
  element("facts").textContent = [input, size(model.bytes), ...measured].join(" · ");
  await load(new Uint8Array(await (await fetch(model.file)).arrayBuffer()));
  say("Ready.");
}

/** Makes the page usable: `describe` says what the network takes, `classifyFile` answers to a file. */
export const start = reported(async ({ describe, inputs, load, classifyFile, button, press, parameter }) => {
  const model = await (await fetch("model.json")).json();
  await begin(model, describe(model), inputs, load);
  element("file").addEventListener("change", reported(async (event) => {
    if (event.target.files[0]) await classifyFile(event.target.files[0]);
  }));
  element(button).addEventListener("click", reported(press));
  const asked = new URLSearchParams(location.search).get(parameter);
  if (asked) await classifyFile(await (await fetch(asked)).blob());
  document.body.dataset.ready = "yes";
});

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("worker.js").then(() => navigator.serviceWorker.ready).then(() => {
    document.body.dataset.offline = "yes";
  }).catch(() => {});
}
