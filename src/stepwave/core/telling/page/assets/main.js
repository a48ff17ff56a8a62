// --- putting it together ---

function resized() {
  if (isRun) layRows();
  tell("size");
  if (isRun) { drawRows.now(); drawPools.now(); }
}

function keysOfPage(event) {
  const typing = ["INPUT", "TEXTAREA"].includes(event.target.tagName);
  if (event.key === "Escape") {
    if (typing && event.target.value) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); }
    else if (typing) event.target.blur();
    else choose(null);
  } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    byId("filter").focus();
  }
}

// On paper: all rows, the whole run, the whole graph, in light.
const before = {};

function toPaper() {
  Object.assign(before, { theme: document.documentElement.dataset.theme, view: { ...view }, from: time.from, to: time.to });
  document.documentElement.dataset.theme = "light";
  printing = 2;
  readColors();
  widthOnPaper(980);
  [time.from, time.to] = [0, wall];
  layColumns();
  listSteps();
  if (isRun) { layRows(); drawRows.now(); drawPools.now(); }
  paperGraph();
}

function widthOnPaper(px) {
  byId("page").style.width = px ? `${px}px` : "";
}

function paperGraph() {
  const box = byId("drawing"), canvas = box.querySelector("canvas");
  view.width = box.clientWidth;
  view.height = Math.min(Math.max(200, (plane.height / Math.max(plane.width, 1)) * view.width + around + 30), 1100);
  showAll();
  drawGraph.now();
  box.style.height = `${view.height}px`;
  canvas.style.position = "static";
}

function fromPaper() {
  printing = 0;
  if (before.theme === undefined) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = before.theme;
  readColors();
  widthOnPaper(0);
  byId("drawing").style.height = "";
  byId("drawing").querySelector("canvas").style.position = "";
  Object.assign(view, before.view);
  [time.from, time.to] = [before.from, before.to];
  layColumns();
  listSteps();
  layGraph();
  resized();
}

function start() {
  readColors();
  startTheme();
  drawOverview();
  startPanel();
  if (isRun) { startTimeline(); startPools(); }
  startGraph();
  startTable();
  resized();
  document.addEventListener("keydown", keysOfPage);
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", fromPaper);
  addEventListener("hashchange", readPlace);
  new ResizeObserver(frameOf(resized)).observe(byId("page"));
  readPlace();
  document.documentElement.dataset.ready = "yes";
}

start();
