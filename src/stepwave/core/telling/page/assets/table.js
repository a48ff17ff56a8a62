// --- the table: of thousands of rows those that are in sight ---

const rowHeight = 35, spareRows = 12;
const noteOf = (step) => (isRun ? step.reason || step.name : commandIn(step) || step.detail || step.name);
const nothing = (value) => value === null || value === undefined || value === "";
const columns = [ // `from`: the width of the table below which there is no room for it
  { key: "look", title: "Outcome", width: "162px", of: (step) => step.look.order, cell: (step) => make("span", { class: "outcome" }, icon(step.look), isNarrow() ? make("span", { class: "visually-hidden" }, step.look.word) : step.look.word), run: true },
  { key: "id", title: "Step", of: (step) => step.id, cell: (step) => step.id, kind: "step" },
  { key: "wave", title: "Wave", width: "68px", of: (step) => step.wave, cell: (step) => String(step.wave), kind: "number", from: 520 },
  { key: "began", title: "Start", width: "80px", of: (step) => step.began, cell: (step) => (step.began === null ? "" : step.began ? duration(step.began) : "0"), kind: "number", run: true, from: 600 },
  { key: "waited", title: "Waited", width: "80px", of: (step) => (step.attempts.length ? step.waited : null), cell: (step) => (step.waited ? duration(step.waited) : ""), kind: "number", run: true, from: 680 },
  { key: "ran", title: "Ran", width: "80px", of: (step) => (step.attempts.length ? step.ran : null), cell: (step) => (step.attempts.length ? duration(step.ran) : ""), kind: "number", run: true },
  { key: "cpu", title: "CPU", width: "80px", of: (step) => step.cpu ?? null, cell: (step) => duration(step.cpu ?? null), kind: "number", run: true, from: 1240 },
  { key: "peak", title: "Memory", width: "88px", of: (step) => step.peak ?? null, cell: (step) => (nothing(step.peak) ? "" : size(step.peak)), kind: "number", run: true, from: 1240 },
  { key: "attempts", title: "Tries", width: "66px", of: (step) => step.attempts.length, cell: (step) => String(step.attempts.length || ""), kind: "number", run: true, from: 980 },
  { key: "note", title: isRun ? "Note" : "What it does", width: isRun ? "26%" : "56%", of: noteOf, cell: noteOf, kind: "note", from: 840 },
];

const tableWidth = () => (printing ? 979 : byId("table").clientWidth);
const isNarrow = () => tableWidth() < 520;

let shownColumns = [], shownSteps = [];

// What the file says that it runs, of a step that has not run.
function commandIn(step) {
  const list = factsOf(step);
  for (let n = 0; n < list.length; n += 3) if (["run", "command", "function"].includes(text(list[n + 1]))) return text(list[n + 2]).split("\n")[0];
  return "";
}

function startTable() {
  byId("filter").addEventListener("input", () => filterBy(() => { chosen.words = byId("filter").value.toLowerCase().trim(); }));
  drawChips();
  const box = byId("table");
  box.addEventListener("scroll", drawTable);
  box.addEventListener("keydown", keysOfTable);
  hear("filter", () => { box.scrollTop = 0; listSteps(); });
  hear("step", () => { markRow(); });
  hear("size", () => { layColumns(); listSteps(); });
  layColumns();
  listSteps();
}

function drawChips() {
  if (!isRun) return;
  for (const [look, count] of countLooks()) {
    const chip = make("button", { type: "button", "aria-pressed": "false", "data-look": look.key }, icon(look), look.word, make("span", null, count.toLocaleString("en")));
    chip.addEventListener("click", () => {
      filterBy(() => { if (!chosen.looks.delete(look.key)) chosen.looks.add(look.key); });
      chip.setAttribute("aria-pressed", String(chosen.looks.has(look.key)));
    });
    byId("chips").append(chip);
  }
}

function layColumns() {
  const width = tableWidth();
  shownColumns = columns.filter((column) => (isRun || !column.run) && !(column.from > width));
  const head = make("tr", null, ...shownColumns.map((column) => {
    const cell = make("th", { scope: "col", class: column.kind === "number" ? "number" : null, "aria-sort": chosen.sort === column.key ? (chosen.down ? "descending" : "ascending") : "none" },
      make("button", { type: "button", "data-sort": column.key, onclick: () => sortBy(column.key) }, column.key === "look" && isNarrow() ? make("span", { class: "visually-hidden" }, column.title) : column.title));
    if (column.width) cell.style.width = column.key === "look" && isNarrow() ? "46px" : column.width;
    return cell;
  }));
  byId("table").querySelector("thead").replaceChildren(head);
}

