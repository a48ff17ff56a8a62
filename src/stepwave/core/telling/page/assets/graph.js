// --- the graph: places and lines as they were laid out; moved and zoomed, drawn only where it is looked at ---

const plane = given.layout;
const boxHeight = 44, knotSize = 8, knotOf = (place) => plane.knots[place - steps.length];
const isStep = (place) => place < steps.length;
const isKnot = (place) => !isStep(place) && knotOf(place) === -2;
const view = { x: 0, y: 0, zoom: 1, width: 0, height: 0, moving: false, touched: false };
const lines = [], leaving = [], reaching = [];

function readLines() {
  const became = new Set(plane.became);
  for (let n = 0, to = 0; n < plane.links.length; n += 2) {
    to += plane.links[n];
    const from = to - plane.links[n + 1], number = n / 2;
    const x1 = columnX(from) + (isKnot(from) ? knotSize : columnWidth(from)), x2 = columnX(to);
    const line = { from, to, x1, y1: plane.y[from], x2, y2: plane.y[to], through: isStep(to) || isKnot(to) ? 0 : columnWidth(to), answer: plane.answers[number] ?? "", became: became.has(number) };
    lines.push(line);
    (leaving[from] ??= []).push(line);
    (reaching[to] ??= []).push(line);
  }
}

const columnX = (place) => plane.columns[2 * plane.column[place]];
const columnWidth = (place) => plane.columns[2 * plane.column[place] + 1];

let criticalLines = new Set();

function startGraph() {
  readLines();
  criticalLines = new Set();
  (given.critical ?? []).forEach((n, k, path) => { if (k + 1 < path.length) followDown(n, criticalLines, (to) => to === path[k + 1]); });
  const box = byId("drawing"), canvas = box.querySelector("canvas");
  watchPointer(canvas, {
    drag: (dx, dy) => moveView(dx, dy),
    zoom: (factor, place) => zoomView(factor, place),
    click: (place) => { const n = stepAt(place); choose(n < 0 ? null : n); },
    over: overGraph,
    scroll: (dx) => { if (!dx) return false; moveView(-dx, 0); return true; },
  });
  box.addEventListener("keydown", keysOfGraph);
  for (const button of document.querySelectorAll("#graph [data-zoom]")) {
    button.addEventListener("click", () => (button.dataset.zoom === "all" ? showAll() : zoomView(button.dataset.zoom === "in" ? 1.4 : 1 / 1.4, null)));
  }
  for (const what of ["colors", "filter"]) hear(what, drawGraph);
  hear("step", () => { if (chosen.step !== null) bringIntoView(chosen.step); drawGraph(); });
  hear("size", () => layGraph());
  box.style.height = `${Math.min(plane.height + around + 50, innerHeight * 0.68, 680)}px`; // a small graph takes little room
  new ResizeObserver(() => layGraph()).observe(box);
  drawGraphLegend();
  layGraph();
}

function layGraph() {
  const box = byId("drawing");
  view.width = box.clientWidth;
  view.height = box.clientHeight;
  if (!view.touched) firstView();
  if (chosen.step !== null) bringIntoView(chosen.step);
  drawGraph.now();
}

const around = 50; // for the headings of the waves, and air

const zoomOfAll = () => Math.min((view.width - 32) / Math.max(plane.width, 1), (view.height - around - 20) / Math.max(plane.height, 1), 1);

function showAll() {
  view.zoom = zoomOfAll();
  view.x = (view.width - plane.width * view.zoom) / 2;
  view.y = around + Math.max(0, (view.height - around - 20 - plane.height * view.zoom) / 2);
  view.touched = false;
  drawGraph();
}

// All of it where it can be read then; else its beginning, or what went wrong.
function firstView() {
  showAll();
  if (view.zoom >= 0.55 || !steps.length) return;
  view.zoom = Math.max(Math.min(0.9, (view.height - around - 20) / Math.max(plane.height, 1)), 0.66);
  const bad = steps.find((step) => ["failed", "timeout", "lost"].includes(step.look.key));
  view.x = 24;
  view.y = around + Math.min(0, (view.height - around) / 2 - plane.y[0] * view.zoom);
  if (bad) centerOn(bad.n);
}

function centerOn(n) {
  view.x = view.width / 2 - (columnX(n) + columnWidth(n) / 2) * view.zoom;
  view.y = view.height / 2 - plane.y[n] * view.zoom;
}

function bringIntoView(n) {
  const x = columnX(n) * view.zoom + view.x, y = plane.y[n] * view.zoom + view.y, wide = columnWidth(n) * view.zoom;
  if (x < 8 || y < around || x + wide > view.width - 8 || y > view.height - 24) {
    if (view.zoom < 0.3) view.zoom = 0.6;
    centerOn(n);
    view.touched = true;
  }
}

