// --- what is shown: the values of the page as objects, and how they are put into words ---

const given = JSON.parse(document.getElementById("data").textContent);
const isRun = given.kind === "run";
const text = (number) => (number < 0 ? "" : given.texts[number]);
const at = (ms) => (ms < 0 ? null : ms);
const pick = (column, n) => column[column.length === 1 ? 0 : n]; // a column of one value stands for all

const looks = given.looks.map(([key, word, mark], order) => ({ key, word, mark, order }));
const factsOf = (step) => given.facts.sets[pick(given.facts.of, step.n)];
const needSetOf = (n) => given.steps.needSets[pick(given.steps.needs, n)];

const steps = given.steps.id.map((id, n) => ({
  n, id,
  name: text(pick(given.steps.name, n)),
  wave: pick(given.steps.wave, n),
  stage: text(pick(given.steps.stage, n)),
  after: pick(given.steps.after, n),
  file: text(pick(given.steps.file, n)),
  line: pick(given.steps.line, n),
  pools: text(pick(given.steps.pools, n)),
  shape: pick(given.steps.shape, n),
  detail: pick(given.steps.detail, n),
  needs: needSetOf(n).slice(0, -1),
  allNeeds: needSetOf(n).at(-1),
  look: looks[pick(given.outcomes.look, n)],
  attempts: [], waits: [], tests: [], began: null, ended: null, waited: 0, ran: 0, critical: false,
}));

if (isRun) readRun();

function readRun() {
  const { outcomes } = given;
  for (const step of steps) {
    step.reason = text(pick(outcomes.reason, step.n));
    step.ended = at(pick(outcomes.ended, step.n));
    step.takenFrom = text(pick(outcomes.takenFrom, step.n));
    step.stopping = text(pick(outcomes.stopping, step.n));
  }
  eachOf(given.attempts, readAttempt);
  eachOf(given.waits, readWait);
  for (const test of given.tests) steps[test.step].tests.push(test);
  for (const n of given.critical) steps[n].critical = true;
  for (const step of steps) sumUp(step);
}

// One after the other, each with the step that it belongs to.
function eachOf(all, read) {
  let number = 0;
  for (const step of steps) for (let k = pick(all.of, step.n); k > 0; k -= 1) read(step, all, number++);
}

function readAttempt(step, all, a) {
  const begin = all.begin[a], took = at(pick(all.took, a)), peak = at(pick(all.peak, a));
  step.attempts.push({
    step, begin,
    number: pick(all.number, a),
    end: took === null ? null : begin + took,
    until: took === null ? given.run.wall : begin + took,
    slot: pick(all.slot, a),
    argv: pick(all.last, a) === -2 ? [] : [...all.heads[pick(all.head, a)], pick(all.last, a)].map(text),
    cwd: text(pick(all.cwd, a)),
    reason: text(pick(all.reason, a)),
    exitCode: pick(all.exitCode, a),
    signal: pick(all.signal, a),
    cpu: at(pick(all.cpu, a)),
    peak: peak === null ? null : peak * 1024,
    bytes: pick(all.bytes, a),
  });
}

function readWait(step, all, w) {
  const cause = all.causes[pick(all.cause, w)], name = pick(all.name, w);
  const begin = (step.waits.at(-1)?.end ?? 0) + pick(all.after, w);
  step.waits.push({ begin, end: begin + pick(all.took, w), cause, name: cause === "need" ? steps[name]?.id ?? "" : text(name) });
}

function sumUp(step) {
  const { attempts } = step;
  step.began = attempts.length ? attempts[0].begin : null;
  for (const one of attempts) {
    step.ran += one.until - one.begin;
    if (one.cpu !== null) step.cpu = (step.cpu ?? 0) + one.cpu;
    if (one.peak !== null) step.peak = Math.max(step.peak ?? 0, one.peak);
  }
  // What a step waits for its needs is the graph, before another attempt its own affair; this is the machine.
  for (const wait of step.waits) if (["pool", "slot", "limit"].includes(wait.cause)) step.waited += wait.end - wait.begin;
}

function dependentsOf(n) {
  const sets = new Set();
  given.steps.needSets.forEach((set, s) => { if (set.slice(0, -1).includes(n)) sets.add(s); });
  return steps.filter((step) => sets.has(pick(given.steps.needs, step.n)));
}

const partsOf = (n) => steps.filter((step) => step.after === n && !step.needs.includes(n));

// --- words ---

function duration(ms) {
  if (ms === null || ms === undefined) return "";
  const s = ms / 1000;
  if (s < 0.9995) return `${Math.round(ms)}ms`;
  if (s < 59.95) return `${s.toFixed(1)}s`;
  const whole = Math.round(s);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
}

function size(bytes) {
  for (const [name, power] of [["TB", 4], ["GB", 3], ["MB", 2], ["KB", 1]]) {
    if (bytes >= 1024 ** power) return `${Number((bytes / 1024 ** power).toFixed(1))} ${name}`;
  }
  return `${bytes} byte${bytes === 1 ? "" : "s"}`;
}

const plural = (count, noun) => `${count.toLocaleString("en")} ${count === 1 ? noun : noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
const percent = (share) => `${Math.round(share * 100)} %`;

const causes = {
  need: { word: "a need", of: (name) => `for ${name}` },
  pool: { word: "a pool", of: (name) => `for units of pool ${name}` },
  slot: { word: "a slot", of: () => "for a slot" },
  limit: { word: "a limit", of: (name) => `held back by ${name}` },
  retry: { word: "its next attempt", of: () => "before its next attempt" },
};

const because = (wait) => causes[wait.cause].of(wait.name || "an earlier part of the run");

// --- elements: texts only, never markup ---

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function icon(look) {
  const draw = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const image = draw("svg", { viewBox: "0 0 16 16", class: "icon", "aria-hidden": "true" });
  image.append(draw("path", { d: look.mark, transform: "translate(1.6 1.6) scale(.8)" }));
  image.style.color = `var(--${look.key})`;
  return image;
}

const byId = (id) => document.getElementById(id);
