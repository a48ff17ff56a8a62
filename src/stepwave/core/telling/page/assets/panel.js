// --- one step, with all that is known of it ---

let cameFrom = null;

function startPanel() {
  hear("step", drawPanel);
}

function drawPanel() {
  const panel = byId("panel"), wasHidden = panel.hidden;
  panel.hidden = chosen.step === null;
  document.body.classList.toggle("with-panel", chosen.step !== null);
  if (chosen.step === null) {
    panel.replaceChildren();
    if (cameFrom?.isConnected) cameFrom.focus({ preventScroll: true });
    cameFrom = null;
  } else {
    const step = steps[chosen.step];
    panel.replaceChildren(...contentOf(step));
    panel.setAttribute("aria-label", `Step ${step.id}`);
    panel.scrollTop = 0;
  }
  if (panel.hidden !== wasHidden) resized();
}

function focusPanel() {
  const close = byId("panel").querySelector("button");
  if (!close) return;
  cameFrom = document.activeElement;
  close.focus();
}

function* contentOf(step) {
  yield make("div", { class: "panel-head" }, make("h2", null, step.id), make("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => choose(null) }, "Close"));
  if (isRun) {
    const verdict = make("p", { class: "verdict" });
    paintVerdict(verdict, step.look, step.look.word);
    yield verdict;
    if (step.reason) yield make("p", { class: "muted" }, step.reason);
  }
  yield pairs(pairsOf(step));
  yield* decisionOf(step);
  yield* neighbours("Needs", step.needs, step.allNeeds);
  const dependents = dependentsOf(step.n).map((one) => one.n);
  yield* neighbours("Needed by", dependents, dependents.length);
  const parts = partsOf(step.n).map((one) => one.n);
  yield* neighbours("Became", parts, parts.length);
  if (isRun) {
    yield* waitsOf(step);
    yield* attemptsOf(step);
    yield* testsOf(step);
    yield* logOf(step);
  }
  yield* shownFacts(step);
  if (isRun) {
    yield make("h3", null, "In a terminal");
    const id = quoted(step.id), run = given.run.id;
    yield make("pre", null, `stepwave logs ${id} ${run}\nstepwave why ${id} ${run}`);
  }
}

const quoted = (word) => (/^[\w@%+=:,.\/-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function pairs(list) {
  const parts = [...list].filter(([, value]) => !nothing(value)).flatMap(([name, value]) => [make("dt", null, name), make("dd", null, value)]);
  return make("dl", { class: "pairs" }, ...parts);
}

function* pairsOf(step) {
  yield ["Name", step.name];
  if (isRun) {
    yield ["Ran", step.attempts.length ? `${duration(step.ran)}${step.began === null ? "" : `, from ${moment(step.began, 1)} to ${step.ended === null ? "now" : moment(step.ended, 1)}`}` : ""];
    yield ["Waited", step.waited ? `${duration(step.waited)} for pools, slots and limits` : ""];
    yield ["CPU", nothing(step.cpu) ? "" : duration(step.cpu)];
    yield ["Memory", nothing(step.peak) ? "" : `${size(step.peak)} at the most`];
    yield ["Reused from", step.takenFrom ? `run ${step.takenFrom}` : ""];
    yield ["Told to stop", step.stopping];
    yield ["Critical path", step.critical ? "it is on it: had it been faster, so had the run" : ""];
  } else yield ["Does", step.detail];
  yield ["Wave", `${step.wave}${step.stage && step.stage !== "steps" ? `, ${step.stage}` : ""}`];
  yield ["Takes", step.pools];
  yield ["Came from", step.after < 0 ? "" : link(step.after)];
  yield ["Stands in", step.file ? `${step.file}${step.line ? `:${step.line}` : ""}` : ""];
}

function* decisionOf(step) {
  const decision = given.decisions?.[step.n];
  if (!decision) return;
  yield make("h3", null, "Decided");
  yield make("p", null, `${decision.result}${decision.error ? `, as it could not be evaluated: ${decision.error}` : ""}${decision.chosen.length ? "; these go on:" : ""}`);
  if (decision.chosen.length) yield make("div", { class: "links" }, ...decision.chosen.map(link));
}

function link(n) {
  return make("button", { type: "button", onclick: () => choose(n) }, icon(steps[n].look), steps[n].id);
}

function* neighbours(title, list, all) {
  if (!list.length) return;
  const some = list.slice(0, 40), more = all - some.length;
  yield make("h3", null, title);
  yield make("div", { class: "links" }, ...some.map(link), more > 0 ? make("span", null, `and ${more.toLocaleString("en")} more`) : "");
}

function* waitsOf(step) {
  if (!step.waits.length) return;
  yield make("h3", null, "Waited");
  const list = make("ul", { class: "waits" });
  for (const wait of step.waits) {
    const paint = (pen) => { pen.fillStyle = hatch(wait.cause); pen.fillRect(0, 0, 22, 11); };
    list.append(make("li", null, make("canvas", { class: "swatch", "aria-hidden": "true" }), make("span", null, duration(wait.end - wait.begin)), make("span", null, because(wait))));
    paint(fit(list.lastChild.firstChild, 22, 11));
  }
  yield list;
}

function* attemptsOf(step) {
  if (!step.attempts.length) return;
  yield make("h3", null, step.attempts.length === 1 ? "Command" : "Attempts");
  let before = null;
  for (const one of step.attempts) {
    const words = [
      step.attempts.length > 1 ? make("b", null, `Attempt ${one.number}`) : "",
      one.end === null ? (given.run.standing === "running" ? "still running" : "lost with its runner") : duration(one.until - one.begin),
      one.exitCode === null ? "" : `exit code ${one.exitCode}`, one.signal === null ? "" : `signal ${one.signal}`,
      one.cpu === null ? "" : `CPU ${duration(one.cpu)}`, one.peak === null ? "" : size(one.peak),
    ].filter((word) => word !== "").map((word) => (typeof word === "string" ? make("span", null, word) : word));
    const command = one.argv.join("\u0000");
    yield make("div", { class: "attempt" }, make("div", { class: "attempt-line fine" }, ...words),
      one.reason && one.reason !== `exit code ${one.exitCode}` && one.reason !== step.reason ? make("p", { class: "muted fine" }, one.reason) : "",
      one.argv.length && command !== before ? commandOf(one) : "");
    before = command;
  }
}

// A script as it stands, with what runs it above it.
function commandOf(one) {
  const script = one.argv.length > 2 && one.argv.at(-2) === "-c" ? one.argv.at(-1) : null;
  const head = (script === null ? one.argv : one.argv.slice(0, -1)).map(quoted).join(" ");
  const block = make("pre", { tabindex: "0" }, make("span", { class: script === null ? null : "dim" }, head), script === null ? "" : `\n${script.replace(/\n$/, "")}`);
  return make("div", null, block, one.cwd ? make("p", { class: "muted fine" }, "in ", make("code", null, one.cwd)) : "");
}

function* testsOf(step) {
  if (!step.tests.length) return;
  yield make("h3", null, "Tests");
  const look = (test) => looks.find((one) => one.key === (test.passed ? "completed" : "failed"));
  for (const test of step.tests) {
    yield make("p", { class: "attempt-line" }, icon(look(test)), make("span", null, test.name), make("span", { class: "muted" }, `${test.passed ? "passed" : test.reason || "did not pass"}, ${duration(test.took)}`));
  }
}

function* logOf(step) {
  const tail = given.tails[step.n];
  const printed = step.attempts.reduce((all, one) => all + one.bytes, 0);
  if (!tail && !printed) return;
  yield make("h3", null, "Output");
  if (!tail) { yield make("p", { class: "muted" }, `${size(printed)}, not kept in this page`); return; }
  const [attempt, words, whole] = tail;
  const notes = [step.attempts.length > 1 ? `of attempt ${attempt}` : "", whole ? "" : `the end of ${size(step.attempts.find((one) => one.number === attempt)?.bytes ?? printed)}`].filter(Boolean).join(", ");
  if (notes) yield make("p", { class: "muted fine" }, notes);
  const block = make("pre", { tabindex: "0", class: "log" }, words);
  yield block;
  requestAnimationFrame(() => { block.scrollTop = block.scrollHeight; });
}

function* shownFacts(step) {
  const list = factsOf(step);
  const kinds = new Map();
  for (let n = 0; n < list.length; n += 3) {
    const kind = text(list[n]);
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push([text(list[n + 1]), text(list[n + 2])]);
  }
  for (const [kind, values] of kinds) {
    yield make("h3", null, kind);
    yield make("pre", { tabindex: "0" }, values.map(([name, value]) => (name ? `${name}=${value}` : value)).join("\n"));
  }
}