function moveView(dx, dy) {
  view.x += dx;
  view.y += dy;
  settleView();
}

function zoomView(factor, place) {
  const middle = place ?? { x: view.width / 2, y: view.height / 2 };
  const zoom = Math.max(Math.min(zoomOfAll(), 0.2) * 0.8, Math.min(view.zoom * factor, 3));
  view.x = middle.x - (middle.x - view.x) * (zoom / view.zoom);
  view.y = middle.y - (middle.y - view.y) * (zoom / view.zoom);
  view.zoom = zoom;
  settleView();
}

// While it moves, a graph of thousands of lines is drawn without most of them; a moment later with all.
let restTimer = 0;
function settleView() {
  const wide = plane.width * view.zoom, high = plane.height * view.zoom;
  view.x = Math.max(Math.min(view.x, view.width - 60), 60 - wide);
  view.y = Math.max(Math.min(view.y, view.height - 40), around - high);
  view.touched = true;
  view.moving = view.slow;
  drawGraph();
  clearTimeout(restTimer);
  if (view.slow) restTimer = setTimeout(() => { view.moving = false; drawGraph(); }, 140);
}

// --- drawing ---

const drawGraph = frameOf(() => {
  if (!view.width) return;
  const began = performance.now();
  const pen = fit(byId("drawing").querySelector("canvas"), view.width, view.height);
  const seen = { left: -view.x / view.zoom, top: -view.y / view.zoom, right: (view.width - view.x) / view.zoom, bottom: (view.height - view.y) / view.zoom };
  pen.save();
  pen.translate(view.x, view.y);
  pen.scale(view.zoom, view.zoom);
  drawBands(pen, seen);
  const near = chosen.step === null ? null : neighbourhood(chosen.step);
  if (!view.moving) drawLines(pen, seen, near);
  drawBoxes(pen, seen, near);
  pen.restore();
  drawHeadings(pen);
  if (!view.moving) view.slow = performance.now() - began > 30;
});

function drawBands(pen, seen) {
  plane.bands.forEach(([x, width], n) => {
    if (n % 2 === 1 || x > seen.right || x + width < seen.left) return;
    pen.fillStyle = colors.sunk;
    roundBox(pen, x - 14, -16, width + 28, plane.height + 32, 12);
    pen.fill();
  });
}

// The names of the waves stay in sight, above all that moves below them.
function drawHeadings(pen) {
  const top = Math.max(0, Math.min(view.y - around, view.height));
  pen.fillStyle = colors.card;
  pen.globalAlpha = 0.9;
  if (!top) pen.fillRect(0, 0, view.width, 30);
  pen.globalAlpha = 1;
  pen.textBaseline = "middle";
  pen.fillStyle = colors.muted;
  pen.font = `11.5px ${colors.sans}`;
  let free = 0;
  for (const [x, width, heading] of plane.bands) {
    const left = Math.max(x * view.zoom + view.x, 10), room = (x + width) * view.zoom + view.x - left;
    if (left < free || left > view.width || room < 12) continue;
    pen.fillText(heading, left, top + 16);
    free = left + pen.measureText(heading).width + 10;
  }
}

// The lines of a step's own edges, whichever places and knots they lead through.
function neighbourhood(n) {
  const own = new Set(), beside = new Set([n, ...steps[n].needs]);
  followDown(n, own, (to) => { beside.add(to); return true; });
  followUp(n, own);
  return { own, beside };
}

function followDown(n, found, wanted) {
  const waiting = (leaving[n] ?? []).map((line) => [line]), seen = new Set();
  while (waiting.length) {
    const way = waiting.pop(), end = way.at(-1).to;
    if (isStep(end)) { if (wanted(end)) way.forEach((line) => found.add(line)); }
    else if (!seen.has(end)) { seen.add(end); for (const line of leaving[end] ?? []) waiting.push([...way, line]); }
  }
}

function followUp(n, found) {
  const waiting = [...(reaching[n] ?? [])], seen = new Set();
  while (waiting.length) {
    const line = waiting.pop();
    found.add(line);
    if (!isStep(line.from) && !seen.has(line.from)) { seen.add(line.from); waiting.push(...(reaching[line.from] ?? [])); }
  }
}

const inSight = (line, seen) => line.x1 <= seen.right && line.x2 + line.through >= seen.left && Math.min(line.y1, line.y2) <= seen.bottom && Math.max(line.y1, line.y2) >= seen.top;

