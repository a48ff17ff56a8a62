// --- the timeline: rows of slots or of steps over one time axis, which the pools below share ---

const wall = isRun ? Math.max(given.run.wall, 1) : 1;
const time = { from: 0, to: wall };
const axisHeight = 26, rowHeights = { slots: 28, steps: 24 };
const gutterOf = (width) => (width < 620 ? 84 : 168);
const scaleOf = (width) => {
  const left = gutterOf(width), room = width - left - 14;
  const x = (ms) => left + ((ms - time.from) / (time.to - time.from)) * room;
  const back = (px) => time.from + ((px - left) / room) * (time.to - time.from);
  return { left, right: left + room, room, x, back };
};

let rowMode = "slots";
const rows = { list: [], slots: [], width: 0 };

function startTimeline() {
  const bySlot = new Map();
  for (const step of steps) for (const one of step.attempts) {
    if (one.slot < 0) continue;
    if (!bySlot.has(one.slot)) bySlot.set(one.slot, []);
    bySlot.get(one.slot).push(one);
  }
  rows.slots = [...bySlot.keys()].sort((a, b) => a - b).map((slot) => ({ slot, attempts: bySlot.get(slot).sort((a, b) => a.begin - b.begin) }));
  rows.byStart = steps.slice().sort((a, b) => firstMoment(a) - firstMoment(b) || a.n - b.n);
  listRows();
  const box = byId("rows"), canvas = box.querySelector("canvas");
  box.addEventListener("scroll", drawRows);
  watchPointer(canvas, {
    drag: (dx, dy) => { panTime(-dx); box.scrollTop -= dy; },
    zoom: (factor, place) => zoomTime(factor, place.x),
    click: (place) => { const hit = rowHit(place); choose(hit ? hit.step.n : null); },
    over: overRows,
    scroll: (dx) => { if (!dx) return false; panTime(dx); return true; },
  });
  box.addEventListener("keydown", keysOfTimeline);
  for (const button of document.querySelectorAll("#timeline [data-zoom]")) {
    button.addEventListener("click", () => (button.dataset.zoom === "all" ? showTime(0, wall) : zoomTime(button.dataset.zoom === "in" ? 1.6 : 1 / 1.6, null)));
  }
  for (const button of document.querySelectorAll("#timeline [data-rows]")) button.addEventListener("click", () => setRows(button.dataset.rows));
  for (const what of ["step", "colors"]) hear(what, drawRows);
  hear("size", () => { layRows(); drawRows(); });
  hear("filter", () => { listRows(); layRows(); drawRows(); });
  layRows();
  drawTimelineLegend();
}

const firstMoment = (step) => step.began ?? step.ended ?? wall;

function setRows(mode) {
  rowMode = mode;
  for (const button of document.querySelectorAll("#timeline [data-rows]")) button.setAttribute("aria-pressed", String(button.dataset.rows === mode));
  byId("rows").scrollTop = 0;
  listRows();
  layRows();
  drawRows();
}

function listRows() {
  rows.list = rowMode === "slots" ? rows.slots : rows.byStart.filter(isShown);
}

function layRows() {
  const box = byId("rows");
  rows.width = box.clientWidth;
  box.firstElementChild.style.height = `${axisHeight + Math.max(rows.list.length, 1) * rowHeights[rowMode] + 8}px`;
  rows.height = printing ? box.firstElementChild.offsetHeight : box.clientHeight;
}

// --- the time that is shown ---

function showTime(from, to) {
  const least = Math.max(wall / 20000, 2), wide = Math.min(Math.max(to - from, least), wall);
  time.from = Math.max(0, Math.min(from, wall - wide));
  time.to = time.from + wide;
  drawRows();
  drawPools();
}

const panTime = (px) => { const by = (px / scaleOf(rows.width).room) * (time.to - time.from); showTime(time.from + by, time.to + by); };

function zoomTime(factor, px) {
  const scale = scaleOf(rows.width);
  const middle = px === null ? (time.from + time.to) / 2 : Math.max(time.from, Math.min(scale.back(px), time.to));
  showTime(middle - (middle - time.from) / factor, middle + (time.to - middle) / factor);
}

