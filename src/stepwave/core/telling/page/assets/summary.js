// --- the overview ---

function drawOverview() {
  const run = given.run;
  byId("title").textContent = run.title;
  byId("bar-title").textContent = isRun ? `${run.title} · ${run.id}` : run.title;
  document.body.classList.toggle("is-plan", !isRun);
  if (!isRun) {
    byId("reason").textContent = run.subtitle;
    byId("footer").textContent = run.file;
    return;
  }
  drawVerdict(run);
  byId("reason").textContent = run.reason;
  const wall = run.wall;
  const busy = steps.reduce((sum, step) => sum + step.attempts.reduce((all, one) => all + (one.slot < 0 ? 0 : one.until - one.begin), 0), 0);
  const waited = steps.reduce((sum, step) => sum + step.waited, 0);
  const chain = given.critical.length;
  byId("figures").append(
    figure("Time", duration(wall), ""),
    figure("Started", new Date(run.startedAt).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })),
    figure("Steps", steps.length.toLocaleString("en"), given.layout.bands.length > 1 ? `in ${plural(new Set(steps.map((step) => step.wave)).size, "wave")}` : ""),
    figure("Running at a time", wall ? (busy / wall).toFixed(1) : "0", `of ${run.slots} on average`),
    figure("Waited for the machine", duration(waited), "pools, slots and limits"),
    chain ? figure("Critical path", plural(chain, "step"), wall ? `${percent(onPath() / wall)} of the time running` : "") : "",
    run.exitCode === null ? "" : figure("Exit code", String(run.exitCode)),
  );
  drawShare();
  drawFailures();
  byId("footer").textContent = [`run ${run.id}`, run.file, run.resumedFrom ? `continues run ${run.resumedFrom}` : "", `stepwave ${run.stepwave}`].filter(Boolean).join(" · ");
}

function drawVerdict(run) {
  const key = { died: "lost", timeout: "timeout" }[run.standing] ?? run.standing;
  const look = looks.find((one) => one.key === key) ?? looks.at(-1);
  const word = { timeout: "timed out", running: "still running", died: "died" }[run.standing] ?? run.standing;
  paintVerdict(byId("verdict"), look, word);
}

function paintVerdict(element, look, word) {
  element.replaceChildren(icon(look), word);
  element.style.color = `var(--${look.key})`;
  element.style.background = `color-mix(in srgb, var(--${look.key}) 11%, transparent)`;
}

function figure(name, value, more = "") {
  return make("div", null, make("dt", null, name), make("dd", null, value, more ? make("small", null, more) : ""));
}

function onPath() {
  let sum = 0, until = 0;
  for (const n of given.critical) {
    for (const one of steps[n].attempts) {
      sum += Math.max(0, one.until - Math.max(one.begin, until));
      until = Math.max(until, one.until);
    }
  }
  return sum;
}

function countLooks() {
  return looks.map((look) => [look, steps.filter((step) => step.look === look).length]).filter(([, count]) => count);
}

function drawShare() {
  const counts = countLooks();
  byId("share").setAttribute("aria-label", counts.map(([look, count]) => `${count} ${look.word}`).join(", "));
  for (const [look, count] of counts) {
    const part = make("i");
    part.style.flex = String(count);
    part.style.background = `var(--${look.key})`;
    byId("share").append(part);
    byId("counts").append(make("li", null, icon(look), `${count.toLocaleString("en")} ${look.word}`));
  }
}

// What went wrong comes first: nobody should have to look for it.
function drawFailures() {
  const bad = steps.filter((step) => ["failed", "timeout", "lost"].includes(step.look.key));
  if (!bad.length) return;
  const some = bad.slice(0, 5);
  byId("failures").replaceChildren(
    make("div", { class: "failures" }, ...some.map((step) => make(
      "button", { type: "button", "data-step": step.n, onclick: () => choose(step.n) },
      icon(step.look), make("b", null, step.id), make("span", null, duration(step.ran)), step.reason ? make("p", null, step.reason) : "",
    ))),
    bad.length > some.length ? make("p", { class: "shown" }, `and ${bad.length - some.length} more, in the table below`) : "",
  );
}
