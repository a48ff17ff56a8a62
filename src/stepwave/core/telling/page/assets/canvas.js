// --- drawing: colours from the style sheet, sharp canvases, one frame at a time ---

const colors = {};

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "card", "sunk", "ink", "muted", "faint", "line", "strong-line", "edge", "accent", "accent-soft", "select", ...looks.map((look) => look.key)]) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colors.fill = Number(style.getPropertyValue("--fill"));
  colors.sans = style.getPropertyValue("--sans").trim();
  colors.mono = style.getPropertyValue("--mono").trim();
  patterns.clear();
}

let printing = 0; // the scale of canvases on paper, or 0

function fit(canvas, width, height) {
  const scale = printing || Math.min(window.devicePixelRatio || 1, 3);
  const w = Math.max(1, Math.round(width * scale)), h = Math.max(1, Math.round(height * scale));
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// A view draws itself at most once a frame, however often it is asked.
function frameOf(draw) {
  let waiting = false;
  const request = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  };
  request.now = draw;
  return request;
}

// --- how each cause of waiting looks: told apart by its hatching, in one quiet colour ---

const patterns = new Map();

function drawHatch(pen, cause) {
  pen.strokeStyle = colors.muted;
  pen.fillStyle = colors.muted;
  pen.lineWidth = 1.2;
  pen.beginPath();
  if (cause === "pool" || cause === "limit") { pen.moveTo(-2, 10); pen.lineTo(10, -2); pen.moveTo(-2, 2); pen.lineTo(2, -2); pen.moveTo(6, 10); pen.lineTo(10, 6); }
  if (cause === "slot" || cause === "limit") { pen.moveTo(-2, -2); pen.lineTo(10, 10); pen.moveTo(6, -2); pen.lineTo(10, 2); pen.moveTo(-2, 6); pen.lineTo(2, 10); }
  pen.stroke();
  if (cause === "retry") for (const x of [2, 6]) for (const y of [2, 6]) pen.fillRect(x - 0.7, y - 0.7, 1.6, 1.6);
  if (cause === "need") pen.fillRect(0, 5, 8, 1);
}

function hatch(cause) {
  if (!patterns.has(cause)) {
    const scale = 2;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8 * scale;
    const pen = tile.getContext("2d");
    pen.scale(scale, scale);
    pen.globalAlpha = 0.85;
    drawHatch(pen, cause);
    const pattern = pen.createPattern(tile, "repeat");
    pattern.setTransform(new DOMMatrix().scale(1 / scale));
    patterns.set(cause, pattern);
  }
  return patterns.get(cause);
}

function swatch(paint) {
  const canvas = make("canvas", { class: "swatch", "aria-hidden": "true" });
  const draw = () => paint(fit(canvas, 22, 11));
  draw();
  hear("colors", draw);
  return canvas;
}

// --- words in a given width ---

const widths = new Map();

function cut(pen, words, room, middle = false) {
  const key = `${pen.font}|${Math.round(room)}|${words}`;
  if (widths.has(key)) return widths.get(key);
  let shown = words;
  if (pen.measureText(words).width > room) {
    let low = 0, high = words.length;
    const short = (n) => (middle ? `${words.slice(0, Math.ceil(n / 2))}…${words.slice(words.length - Math.floor(n / 2))}` : `${words.slice(0, n)}…`);
    while (low < high) {
      const n = (low + high + 1) >> 1;
      if (pen.measureText(short(n)).width <= room) low = n; else high = n - 1;
    }
    shown = low > 1 ? short(low) : "";
  }
  if (widths.size > 30000) widths.clear();
  widths.set(key, shown);
  return shown;
}

function roundBox(pen, x, y, width, height, radius) {
  pen.beginPath();
  pen.roundRect(x, y, Math.max(width, 0), height, Math.min(radius, width / 2, height / 2));
}

// --- the pointer: drag, pinch, Ctrl and wheel, click ---

function watchPointer(canvas, { drag, zoom, click, over, scroll }) {
  const pointers = new Map();
  let moved = 0, gap = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, place(event));
    moved = 0;
    gap = pointers.size === 2 ? spread() : 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = place(event), before = pointers.get(event.pointerId);
    if (!before) { over(now, event); return; }
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()];
      const wide = spread();
      if (gap) zoom(wide / gap, { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
      gap = wide;
    } else if (moved > 3) {
      canvas.classList.add("dragging");
      hideHint();
      drag(now.x - before.x, now.y - before.y);
    }
  });
  const up = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && moved <= 3) click(place(event));
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", hideHint);
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.004), place(event));
    } else if (scroll && scroll(event.shiftKey ? event.deltaY : event.deltaX, event.shiftKey ? 0 : event.deltaY)) {
      event.preventDefault();
    }
  }, { passive: false });
}

// --- the hint beside the pointer ---

function showHint(event, title, lines) {
  const hint = byId("hint");
  hint.replaceChildren(make("b", null, title), lines.filter(Boolean).join("\n"));
  hint.hidden = false;
  const { width, height } = hint.getBoundingClientRect();
  hint.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 12))}px`;
  hint.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
}

function hideHint() { byId("hint").hidden = true; }

function hintOf(event, step, ...more) {
  const parts = [step.look.word, step.ran ? `ran ${duration(step.ran)}` : "", step.waited ? `waited ${duration(step.waited)}` : ""];
  showHint(event, step.id, [step.name, parts.filter(Boolean).join(" · "), isRun ? step.reason : step.detail, ...more, step.critical ? "on the critical path" : ""]);
}
