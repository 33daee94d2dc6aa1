// The page: controls, what they change, the worker, the link.

const byId = (id) => document.getElementById(id);
const [NETWORKS, WIDTH, STEPS] = [3, 128, 60];
const state = { p: null, result: null, phase: null, network: null, timings: {} };
const active = () => model.parameters.map((q, i) => ({ ...q, place: i })).filter((q) => q.matters);
const LETTERS = { sigma_w: "σ_w", sigma_v: "σ_v", mu_b: "μ_b", sigma_b: "σ_b", R: "R", correlation: "c" };
const KEY = [["theory", "theory, untied"], ["network", "networks, tied"]];
const htmlOf = (law) => {
  const [stem, mark] = LETTERS[law].split("_");
  return mark ? `<i>${stem}</i><sub><i>${mark}</i></sub>` : `<i>${stem}</i>`;
};
// ξ_q with its index set low; the rest is text.
const lowered = (text) => escaped(text).replace(/_(\w)/g, "<sub>$1</sub>");
const wordsOf = (q) => `${LETTERS[q.law]}${q.preactivation && model.preactivations.length > 1 ? ` of ${q.preactivation}` : ""}`;
const MEANING = {
  sigma_w: "standard deviation of the recurrent weights, times the square root of the width",
  sigma_v: "standard deviation of the input weights", mu_b: "mean of the biases",
  sigma_b: "standard deviation of the biases", R: "second moment of the input",
  correlation: "correlation of the two inputs",
};

// --- controls ----------------------------------------------------------------------------------------

function buildControls() {
  const fields = byId("fields"), groups = new Map();
  const names = Object.keys(variants);
  if (names.length > 1) {
    const label = document.createElement("label"), select = document.createElement("select");
    label.id = "variants";
    label.textContent = "Variant ";
    names.forEach((name) => select.add(new Option(name, name)));
    select.id = "variant";
    select.addEventListener("change", () => showVariant(select.value));
    label.append(select);
    fields.append(label);
  }
  for (const q of active()) {
    if (!groups.has(q.preactivation)) {
      const group = document.createElement("fieldset"), legend = document.createElement("legend");
      legend.textContent = q.preactivation ? `Preactivation ${q.preactivation}` : "Input";
      group.append(legend);
      fields.append(group);
      groups.set(q.preactivation, group);
    }
    const row = document.createElement("div"), label = document.createElement("label");
    row.className = "field";
    label.htmlFor = `range-${q.place}`;
    label.innerHTML = htmlOf(q.law);
    label.title = MEANING[q.law];
    const range = numberInput("range", q, `range-${q.place}`), box = numberInput("number", q, `box-${q.place}`);
    range.setAttribute("aria-label", `${wordsOf(q)}, ${MEANING[q.law]}`);
    box.setAttribute("aria-label", `${wordsOf(q)}, as a number`);
    row.append(label, range, box);
    groups.get(q.preactivation).append(row);
  }
  const axesOf = active().filter((q) => q.law !== "correlation");
  for (const id of ["phase-x", "phase-y"]) {
    axesOf.forEach((q) => byId(id).add(new Option(wordsOf(q), q.place)));
    byId(id).addEventListener("change", () => { state.phase = null; askPhase(); });
  }
  const first = axesOf.find((q) => q.law === "sigma_w") || axesOf[0];
  const second = axesOf.find((q) => q.law === "mu_b" && q.preactivation === first.preactivation) || axesOf.at(-1);
  byId("phase-x").value = first.place;
  byId("phase-y").value = second.place;
  byId("phase-of").addEventListener("change", askPhase);
}

function showVariant(name) {
  if (name !== chosen) [state.phase, state.network] = [null, null];
  choose(name);
  document.querySelectorAll("[data-variant]").forEach((e) => (e.hidden = e.dataset.variant !== name));
  if (byId("variant")) byId("variant").value = name;
  refresh();
}

function numberInput(type, q, id) {
  const input = document.createElement("input");
  Object.assign(input, { type, id, step: type === "range" ? (q.high - q.low) / 400 : "any", value: q.value });
  // A number may leave the slider's range, but not the parameter's domain.
  if (type === "range") [input.min, input.max] = [q.low, q.high];
  else if (q.law === "correlation") [input.min, input.max] = [-1, 1];
  else if (q.law !== "mu_b") input.min = 0;
  input.value = q.value;
  input.addEventListener("input", () => {
    const value = input.valueAsNumber;
    if (isFinite(value) && input.validity.valid) setParameter(q.place, value, input);
  });
  return input;
}

