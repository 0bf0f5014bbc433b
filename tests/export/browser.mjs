// Uses the page in a real browser, chooses pictures as a user does, and prints the answers.
//
//     node browser.mjs online|offline CHROMIUM PROFILE URL SCREENSHOT PICTURE…
//
// With "offline", URL/stop is asked once the page keeps itself: the server then ends, and the pictures are chosen again.
// Before Node 22 with --experimental-websocket.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [mode, chromium, profile, url, screenshot, ...pictures] = process.argv.slice(2);
const SECONDS = 120;
const pause = () => new Promise((resolve) => setTimeout(resolve, 200));

async function until(what, found) {
  for (const start = Date.now(); Date.now() - start < SECONDS * 1000; await pause()) {
    const value = await found().catch(() => undefined);
    if (value) return value;
  }
  throw new Error(`${what}: not within ${SECONDS} s`);
}

const browser = spawn(chromium, ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
  "--remote-debugging-port=0", "--window-size=412,900", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });

async function connected() {
  const file = join(profile, "DevToolsActivePort");
  const port = await until("the browser", async () => existsSync(file) && readFileSync(file, "utf8").split("\n")[0]);
  const pages = await until("a tab", async () => {
    const found = await (await fetch(`http://127.0.0.1:${port}/json/list`)).json();
    return found.find((page) => page.type === "page");
  });
  const socket = new WebSocket(pages.webSocketDebuggerUrl);
  await new Promise((resolve, reject) => { [socket.onopen, socket.onerror] = [resolve, reject]; });
  const waiting = new Map();
  let count = 0;
  socket.onmessage = ({ data }) => {
    const answer = JSON.parse(data);
    const settle = waiting.get(answer.id);
    if (settle) answer.error ? settle[1](new Error(answer.error.message)) : settle[0](answer.result);
  };
  return (method, params = {}) => new Promise((resolve, reject) => {
    waiting.set(++count, [resolve, reject]);
    socket.send(JSON.stringify({ id: count, method, params }));
  });
}

try {
  const send = await connected();
  const evaluate = async (expression) =>
    (await send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true })).result.value;
  const text = () => evaluate("document.body.innerText");
  const shown = '[...document.querySelectorAll("#labels li")].map((item) => [...item.children].map((part) => part.textContent))';
  async function answer(picture) {
    await evaluate('document.querySelector("#labels").replaceChildren()');
    const { root } = await send("DOM.getDocument");
    const { nodeId } = await send("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
    await send("DOM.setFileInputFiles", { nodeId, files: [picture] });
    await until("an answer", async () => (await evaluate(shown)).length > 0);
    return evaluate(shown);
  }
  async function answers() {
    await until("the network", async () => (await evaluate("document.body?.dataset.ready")) === "yes");
    const found = [];
    for (const picture of pictures) found.push(await answer(picture));
    return found;
  }
  await send("Page.enable");
  await send("Page.navigate", { url });
  const report = { online: await answers() };
  if (mode === "offline") {
    await until("the page's own copy", async () => (await evaluate("document.body.dataset.offline")) === "yes");
    await fetch(`${url}/stop`).catch(() => {});
    report.isDown = await until("the server's end", async () => fetch(url).then(() => false, () => true));
    await send("Page.navigate", { url: "about:blank" });
    await send("Page.navigate", { url });
    report.offline = await answers();
  }
  const { data } = await send("Page.captureScreenshot");
  writeFileSync(screenshot, Buffer.from(data, "base64"));
  console.log(JSON.stringify({ ...report, text: await text() }));
} finally {
  browser.kill();
}
