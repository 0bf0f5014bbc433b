// Opens pages one after the other in a frame, and notes what a reader would stumble over.
// PATHS and QUERIES stand before it.

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

const open = (path) => new Promise((done) => {
  frame.onload = done;
  frame.src = path;
});

async function until(condition, seconds) {
  for (let waited = 0; waited < 1000 * seconds && !condition(); waited += 20) await pause(20);
  return condition();
}

// A block that scrolls by itself may hold what is wider than the page.
const scrolls = (element) => /auto|scroll/.test(getComputedStyle(element).overflowX);

function isCut(element, article, width) {
  const { right, left, width: own } = element.getBoundingClientRect();
  if (own === 0 || (right <= width + 1 && left >= -1)) return false;
  for (let outer = element.parentElement; outer && outer !== article; outer = outer.parentElement) {
    if (scrolls(outer)) return false;
  }
  return true;
}

const named = (element) =>
  `<${element.tagName.toLowerCase()}> ${element.textContent.trim().slice(0, 60)}`;

async function look(path) {
  await open(path);
  const page = frame.contentDocument;
  const article = page.querySelector("article");
  const width = frame.clientWidth;
  const blocks = [...article.querySelectorAll("pre > code")];
  const copied = (code) => code.parentElement.querySelector('button[data-md-type="copy"]');
  await until(() => blocks.every(copied), 3);
  return {
    path,
    width: page.documentElement.scrollWidth,
    cut: [...article.querySelectorAll("*")].filter((e) => isCut(e, article, width)).map(named),
    missing: [...page.images].filter((image) => image.complete && !image.naturalWidth).map(
      (image) => image.getAttribute("src"),
    ),
    blocks: blocks.length,
    uncopied: blocks.filter((code) => !copied(code)).map(named),
  };
}

async function search(query) {
  await open("about:blank");
  await open(`/?q=${encodeURIComponent(query)}`);
  const page = frame.contentDocument;
  const results = () => [...page.querySelectorAll("a.md-search-result__link")];
  await until(() => results().length, 20);
  // A page has a result for each of its sections.
  return [...new Set(results().map((link) => new URL(link.href).pathname))].slice(0, 3);
}

async function looked() {
  const pages = [];
  for (const path of PATHS) pages.push(await look(path));
  const results = {};
  for (const query of QUERIES) results[query] = await search(query);
  return { pages, results };
}