function setParameter(place, value, from = null) {
  state.p[place] = value;
  showParameter(value, place, from);
  refresh();
}

function showParameter(value, place, from = null) {
  for (const id of [`range-${place}`, `box-${place}`]) {
    const input = byId(id);
    if (input && input !== from) input.value = +value.toPrecision(6);
  }
}

// --- the setting in the address ------------------------------------------------------------------------

// An address may hold anything.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function fromHash() {
  const p = model.parameters.map((q) => q.value), found = { p, variant: Object.keys(variants)[0] };
  for (const part of location.hash.slice(1).split("&")) {
    const [name, text] = part.split("=").map(decoded), at = model.parameters.findIndex((q) => q.name === name);
    const value = Number(text), q = model.parameters[at];
    if (name === "variant" && Object.hasOwn(variants, text)) found.variant = text;
    if (!q || !text || !isFinite(value)) continue;
    const bad = q.law === "correlation" ? Math.abs(value) > 1 : q.law !== "mu_b" && value < 0;
    if (!bad) p[at] = value;
  }
  return found;
}

function applyHash() {
  const { p, variant } = fromHash();
  state.p = p;
  p.forEach((value, place) => showParameter(value, place));
  showVariant(variant);
}

const settingText = () => {
  const parts = active().map((q) => `${q.name}=${+state.p[q.place].toPrecision(6)}`);
  if (Object.keys(variants).length > 1) parts.unshift(`variant=${encodeURIComponent(chosen)}`);
  return parts.join("&");
};

function pythonText() {
  const value = (place) => +state.p[place].toPrecision(6);
  const laws = model.preactivations.map((k) => {
    const given = ["sigma_w", "sigma_v", "mu_b", "sigma_b"]
      .map((law, i) => [law, k.parameters[i]]).filter(([, i]) => i >= 0).map(([law, i]) => `${law}=${value(i)}`);
    return `${k.name}=dict(${given.join(", ")})`;
  });
  return `ensemble = cell.ensemble(${laws.join(", ")})\ninputs = mft.Inputs(R=${value(0)}, correlation=${value(1)})\n`;
}

async function copy(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    byId("said").textContent = words;
  } catch {
    byId("said").textContent = text;
  }
}

// --- drawing -----------------------------------------------------------------------------------------

function refresh() {
  const began = performance.now();
  state.result = evaluate(state.p);
  state.timings.evaluate = performance.now() - began;
  drawNumbers();
  drawMaps();
  drawEvolution();
  drawPhaseAxes();
  drawRecursions();
  state.timings.step = performance.now() - began;
  clearTimeout(refresh.later);
  refresh.later = setTimeout(() => {
    history.replaceState(null, "", `#${settingText()}`);
    askPhase();
    askNetwork();
  }, 60);
}

// How long a gradient lives, in a sentence.
function life(growth) {
  if (!isFinite(growth)) return "In the untied theory a gradient does not survive one step.";
  const steps = Math.abs(1 / growth);
  if (Math.abs(growth) < 1e-3) return "In the untied theory gradients neither vanish nor explode: critical to 0.001 a step.";
  const words = steps < 1 ? "within one step" : `every ${shown(steps, 3)} steps`;
  return growth < 0
    ? `In the untied theory a gradient’s square shrinks by a factor of e ${words}; a tenth is left after ${shown(Math.log(10) * steps, 3)}.`
    : `In the untied theory a gradient’s square grows by a factor of e ${words}: it explodes.`;
}

function drawNumbers() {
  const r = state.result, name = (i) => (model.states.length > 1 ? ` of ${model.states[i]}` : "");
  const entries = [];
  if (r.reached) {
    r.second.forEach((v, i) => entries.push([`Q*${name(i)}`, v]));
    programs.variances(r.reached.moments, state.p).forEach((v, k) =>
      entries.push([`q*${model.preactivations.length > 1 ? ` of ${model.preactivations[k].name}` : ""}`, v]));
    if (r.c) r.c.forEach((v, i) => entries.push([`c*${name(i)}`, v]));
    entries.push(["χ₁", r.chi_1], ["ξ_q", r.xi_q]);
    if (r.xi_c !== null) entries.push(["ξ_c", r.xi_c]);
  }
  byId("numbers").innerHTML = entries.map(([k, v]) => `<div><dt>${lowered(k)}</dt><dd>${shown(v, 5)}</dd></div>`).join("");
  byId("headline").textContent = r.reached ? life(r.growth) : "The second moment grows without bound from the zero state.";
  const notes = [];
  if (r.roots.length > 1) {
    const kinds = r.roots.filter((root) => root.stable).length;
    notes.push(`${r.roots.length} fixed points, ${kinds} of them stable; the numbers are those that the zero state reaches.`);
  }
  if (r.reached && !r.reached.stable) notes.push("The zero state stays where it is, but is unstable.");
  if (!model.cross) notes.push("No correlation map for this cell: its expectation over pairs has one pair inside another.");
  byId("note").textContent = notes.join(" ");
}