function trace(pen, line) {
  const middle = (line.x1 + line.x2) / 2;
  pen.moveTo(line.x1, line.y1);
  if (Math.abs(line.y1 - line.y2) < 0.5) pen.lineTo(line.x2, line.y2);
  else pen.bezierCurveTo(middle, line.y1, middle, line.y2, line.x2, line.y2);
  if (line.through) pen.lineTo(line.x2 + line.through, line.y2);
}

function drawLines(pen, seen, near) {
  const thin = 1 / Math.max(view.zoom, 0.35);
  const visible = lines.filter((line) => inSight(line, seen));
  const kinds = [ // what matters lies on top
    { of: (line) => !line.became, color: colors.edge, width: 1.2 * Math.max(thin, 1), dash: [], alpha: near ? 0.35 : 1 },
    { of: (line) => line.became, color: colors.edge, width: 1.2 * Math.max(thin, 1), dash: [2, 4], alpha: near ? 0.35 : 1 },
    { of: (line) => criticalLines.has(line), color: colors.accent, width: 2.4 * Math.max(thin, 1), dash: [], alpha: near ? 0.5 : 1 },
    { of: (line) => near?.own.has(line), color: colors.ink, width: 2 * Math.max(thin, 1), dash: [], alpha: 1 },
  ];
  for (const { of, color, width, dash, alpha } of kinds) {
    const mine = visible.filter(of);
    if (!mine.length) continue;
    pen.strokeStyle = pen.fillStyle = color;
    pen.lineWidth = width;
    pen.globalAlpha = alpha;
    pen.setLineDash(dash);
    pen.beginPath();
    for (const line of mine) trace(pen, line);
    pen.stroke();
    pen.setLineDash([]);
    if (view.zoom > 0.3) drawTips(pen, mine);
  }
  pen.globalAlpha = 1;
}

function drawTips(pen, mine) {
  pen.beginPath();
  for (const line of mine) {
    if (!isStep(line.to)) continue;
    pen.moveTo(line.x2 - 7, line.y2 - 3.2);
    pen.lineTo(line.x2, line.y2);
    pen.lineTo(line.x2 - 7, line.y2 + 3.2);
  }
  pen.fill();
  for (const line of mine) {
    if (!line.answer) continue;
    pen.font = `11px ${colors.sans}`;
    pen.textAlign = "right";
    pen.fillText(line.answer, line.x2 - 8, line.y2 - 7);
    pen.textAlign = "left";
  }
}

function drawBoxes(pen, seen, near) {
  for (let place = 0; place < plane.y.length; place += 1) {
    const x = columnX(place), y = plane.y[place], width = columnWidth(place);
    if (x > seen.right || x + width < seen.left || y - 30 > seen.bottom || y + 30 < seen.top) continue;
    if (isStep(place)) drawBox(pen, steps[place], x, y - boxHeight / 2, width, near);
    else if (isKnot(place)) { pen.fillStyle = colors.edge; pen.beginPath(); pen.arc(x + knotSize / 2, y, 3.4, 0, 7); pen.fill(); }
  }
}

const fade = 0.45, tiny = 0.34; // the zoom below which words cannot be read

function outline(pen, shape, x, y, width) {
  if (shape !== "condition") { roundBox(pen, x, y, shape === "fan_out" ? width - 4 : width, boxHeight, 8); return; }
  const p = 7, h = boxHeight;
  pen.beginPath();
  [[0, h / 2], [p, 0], [width - p, 0], [width, h / 2], [width - p, h], [p, h]].forEach(([dx, dy], n) => pen[n ? "lineTo" : "moveTo"](x + dx, y + dy));
  pen.closePath();
}

function drawBox(pen, step, x, y, width, near) {
  const picked = step.n === chosen.step;
  const faded = !isShown(step) || (near && !near.beside.has(step.n));
  pen.globalAlpha = faded ? fade : 1;
  if (view.zoom < tiny && !picked && !step.critical) { // thousands of them: a block in its colour is all that can be seen
    pen.globalAlpha *= 0.75;
    pen.fillStyle = colors[step.look.key];
    pen.fillRect(x, y, width, boxHeight);
    pen.globalAlpha = 1;
    return;
  }
  pen.lineWidth = (step.critical || picked ? 2.2 : 1) / Math.min(Math.max(view.zoom, 0.3), 1);
  pen.strokeStyle = picked ? colors.ink : step.critical ? colors.accent : colors["strong-line"];
  pen.fillStyle = colors.card;
  if (step.shape === "fan_out") { roundBox(pen, x + 4, y + 4, width - 4, boxHeight, 8); pen.fill(); pen.stroke(); }
  outline(pen, step.shape, x, y, width);
  pen.fill();
  if (picked) { pen.fillStyle = colors.select; pen.fill(); }
  if (view.zoom < tiny) { pen.fillStyle = colors[step.look.key]; pen.globalAlpha *= 0.75; pen.fill(); pen.globalAlpha = faded ? fade : 1; }
  pen.stroke();
  if (view.zoom >= tiny) drawWords(pen, step, x + (step.shape === "condition" ? 6 : 0), y, width, faded);
  pen.globalAlpha = 1;
}

