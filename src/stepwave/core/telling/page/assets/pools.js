// --- the pools: how much of each is held over time, and how many steps wait for it ---

const poolHeight = 62;
const highest = (levels) => levels.reduce((most, [, units]) => Math.max(most, units), 0);

function readPool(pool) {
  const levels = levelsOf(pool.levels);
  const cause = pool.name === "" ? "slot" : "pool";
  const waiting = waitingFor((wait) => wait.cause === cause && (cause === "slot" || wait.name === pool.name));
  const limits = [[0, pool.limit], ...(pool.name === "" ? levelsOf(given.widths) : [])];
  return { name: pool.name || "slots", limit: pool.limit, limits, levels, cause, waiting, most: highest(waiting), used: usedOf(levels, limits) };
}

function levelsOf(changes) {
  const levels = [];
  for (let n = 0, ms = 0; n < changes.length; n += 2) levels.push([(ms += changes[n]), changes[n + 1]]);
  return levels;
}

function waitingFor(wanted) {
  const changes = new Map();
  for (const step of steps) for (const wait of step.waits) {
    if (!wanted(wait) || wait.end <= wait.begin) continue;
    changes.set(wait.begin, (changes.get(wait.begin) ?? 0) + 1);
    changes.set(wait.end, (changes.get(wait.end) ?? 0) - 1);
  }
  let count = 0;
  return [...changes].sort(([a], [b]) => a - b).map(([ms, by]) => [ms, (count += by)]);
}

const areaUnder = (levels) => levels.reduce((sum, [ms, units], n) => sum + units * Math.max(0, (levels[n + 1]?.[0] ?? wall) - ms), 0);
const usedOf = (levels, limits) => areaUnder(levels) / Math.max(1, areaUnder(limits));

const pools = isRun ? given.pools.map(readPool) : [];

function startPools() {
  const box = byId("pools"), canvas = box.querySelector("canvas");
  box.hidden = !pools.length;
  watchPointer(canvas, {
    drag: (dx) => panTime(-dx),
    zoom: (factor, place) => zoomTime(factor, place.x),
    click: () => {},
    over: overPools,
    scroll: (dx) => { if (!dx) return false; panTime(dx); return true; },
  });
  for (const what of ["colors", "size"]) hear(what, drawPools);
  byId("pool-figures").textContent = pools.map((pool) => `${pool.name}: ${percent(pool.used)} used on average, ${pool.most ? `up to ${plural(pool.most, "step")} waiting` : "nobody waited"}`).join(". ");
}

const drawPools = frameOf(() => {
  if (!pools.length || !rows.width) return;
  const width = rows.width, height = pools.length * poolHeight;
  const pen = fit(byId("pools").querySelector("canvas"), width, height), scale = scaleOf(width);
  drawTicks(pen, scale, 0, height);
  pools.forEach((pool, n) => drawPool(pen, scale, pool, n * poolHeight, width));
  pen.strokeStyle = colors.line;
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(scale.left - 0.5, 0);
  pen.lineTo(scale.left - 0.5, height);
  pen.stroke();
});

function drawPool(pen, scale, pool, y, width) {
  const top = y + 9, bottom = y + 40, most = Math.max(1, highest(pool.limits), highest(pool.levels));
  const yOf = (units) => bottom - (units / most) * (bottom - top);
  if (y) { pen.strokeStyle = colors.line; pen.beginPath(); pen.moveTo(0, y + 0.5); pen.lineTo(width, y + 0.5); pen.stroke(); }
  pen.textBaseline = "middle";
  pen.fillStyle = colors.ink;
  pen.font = `500 12px ${colors.sans}`;
  pen.fillText(cut(pen, `${pool.name} ${pool.limit}`, scale.left - 26), 14, y + 18);
  pen.fillStyle = colors.muted;
  pen.font = `11px ${colors.sans}`;
  pen.fillText(cut(pen, `${percent(pool.used)} used`, scale.left - 26), 14, y + 34);
  if (pool.most) pen.fillText(cut(pen, scale.left > 100 ? `up to ${pool.most.toLocaleString("en")} waiting` : `≤ ${pool.most} wait`, scale.left - 26), 14, y + 50);
  pen.save();
  pen.beginPath();
  pen.rect(scale.left, y, scale.right - scale.left, poolHeight);
  pen.clip();
  area(pen, scale, pool.levels, yOf, bottom);
  pen.globalAlpha = 0.2;
  pen.fillStyle = colors.running;
  pen.fill();
  pen.globalAlpha = 1;
  edgeOf(pen, scale, pool.levels, yOf, colors.running, []);
  edgeOf(pen, scale, pool.limits, yOf, colors.faint, [3, 3]);
  if (pool.most) {
    pen.translate(0, bottom + 3);
    area(pen, scale, pool.waiting, (count) => (count / pool.most) * 14, 0);
    pen.fillStyle = hatch(pool.cause);
    pen.fill();
    edgeOf(pen, scale, pool.waiting, (count) => (count / pool.most) * 14, colors.muted, []);
  }
  pen.restore();
}

function area(pen, scale, levels, yOf, base) {
  pen.beginPath();
  pen.moveTo(scale.x(levels[0]?.[0] ?? 0), base);
  levels.forEach(([ms, units], n) => {
    pen.lineTo(scale.x(ms), yOf(units));
    pen.lineTo(scale.x(levels[n + 1]?.[0] ?? wall), yOf(units));
  });
  pen.lineTo(scale.x(wall), base);
  pen.closePath();
}

function edgeOf(pen, scale, levels, yOf, color, dash) {
  pen.beginPath();
  levels.forEach(([ms, units], n) => {
    pen[n ? "lineTo" : "moveTo"](scale.x(ms), yOf(units));
    pen.lineTo(scale.x(levels[n + 1]?.[0] ?? wall), yOf(units));
  });
  pen.strokeStyle = color;
  pen.lineWidth = 1.2;
  pen.setLineDash(dash);
  pen.stroke();
  pen.setLineDash([]);
}

const levelAt = (levels, ms) => levels.reduce((found, [from, units]) => (from <= ms ? units : found), 0);

function overPools(place, event) {
  const pool = pools[Math.floor(place.y / poolHeight)], scale = scaleOf(rows.width);
  if (!pool || place.x < scale.left || place.x > scale.right) { hideHint(); return; }
  const ms = scale.back(place.x);
  showHint(event, pool.name, [`${levelAt(pool.levels, ms)} of ${levelAt(pool.limits, ms)} held at ${moment(ms, 1)}`, `${plural(levelAt(pool.waiting, ms), "step")} waiting`]);
}