function drawMaps() {
  const r = state.result, p = state.p, at = model.drivers[0] ?? model.squares[0];
  const others = (q) => {
    const m = model.count > 1 ? stationaryAt([q], p) : [q];
    if (model.count > 1) m[at] = q;
    return m;
  };
  const simple = model.drivers.length === 1;
  byId("q-map").closest("figure").hidden = !simple;
  if (simple) {
    const map = (q) => programs.step(others(Math.max(q, 0)), p)[at];
    const values = r.roots.map((root) => [root.moments[at], root.stable]).filter(([v]) => v < 1e6);
    const largest = Math.max(...values.map(([v]) => v), 0), top = 1.3 * largest || 1;
    const small = values.filter(([v]) => v > 0).map(([v]) => v);
    const log = values.length > 1 && small.length > 1 && Math.min(...small) < 0.03 * largest;
    const range = log ? { log, low: Math.min(...small) / 10, high: 3 * largest } : { low: 0, high: top };
    drawMap(byId("q-map"), map, range, ["Q", "Q after one step"], log ? values.filter(([v]) => v > 0) : values, log ? range.low : 0);
    byId("q-says").textContent = `Stable fixed points are filled, unstable ones open; the staircase starts at ${log ? shown(range.low, 2) : "zero"}.`
      + (model.count > 1 ? " The mean is kept at its stationary value." : "");
  }
  const pairs = r.crosses && model.crossDrivers.length === 1;
  byId("c-map").closest("figure").hidden = !pairs;
  if (pairs) {
    const moments = r.reached.moments, on = model.crossDrivers[0], limit = crossLimits(moments)[on];
    const map = (c) => {
      const cross = model.crossCount > 1 ? crossStationaryAt([c * limit], moments, p) : [0];
      cross[on] = c * limit;
      return programs.crossStep(cross, moments, p)[on] / limit;
    };
    const values = r.crosses.map((root) => [root.cross[on] / limit, root.stable]);
    const low = Math.min(0, p[1], ...values.map(([v]) => v)) < 0 ? -1 : 0;
    drawMap(byId("c-map"), map, { low, high: 1 }, ["c", "c after one step"], values, 0);
    byId("c-says").innerHTML = lowered(`Two trajectories whose inputs have correlation ${shown(p[1], 3)}; the slope at the stable point gives ξ_c.`);
  }
}

function drawRecursions() {
  document.querySelectorAll("mn[data-p]").forEach((mark) => {
    mark.textContent = String(+state.p[Number(mark.dataset.p)].toPrecision(4)).replace("-", "−");
  });
}

