// What the page is about: its state, words and signs, and the controls of every parameter.

const byId = (id) => document.getElementById(id);
const [NETWORKS, WIDTH, STEPS] = [3, 128, 60];
const state = { p: null, result: null, phase: null, network: null, timings: {} };
const active = () => model.parameters.map((q, i) => ({ ...q, place: i })).filter((q) => q.matters);
const LETTERS = { sigma_w: "σ_w", sigma_v: "σ_v", mu_b: "μ_b", sigma_b: "σ_b", R: "R", correlation: "c" };
const KEY = [["theory", "theory, untied"], ...(stored.tied ? [["tied", "theory, tied"]] : []), ["network", "networks, tied"]];
const MAPS = Object.values(stored).filter(Boolean);
const isOnMaps = (place) => MAPS.some((map) => map.axes.some((axis) => axis.place === place));
const htmlOf = (law) => {
  const [stem, mark] = LETTERS[law].split("_");
  return mark ? `<i>${stem}</i><sub><i>${mark}</i></sub>` : `<i>${stem}</i>`;
};
// ξ_q and e_2_below with what follows the first _ set low, as HTML and within an SVG; the rest is text.
const indexed = (text, set) => escaped(text).replace(/_(\w+)/g, (_, index) => set(index.replaceAll("_", " ")));
const lowered = (text) => indexed(text, (index) => `<sub>${index}</sub>`);
const loweredInFigure = (text) => indexed(text, (index) => `<tspan dy="3">${index}</tspan><tspan dy="-3">\u200b</tspan>`);
const wordsOf = (q) => `${LETTERS[q.law]}${q.preactivation && model.preactivations.length > 1 ? ` of ${q.preactivation}` : ""}`;
const MEANING = {
  sigma_w: "standard deviation of the recurrent weights, times the square root of the width",
  sigma_v: "standard deviation of the input weights", mu_b: "mean of the biases",
  sigma_b: "standard deviation of the biases", R: "second moment of the input",
  correlation: "correlation of the two inputs",
};

function buildControls() {
  const fields = byId("fields"), groups = new Map();
  if (Object.keys(variants).length > 1) fields.append(variantControls());
  for (const q of active()) {
    if (!groups.has(q.preactivation)) {
      const group = document.createElement("fieldset"), legend = document.createElement("legend");
      legend.innerHTML = q.preactivation ? `Preactivation ${lowered(q.preactivation)}` : "Input";
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
    if (!model.closed && q.law !== "correlation" && !isOnMaps(q.place)) {
      row.classList.add("off-map");
    }
    groups.get(q.preactivation).append(row);
  }
  if (!model.closed) {
    const says = document.createElement("p");
    says.className = "missing off-map";
    says.textContent = "Marked so: not in the stored map. Where these are moved, only the networks follow.";
    fields.append(says);
  }
  buildPhaseChoices();
}

// What the phase map is of: computed here over any two parameters, or stored over its own two.
function buildPhaseChoices() {
  const axesOf = active().filter((q) => q.law !== "correlation"), theory = byId("phase-theory");
  if (model.closed) theory.add(new Option("untied", "live"));
  for (const map of MAPS) theory.add(new Option(`${map.tying}, stored`, map.tying));
  theory.parentElement.hidden = theory.length < 2;
  const toMap = () => MAPS.filter((map) => map.tying === theory.value).forEach(({ axes: [x, y] }) => setAxes(x.place, y.place));
  theory.addEventListener("change", () => { toMap(); state.phase = null; askPhase(); });
  for (const id of ["phase-x", "phase-y"]) {
    axesOf.filter((q) => model.closed || isOnMaps(q.place)).forEach((q) => byId(id).add(new Option(wordsOf(q), q.place)));
    byId(id).addEventListener("change", () => {
      if (model.closed && !isOnMaps(Number(byId(id).value))) theory.value = "live";
      state.phase = null;
      askPhase();
    });
  }
  const first = axesOf.find((q) => q.law === "sigma_w") || axesOf[0];
  const second = axesOf.find((q) => q.law === "mu_b" && q.preactivation === first.preactivation) || axesOf.at(-1);
  if (MAPS.length) setAxes(...MAPS[0].axes.map((axis) => axis.place));
  else setAxes(first.place, second.place);
  byId("phase-of").addEventListener("change", askPhase);
}

const setAxes = (x, y) => [byId("phase-x").value, byId("phase-y").value] = [x, y];

// Where the stored maps are: what they hold as they hold it, what they vary within them.
function toStored() {
  const map = MAPS[0];
  model.parameters.forEach((q, place) => {
    const axis = map.axes.find((one) => one.place === place);
    if (place === model.index.c_x) return;
    state.p[place] = axis ? Math.min(axis.values.at(-1), Math.max(axis.values[0], state.p[place])) : map.held[place];
    showParameter(state.p[place], place);
  });
  showVariant(map.variant);
}

// Names of several parts, "tanh, leak 0.2", have a choice for each part if all combinations are there;
// numbers after a common word are a slider.
function variantParts() {
  const names = Object.keys(variants), parts = names.map((name) => name.split(", "));
  const columns = parts[0].map((_, k) => [...new Set(parts.map((part) => part[k]))]);
  if (columns.reduce((all, column) => all * column.length, 1) !== names.length) return [names];
  return columns;
}

function variantControls() {
  const group = document.createElement("div");
  group.id = "variants";
  variantParts().forEach((choices, k) => {
    const label = document.createElement("label"), word = choices[0].replace(/ ?[^ ]*$/, "");
    const numbers = word && choices.every((c) => c.startsWith(`${word} `) && isFinite(c.slice(word.length)));
    const input = document.createElement(numbers ? "input" : "select"), says = document.createElement("output");
    const sorted = numbers ? [...choices].sort((a, b) => a.slice(word.length) - b.slice(word.length)) : choices;
    label.append(numbers ? word : "Variant", input, says);
    if (numbers) Object.assign(input, { type: "range", min: 0, max: sorted.length - 1, step: 1 });
    else sorted.forEach((name) => input.add(new Option(name, name)));
    input.id = k ? `variant-${k}` : "variant";
    const part = () => (numbers ? sorted[input.value] : input.value);
    input.addEventListener(numbers ? "input" : "change", () => showVariant(variantOf(k, part())));
    group.append(label);
    showVariantPart.push((own) => {
      input.value = numbers ? sorted.indexOf(own) : own;
      if (numbers) says.value = own.slice(word.length + 1);
    });
  });
  return group;
}

// What shows each part of the variant's name in its control.
const showVariantPart = [];
const partsOf = (name) => (showVariantPart.length > 1 ? name.split(", ") : [name]);
const variantOf = (k, part) => partsOf(chosen).map((own, at) => (at === k ? part : own)).join(", ");

function showVariant(name) {
  if (name !== chosen) [state.phase, state.network] = [null, null];
  choose(name);
  document.querySelectorAll("[data-variant]").forEach((e) => (e.hidden = e.dataset.variant !== name));
  partsOf(name).forEach((part, k) => showVariantPart[k]?.(part));
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
