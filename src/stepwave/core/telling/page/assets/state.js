// --- what is chosen: a step, a filter, the order of the table. Views say what they want to hear of. ---

const chosen = { step: null, words: "", looks: new Set(), sort: null, down: false };
const listeners = { step: [], filter: [], colors: [], size: [] };
const hear = (what, listener) => listeners[what].push(listener);
const tell = (what) => listeners[what].forEach((listener) => listener());

function choose(n, { quietly = false } = {}) {
  if (chosen.step === n) return;
  chosen.step = n;
  if (!quietly) {
    const place = n === null ? location.pathname + location.search : `#step=${encodeURIComponent(steps[n].id)}`;
    try { history.replaceState(null, "", place); } catch { /* a sandboxed frame has no history */ }
  }
  tell("step");
}

function readPlace() {
  const match = /^#step=(.*)$/.exec(location.hash);
  if (!match) return;
  let id = match[1];
  try { id = decodeURIComponent(id); } catch { return; }
  const step = steps.find((one) => one.id === id);
  if (step) choose(step.n, { quietly: true });
}

const isShown = (step) => step.shown;

function filterBy(change) {
  change();
  const words = chosen.words.split(" ");
  for (const step of steps) {
    step.shown = (!chosen.looks.size || chosen.looks.has(step.look.key)) && words.every((word) => step.searched.includes(word));
  }
  tell("filter");
}

for (const step of steps) {
  step.shown = true;
  step.searched = [step.id, step.name, step.look.word, step.reason, step.pools, step.stage, step.critical ? "critical" : ""].join(" ").toLowerCase();
}

// --- light and dark ---

const themes = ["system", "light", "dark"];

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
  readColors();
  tell("colors");
}

function startTheme() {
  let theme = "system";
  try { theme = localStorage.getItem("stepwave-theme") ?? theme; } catch { /* not from this place */ }
  if (!themes.includes(theme)) theme = "system";
  setTheme(theme);
  byId("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem("stepwave-theme", theme); } catch { /* as above */ }
    setTheme(theme);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(theme));
}