function drawEvolution() {
  const theory = evolve(state.p, STEPS), n = state.network;
  const q = theory.map((v, t) => [t + 1, v[0]]), finite = q.map(([, v]) => v).filter(isFinite);
  const seen = n ? n.second.flat() : [];
  const high = 1.15 * Math.max(...finite, ...seen.filter((v) => v < 50 * Math.max(...finite)), 1e-12);
  const label = `Q${model.states.length > 1 ? ` of ${model.states[0]}` : ""}`;
  // What grows without bound is shown by its logarithm.
  const grows = high > 1e4 ? { log: true, low: Math.max(1e-3, Math.min(...finite)) } : { low: 0 };
  const chart = axes(byId("evolution"), { low: 0, high: STEPS, label: "step" }, { ...grows, high, label });
  const networks = n ? n.second.map((run) => chart.line(run.map((v, t) => [t + 1, v]), "network")).join("") : "";
  byId("evolution").innerHTML = chart.text + networks + chart.line(q, "theory")
    + keyOf(KEY, true);
  byId("evolution-says").textContent = n
    ? `${NETWORKS} networks of ${WIDTH} units, simulated in this page. They keep their weights from step to step (tied), as real networks do; the theory here redraws them. Where the two part, the closure is what fails.`
    : "Networks are being simulated …";
  const r = state.result, growth = r.reached ? r.growth : NaN;
  const runs = n ? n.growth.map((run) => { let sum = 0; return run.map((g, t) => [t + 1, (sum += g)]); }) : [];
  const ends = runs.flat().map(([, v]) => v).filter(isFinite);
  const lows = [0, growth * STEPS, ...ends].filter(isFinite);
  const [low, top] = [Math.min(...lows, -1), Math.max(...lows, 1)], pad = 0.08 * (top - low);
  const second = axes(byId("gradient"), { low: 0, high: STEPS, label: "step" }, { low: low - pad, high: top + pad, label: "log of the square" });
  byId("gradient").innerHTML = second.text + second.line([[0, 0], [STEPS, 0]], "diagonal")
    + runs.map((run) => second.line([[0, 0], ...run], "network")).join("")
    + (isFinite(growth) ? second.line([[0, 0], [STEPS, growth * STEPS]], "theory") : "")
    + keyOf(KEY, top > -low);
  byId("gradient-says").textContent = n ? grown(n, growth) : "Networks are being simulated …";
  byId("witness").textContent = n ? witness(n) : "";
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const ratesOf = (n) => n.growth.map((run) => mean(run.slice(STEPS / 2)));

// What the networks, which are tied, say to the headline.
function witness(n) {
  const rate = mean(ratesOf(n));
  if (!isFinite(rate)) return "";
  const way = rate < 0 ? "shrinks" : "grows";
  return `In networks of ${WIDTH} units, whose weights are tied, it ${way} by e every ${shown(Math.abs(1 / rate), 2)} steps.`;
}

// The rate at which perturbations grew in the networks' second half, with its standard error.
function grown(n, growth) {
  const rates = ratesOf(n), rate = mean(rates);
  const error = Math.sqrt(mean(rates.map((b) => (b - rate) ** 2)) / (rates.length - 1));
  if (!isFinite(rate)) return "In the networks, gradients vanish altogether.";
  const ours = isFinite(growth) ? `${shown(growth, 3)} in theory (untied)` : "no stationary state in theory (untied)";
  return `Growth a step: ${ours}, ${shown(rate, 3)} ± ${shown(error, 1)} in these networks (tied). Zero is criticality.`;
}

// --- the worker: phase map and networks ------------------------------------------------------------------

const worker = (() => {
  const text = `${byId("core").textContent}\nonmessage = (event) => postMessage(answer(event.data));`;
  const made = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  made.onmessage = ({ data }) => {
    state.busy[data.kind] = false;
    if (data.kind === "phase") drawPhase(data);
    else if (data.variant === chosen) { state.network = data; drawEvolution(); }
    const next = state.waiting[data.kind];
    state.waiting[data.kind] = null;
    if (next) ask(next);
  };
  return made;
})();
state.busy = {};
state.waiting = {};

// Only the last wish counts while the worker is at another.
function ask(wish) {
  if (state.busy[wish.kind]) state.waiting[wish.kind] = wish;
  else {
    state.busy[wish.kind] = true;
    worker.postMessage(wish);
  }
}

const phaseAxis = (id) => {
  const q = model.parameters[Number(byId(id).value)];
  return { place: Number(byId(id).value), low: q.low, high: q.high, label: wordsOf(q) };
};

function askPhase() {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y"), quantity = byId("phase-of").value;
  const rest = state.p.map((v, i) => (i === x.place || i === y.place ? 0 : v));
  const key = JSON.stringify([rest, x, y, quantity, chosen]);
  if (state.asked === key) return;
  state.asked = key;
  ask({ kind: "phase", p: rest, x, y, quantity, variant: chosen });
}

function askNetwork() {
  ask({ kind: "network", p: state.p, width: WIDTH, steps: STEPS, networks: NETWORKS, variant: chosen });
}

const PHASE_FRAME = { width: 380, height: 330, left: 52, right: 10, top: 8, bottom: 34, bare: true };

// Blue where gradients vanish, white at criticality, orange where they explode; grey: no stationary state.
function colourOf(value, quantity, range) {
  if (!isFinite(value) && !(quantity === "xi_q" && value > 0)) return [128, 128, 128];
  if (quantity === "growth") {
    const t = Math.max(-1, Math.min(1, value / 1.5)), s = Math.abs(t) ** 0.6;
    const end = t < 0 ? [0, 84, 147] : [190, 78, 0];
    return end.map((c) => Math.round(255 + (c - 255) * s));
  }
  const t = Math.max(0, Math.min(1, (Math.log(Math.max(value, 1e-12)) - range[0]) / (range[1] - range[0] || 1)));
  return [[244, 30], [248, 82], [250, 120]].map(([a, b]) => Math.round(a + (b - a) * t));
}

function drawPhase(data) {
  state.phase = data;
  state.timings.phase = data.milliseconds;
  const { values, quantity } = data, canvas = byId("phase"), n = data.count;
  const logs = Array.from(values).filter((v) => isFinite(v) && v > 1e-12).map(Math.log).sort((a, b) => a - b);
  const range = quantity === "growth" ? null : [logs[0] ?? 0, logs.at(-1) ?? 1];
  [canvas.width, canvas.height] = [n, n];
  const context = canvas.getContext("2d"), image = context.createImageData(n, n);
  for (let j = 0; j < n; j++)
    for (let i = 0; i < n; i++)
      image.data.set([...colourOf(values[j * n + i], quantity, range), 255], 4 * ((n - 1 - j) * n + i));
  context.putImageData(image, 0, 0);
  drawPhaseAxes();
  const words = {
    growth: "Blue: gradients vanish; orange: they explode; white: critical. The black line is where the sign changes, also by a jump from one fixed point to another.",
    second: range && `Pale to dark: Q from ${shown(Math.exp(range[0]), 2)} to ${shown(Math.exp(range[1]), 2)}, by its logarithm.`,
    xi_q: range && `Pale to dark: memory from ${shown(Math.exp(range[0]), 2)} to ${shown(Math.exp(range[1]), 2)} steps, by its logarithm.`,
  }[quantity];
  byId("phase-says").textContent = `${words} Grey: no stationary state. Untied theory on ${n} × ${n} points. Click to go there; arrow keys move the point.`;
}

// The line growth = 0, edge by edge of the grid's squares.
function criticalLine(data, chart, xs, ys) {
  const n = data.count, at = (i, j) => data.values[j * n + i];
  let path = "";
  for (let j = 0; j + 1 < n; j++)
    for (let i = 0; i + 1 < n; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]], cuts = [];
      corners.forEach(([a, b], k) => {
        const [c, d] = corners[(k + 1) % 4], u = at(a, b), v = at(c, d);
        if (!isFinite(u) || !isFinite(v) || u < 0 === v < 0) return;
        const t = u / (u - v);
        cuts.push(`${chart.x(xs[a] + t * (xs[c] - xs[a])).toFixed(1)} ${chart.y(ys[b] + t * (ys[d] - ys[b])).toFixed(1)}`);
      });
      if (cuts.length === 2) path += `M${cuts[0]}L${cuts[1]}`;
    }
  return `<path class="level" d="${path}"/>`;
}