// First as it is usually wanted, then the other way round, then as in the file.
function sortBy(key) {
  const most = ["began", "id", "look", "wave", "note"].includes(key) ? false : true;
  if (chosen.sort !== key) [chosen.sort, chosen.down] = [key, most];
  else if (chosen.down === most) chosen.down = !most;
  else [chosen.sort, chosen.down] = [null, false];
  layColumns();
  listSteps();
  document.querySelector(`[data-sort="${key}"]`)?.focus();
}

const words = new Intl.Collator("en", { numeric: true });

function compare(a, b) {
  if (nothing(a) || nothing(b)) return Number(nothing(a)) - Number(nothing(b)); // what is not known comes last, either way
  return (typeof a === "string" ? words.compare(a, b) : a - b) * (chosen.down ? -1 : 1);
}

function listSteps() {
  shownSteps = steps.filter(isShown);
  const column = columns.find((one) => one.key === chosen.sort);
  if (column) shownSteps.sort((a, b) => compare(column.of(a), column.of(b)) || a.n - b.n);
  byId("shown").textContent = shownSteps.length === steps.length ? plural(steps.length, "step") : `${shownSteps.length.toLocaleString("en")} of ${plural(steps.length, "step")}`;
  drawTable.now();
}

const drawTable = frameOf(() => {
  const box = byId("table"), body = box.querySelector("tbody");
  const first = printing ? 0 : Math.max(0, Math.floor(box.scrollTop / rowHeight) - spareRows);
  const last = printing ? shownSteps.length : Math.min(shownSteps.length, first + Math.ceil(box.clientHeight / rowHeight) + 2 * spareRows);
  const held = document.activeElement?.closest?.("tr[data-step]")?.dataset.step;
  const rest = shownSteps.slice(first, last).map((step, n) => rowOf(step, first + n));
  body.replaceChildren(gap(first), ...rest, gap(shownSteps.length - last));
  if (!shownSteps.length) body.replaceChildren(make("tr", { class: "empty" }, make("td", { class: "none", colspan: shownColumns.length }, steps.length ? "No step is like that." : "No steps.")));
  box.querySelector("table").setAttribute("aria-rowcount", String(shownSteps.length + 1));
  if (held !== undefined) body.querySelector(`tr[data-step="${held}"]`)?.focus({ preventScroll: true });
});

function gap(rowsLeftOut) {
  const cell = make("td", { colspan: shownColumns.length, "aria-hidden": "true" });
  cell.style.height = `${rowsLeftOut * rowHeight}px`;
  return make("tr", { class: "gap", "aria-hidden": "true" }, cell);
}

function rowOf(step, number) {
  const row = make("tr", { "data-step": step.n, "data-row": number, tabindex: "-1", "aria-rowindex": number + 2, "aria-selected": String(step.n === chosen.step), onclick: () => choose(step.n === chosen.step ? null : step.n) });
  shownColumns.forEach((column, n) => {
    const kind = [column.kind ?? "", n === 0 && step.critical ? "critical" : ""].join(" ").trim();
    const cell = make("td", { class: kind || null }, column.cell(step));
    if (column.kind === "step" || column.kind === "note") cell.title = cell.textContent;
    row.append(cell);
  });
  return row;
}

function markRow() {
  for (const row of byId("table").querySelectorAll("tr[data-step]")) row.setAttribute("aria-selected", String(Number(row.dataset.step) === chosen.step));
}

function keysOfTable(event) {
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity }[event.key];
  if (event.target.tagName === "BUTTON") return;
  if (event.key === "Enter") { event.preventDefault(); focusPanel(); return; }
  if (by === undefined || event.ctrlKey || event.altKey || event.metaKey || !shownSteps.length) return;
  event.preventDefault();
  const now = shownSteps.findIndex((step) => step.n === chosen.step);
  const from = now < 0 && by > 0 && Number.isFinite(by) ? -1 : now < 0 ? 0 : now;
  const next = Math.max(0, Math.min(shownSteps.length - 1, from + by));
  choose(shownSteps[next].n);
  rowIntoView(next);
}

function rowIntoView(number) {
  const box = byId("table"), top = number * rowHeight;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + 2 * rowHeight > box.scrollTop + box.clientHeight - 10) box.scrollTop = top + 2 * rowHeight + 10 - box.clientHeight;
}