function drawWords(pen, step, x, y, width, faded) {
  const alpha = faded ? fade : 1;
  pen.globalAlpha = 0.14 * alpha;
  pen.fillStyle = colors[step.look.key];
  pen.beginPath();
  pen.arc(x + 20, y + boxHeight / 2, 11, 0, 7);
  pen.fill();
  pen.globalAlpha = alpha;
  drawMark(pen, step.look, x + 12, y + boxHeight / 2 - 8, 16);
  const detail = isRun ? ranWords(step) : step.detail, room = width - 46 - (step.shape === "condition" ? 8 : 0);
  pen.textBaseline = "alphabetic";
  pen.fillStyle = colors.ink;
  pen.font = `500 12.5px ${colors.mono}`;
  pen.fillText(cut(pen, step.id, room, true), x + 38, y + (detail ? 19 : boxHeight / 2 + 4.5));
  pen.fillStyle = colors.muted;
  pen.font = `11px ${colors.sans}`;
  if (detail) pen.fillText(cut(pen, detail, room), x + 38, y + 34);
}

function ranWords(step) {
  const words = step.look.key === "completed" ? [] : [step.look.word];
  if (step.attempts.length) words.push(duration(step.ran));
  if (step.attempts.length > 1) words.push(plural(step.attempts.length, "attempt"));
  return words.join(", ") || step.look.word;
}

// --- pointer and keys ---

function stepAt(place) {
  const x = (place.x - view.x) / view.zoom, y = (place.y - view.y) / view.zoom;
  return steps.findIndex((step) => x >= columnX(step.n) && x <= columnX(step.n) + columnWidth(step.n) && Math.abs(y - plane.y[step.n]) <= boxHeight / 2);
}

function overGraph(place, event) {
  const n = stepAt(place);
  event.currentTarget.classList.toggle("on-step", n >= 0);
  if (n < 0) hideHint(); else hintOf(event, steps[n]);
}

function keysOfGraph(event) {
  const actions = {
    "+": () => zoomView(1.4, null), "=": () => zoomView(1.4, null), "-": () => zoomView(1 / 1.4, null), 0: showAll, Enter: focusPanel,
    ArrowRight: () => go(() => (chosen.step === null ? [0] : endsOf(chosen.step))),
    ArrowLeft: () => go(() => steps[chosen.step]?.needs ?? []),
    ArrowDown: () => go(() => beside(1)), ArrowUp: () => go(() => beside(-1)),
  };
  if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function go(candidates) {
  if (!steps.length) return;
  const y = chosen.step === null ? 0 : plane.y[chosen.step];
  const [next] = candidates().slice().sort((a, b) => Math.abs(plane.y[a] - y) - Math.abs(plane.y[b] - y));
  if (next !== undefined) choose(next);
}

function endsOf(n) {
  const ends = [];
  followDown(n, new Set(), (to) => { ends.push(to); return false; });
  return ends;
}

function beside(by) {
  if (chosen.step === null) return [0];
  const column = plane.column[chosen.step], y = plane.y[chosen.step];
  return steps.filter((step) => plane.column[step.n] === column && (plane.y[step.n] - y) * by > 0).map((step) => step.n);
}

function drawGraphLegend() {
  const legend = byId("graph-legend");
  for (const [look] of isRun ? countLooks() : []) legend.append(make("li", null, icon(look), look.word));
  if (given.critical?.length) legend.append(make("li", null, swatch((pen) => { pen.fillStyle = colors.accent; pen.fillRect(0, 4, 22, 3); }), "critical path"));
  if (plane.became.length) legend.append(make("li", null, swatch((pen) => { pen.fillStyle = colors.muted; for (let x = 1; x < 22; x += 6) pen.fillRect(x, 5, 3, 1.5); }), "what a step became"));
  if (plane.note) legend.append(make("li", null, plane.note));
  if (isRun && !given.run.sketched) legend.append(make("li", null, "This run was recorded by an older stepwave, which kept no dependencies."));
  legend.append(make("li", { class: "keys" }, "Drag to move, Ctrl + wheel to zoom, click a step"));
}