function drawPhaseAxes() {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y"), f = PHASE_FRAME;
  const chart = axes(byId("phase-axes"), x, y, f), data = state.phase;
  let text = chart.text;
  if (data && data.quantity === "growth" && data.x.place === x.place && data.y.place === y.place)
    text += criticalLine(data, chart, data.xs, data.ys);
  const [a, b] = [state.p[x.place], state.p[y.place]];
  if (a <= x.high && b <= y.high && a >= x.low && b >= y.low) {
    const at = `cx="${chart.x(a)}" cy="${chart.y(b)}" r="6"`;
    text += `<circle class="here-edge" ${at}/><circle class="here" ${at}/>`;
  }
  byId("phase-axes").innerHTML = text;
  Object.assign(byId("phase").style, {
    left: `${(100 * f.left) / f.width}%`, top: `${(100 * f.top) / f.height}%`,
    width: `${(100 * (f.width - f.left - f.right)) / f.width}%`,
    height: `${(100 * (f.height - f.top - f.bottom)) / f.height}%`,
  });
}

function movePoint(a, b) {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
  const within = (v, axis) => Math.min(axis.high, Math.max(axis.low, v));
  state.p[x.place] = within(a, x);
  setParameter(x.place, within(a, x));
  if (y.place !== x.place) setParameter(y.place, within(b, y));
}

function listen() {
  const canvas = byId("phase");
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
    const [s, t] = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    movePoint(x.low + s * (x.high - x.low), y.low + t * (y.high - y.low));
  });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
    movePoint(state.p[x.place] + (move[0] * (x.high - x.low)) / 60, state.p[y.place] + (move[1] * (y.high - y.low)) / 60);
  });
  byId("reset").addEventListener("click", () => { history.replaceState(null, "", "#"); applyHash(); });
  byId("copy-code").addEventListener("click", () => copy(pythonText(), "Copied: the ensemble and the inputs of this point."));
  byId("copy-link").addEventListener("click", () => copy(`${location.href.split("#")[0]}#${settingText()}`, "Copied: a link to this setting."));
  addEventListener("hashchange", applyHash);
}

buildControls();
listen();
applyHash();