function keysOfTimeline(event) {
  const room = scaleOf(rows.width).room;
  const actions = {
    ArrowLeft: () => panTime(-room / 6), ArrowRight: () => panTime(room / 6), "+": () => zoomTime(1.6, null), "=": () => zoomTime(1.6, null),
    "-": () => zoomTime(1 / 1.6, null), 0: () => showTime(0, wall), ArrowDown: () => nextByStart(1), ArrowUp: () => nextByStart(-1), Enter: focusPanel,
  };
  if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function nextByStart(by) {
  const list = rows.byStart.filter(isShown);
  const now = list.findIndex((step) => step.n === chosen.step);
  const next = list[now < 0 ? (by > 0 ? 0 : list.length - 1) : Math.max(0, Math.min(list.length - 1, now + by))];
  if (!next) return;
  choose(next.n);
  intoView(next);
}

function intoView(step) {
  if (step.began !== null && (step.began > time.to || (step.ended ?? wall) < time.from)) {
    const half = (time.to - time.from) / 2;
    showTime(step.began - half, step.began + half);
  }
  if (rowMode !== "steps") return;
  const box = byId("rows"), top = rows.list.indexOf(step) * rowHeights.steps;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + rowHeights.steps * 2 + axisHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + rowHeights.steps * 2 + axisHeight - box.clientHeight;
}

// --- drawing ---

const drawRows = frameOf(() => {
  const box = byId("rows"), canvas = box.querySelector("canvas");
  if (!rows.width) return;
  const pen = fit(canvas, rows.width, rows.height), scale = scaleOf(rows.width);
  const high = rowHeights[rowMode], top = printing ? 0 : box.scrollTop;
  const first = Math.max(0, Math.floor((top - axisHeight) / high)), last = Math.min(rows.list.length, Math.ceil((top + rows.height) / high));
  pen.save();
  pen.beginPath();
  pen.rect(0, axisHeight, rows.width, rows.height);
  pen.clip();
  const yOf = (n) => axisHeight + n * high - top;
  pen.fillStyle = colors.sunk;
  pen.globalAlpha = 0.6;
  for (let n = first; n < last; n += 1) if (n % 2 === 1) pen.fillRect(0, yOf(n), rows.width, high);
  pen.globalAlpha = 1;
  drawTicks(pen, scale, axisHeight, rows.height);
  for (let n = first; n < last; n += 1) drawRow(pen, scale, rows.list[n], yOf(n), high);
  if (rowMode === "slots") drawPath(pen, scale, top, high);
  pen.restore();
  if (!rows.list.length) { pen.fillStyle = colors.muted; pen.font = `13px ${colors.sans}`; pen.fillText(steps.length ? "No step was started." : "This run has no steps.", scale.left, axisHeight + 20); }
  drawAxis(pen, scale, rows.width, rows.height);
});

function drawRow(pen, scale, row, y, high) {
  const isSlot = rowMode === "slots";
  pen.font = isSlot ? `12px ${colors.sans}` : `11.5px ${colors.mono}`;
  pen.textBaseline = "middle";
  pen.fillStyle = isSlot ? colors.muted : row.n === chosen.step ? colors.accent : colors.ink;
  const label = isSlot ? `slot ${row.slot + 1}` : row.id;
  pen.fillText(cut(pen, label, scale.left - (isSlot ? 26 : 42), true), isSlot ? 14 : 32, y + high / 2 + 0.5);
  if (!isSlot) drawMark(pen, row.look, 12, y + high / 2 - 7, 14);
  pen.save();
  pen.beginPath();
  pen.rect(scale.left, y, scale.right - scale.left + 1, high);
  pen.clip();
  if (isSlot) drawAttempts(pen, scale, row.attempts, y, high);
  else {
    drawWaits(pen, scale, row, y, high);
    drawAttempts(pen, scale, row.attempts, y, high);
    if (!row.attempts.length && row.ended !== null) drawMark(pen, row.look, scale.x(row.ended) - 7, y + high / 2 - 7, 14);
  }
  pen.restore();
}

function drawAttempts(pen, scale, attempts, y, high) {
  const top = y + 4, tall = high - 9;
  let covered = -Infinity; // thousands of bars in one pixel are one bar, unless they matter
  for (const one of attempts) {
    const x1 = scale.x(one.begin), x2 = Math.max(scale.x(one.until), x1 + 1.5);
    const step = one.step, matters = step.look.order < 4 || step.n === chosen.step;
    if (x2 < scale.left || (x2 < covered && !matters)) continue;
    if (x1 > scale.right) break;
    covered = Math.max(covered, x1 + 1);
    drawBar(pen, one, Math.max(x1, scale.left - 4), top, Math.min(x2, scale.right + 4) - Math.max(x1, scale.left - 4), tall);
  }
}

const isLast = (one) => one.step.attempts.at(-1) === one;

function drawBar(pen, one, x, y, width, tall) {
  const step = one.step, dim = rowMode === "slots" && !isShown(step);
  const look = isLast(one) ? step.look : looks.find((other) => other.key === "failed");
  const gap = width > 4 ? 1 : 0;
  pen.globalAlpha = dim ? 0.18 : colors.fill;
  pen.fillStyle = colors[look.key];
  roundBox(pen, x, y, width - gap, tall, 3);
  if (one.slot < 0) { pen.globalAlpha = dim ? 0.1 : 0.28; }
  pen.fill();
  pen.globalAlpha = dim ? 0.3 : 1;
  if (one.end === null) { pen.fillStyle = hatch("slot"); pen.fill(); }
  if (step.critical) { pen.fillStyle = colors.accent; pen.fillRect(x, y + tall + 1, width - gap, 3); }
  if (step.n === chosen.step) { pen.strokeStyle = colors.ink; pen.lineWidth = 2; roundBox(pen, x - 0.5, y - 1, width - gap + 1, tall + 2, 4); pen.stroke(); }
  let room = width - 10;
  if (look.key !== "completed" && width > 18) { drawMark(pen, look, x + 3, y + tall / 2 - 6.5, 13, colors.card); room -= 14; x += 14; }
  if (rowMode === "slots" && room > 22) {
    pen.fillStyle = colors.card;
    pen.font = `500 11px ${colors.mono}`;
    const label = cut(pen, step.id, room, true);
    if (label.length > 3 || label === step.id) pen.fillText(label, x + 5, y + tall / 2 + 1);
  }
  pen.globalAlpha = 1;
}

function drawWaits(pen, scale, step, y, high) {
  for (const wait of step.waits) {
    const x1 = Math.max(scale.x(wait.begin), scale.left - 4), x2 = Math.min(scale.x(wait.end), scale.right + 4);
    if (x2 <= x1 || x2 < scale.left || x1 > scale.right) continue;
    pen.save();
    pen.translate(0, y + 5); // the hatching moves with its row
    if (wait.cause === "need") {
      pen.fillStyle = colors["strong-line"];
      pen.fillRect(x1, Math.floor((high - 11) / 2), x2 - x1, 1);
    } else {
      pen.fillStyle = hatch(wait.cause);
      pen.fillRect(x1, 0, x2 - x1, high - 11);
      pen.strokeStyle = colors["strong-line"];
      pen.lineWidth = 1;
      pen.strokeRect(x1 + 0.5, 0.5, x2 - x1 - 1, high - 12);
    }
    pen.restore();
  }
}

// From the end of one step of the critical path to the start of the next.
function drawPath(pen, scale, top, high) {
  const rowOf = new Map(rows.slots.map((row, n) => [row.slot, n]));
  pen.strokeStyle = colors.accent;
  pen.lineWidth = 1.5;
  pen.globalAlpha = given.critical.length > 60 ? 0.35 : 0.75; // many of them would hide the bars
  pen.beginPath();
  let before = null;
  for (const n of given.critical) {
    const attempts = steps[n].attempts.filter((one) => one.slot >= 0);
    if (!attempts.length) continue;
    const start = attempts[0], y = axisHeight + rowOf.get(start.slot) * high - top + high - 4;
    if (before) {
      const x1 = scale.x(before.until), x2 = scale.x(start.begin), y0 = axisHeight + rowOf.get(before.slot) * high - top + high - 4;
      if (y0 !== y && x2 >= scale.left && x1 <= scale.right) { pen.moveTo(x1, y0); pen.lineTo(x2, y); }
    }
    before = attempts.at(-1);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

const marks = new Map();

function drawMark(pen, look, x, y, side, color = colors[look.key]) {
  if (!marks.has(look.key)) marks.set(look.key, new Path2D(look.mark));
  pen.save();
  pen.translate(x, y);
  pen.scale(side / 16, side / 16);
  pen.strokeStyle = color;
  pen.lineWidth = 2;
  pen.lineCap = pen.lineJoin = "round";
  pen.stroke(marks.get(look.key));
  pen.restore();
}

function drawAxis(pen, scale, width, height) {
  pen.fillStyle = colors.card;
  pen.fillRect(0, 0, width, axisHeight);
  pen.font = `11px ${colors.sans}`;
  pen.textBaseline = "middle";
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(0, axisHeight - 0.5);
  pen.lineTo(width, axisHeight - 0.5);
  pen.moveTo(scale.left - 0.5, 0);
  pen.lineTo(scale.left - 0.5, height);
  pen.stroke();
  const { step, ticks } = ticksOf(scale);
  drawTicks(pen, scale, axisHeight - 5, axisHeight);
  pen.fillStyle = colors.muted;
  for (const ms of ticks) {
    const x = Math.round(scale.x(ms)) + 4.5, label = moment(ms, step);
    if (x + pen.measureText(label).width < width) pen.fillText(label, x, axisHeight / 2 - 1);
  }
}

function drawTicks(pen, scale, top, bottom) {
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  pen.globalAlpha = 0.6;
  pen.beginPath();
  for (const ms of ticksOf(scale).ticks) {
    const x = Math.round(scale.x(ms)) + 0.5;
    pen.moveTo(x, top);
    pen.lineTo(x, bottom);
  }
  pen.stroke();
  pen.globalAlpha = 1;
}

const stepsOfTime = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 144e5, 288e5, 864e5];

function ticksOf(scale) {
  const wanted = ((time.to - time.from) / scale.room) * 90;
  const step = stepsOfTime.find((one) => one >= wanted) ?? Math.ceil(wanted / 864e5) * 864e5;
  const ticks = [];
  for (let ms = Math.ceil(time.from / step) * step; ms <= time.to; ms += step) ticks.push(ms);
  return { step, ticks };
}

function moment(ms, step) {
  if (ms === 0) return "0";
  if (step < 1000) return ms < 6e4 ? `${(ms / 1000).toFixed(step < 10 ? 3 : step < 100 ? 2 : 1)}s` : `${Math.floor(ms / 6e4)}m ${((ms % 6e4) / 1000).toFixed(1)}s`;
  const s = Math.round(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (h) return `${h}h ${String(m % 60).padStart(2, "0")}m`;
  return m ? `${m}m${s % 60 ? ` ${String(s % 60).padStart(2, "0")}s` : ""}` : `${s}s`;
}

// --- the pointer ---

function rowHit(place) {
  const high = rowHeights[rowMode], row = rows.list[Math.floor((place.y - axisHeight + byId("rows").scrollTop) / high)];
  if (!row || place.y < axisHeight) return null;
  const scale = scaleOf(rows.width), now = scale.back(place.x), slack = (time.to - time.from) / scale.room * 3;
  if (rowMode === "steps") return { step: row, wait: place.x < scale.left ? null : row.waits.find((wait) => now >= wait.begin && now <= wait.end) };
  if (place.x < scale.left) return null;
  const near = row.attempts.filter((one) => now >= one.begin - slack && now <= one.until + slack);
  const one = near.find((other) => now >= other.begin && now <= other.until) ?? near[0];
  return one ? { step: one.step, attempt: one } : null;
}

function overRows(place, event) {
  const hit = rowHit(place), canvas = event.currentTarget;
  canvas.classList.toggle("on-step", Boolean(hit));
  if (!hit) { hideHint(); return; }
  const { attempt, wait, step } = hit;
  hintOf(event, step,
    attempt ? `${moment(attempt.begin, 1)} to ${attempt.end === null ? "now" : moment(attempt.end, 1)}${step.attempts.length > 1 ? `, attempt ${attempt.number}` : ""}` : "",
    wait ? `waits ${duration(wait.end - wait.begin)} ${because(wait)}` : "");
}

function drawTimelineLegend() {
  const used = new Set(steps.flatMap((step) => step.waits.map((wait) => wait.cause)));
  const legend = byId("timeline-legend");
  for (const [look] of countLooks()) if (steps.some((step) => step.look === look && step.attempts.length)) legend.append(make("li", null, icon(look), look.word));
  for (const cause of given.waits.causes) {
    if (used.has(cause)) legend.append(make("li", null, swatch((pen) => { pen.fillStyle = hatch(cause); pen.fillRect(0, 0, 22, 11); }), `waits for ${causes[cause].word}`));
  }
  if (given.critical.length) legend.append(make("li", null, swatch((pen) => { pen.fillStyle = colors.accent; pen.fillRect(0, 4, 22, 3); }), "critical path"));
  legend.append(make("li", { class: "keys" }, "Drag to move, Ctrl + wheel to zoom, click a step"));
}
