// The answer in words and numbers: how long a gradient lives, what the stored maps say.

// Below such a growth a step gradients are said to neither vanish nor explode.
const CRITICAL = 1e-3;

// How long a gradient lives, in a sentence; nothing is said of a sign that is not beyond `errors` errors.
function life(growth, tying = "untied", error = 0, errors = 1) {
  if (!isFinite(growth)) return `In the ${tying} theory a gradient does not survive one step.`;
  const steps = Math.abs(1 / growth);
  if (Math.abs(growth) < errors * error) return `In the ${tying} theory gradients are critical within the error: their squares grow by ${plusMinus({ value: growth, error })} a step.`;
  if (Math.abs(growth) < CRITICAL) return `In the ${tying} theory gradients neither vanish nor explode: critical to ${shown(CRITICAL, 1)} a step.`;
  const words = steps < 1 ? "within one step" : `every ${shown(steps, 3)} steps`;
  return growth < 0
    ? `In the ${tying} theory a gradient’s square shrinks by a factor of e ${words}; a tenth is left after ${shown(Math.log(10) * steps, 3)}.`
    : `In the ${tying} theory a gradient’s square grows by a factor of e ${words}: it explodes.`;
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
  write(byId("numbers"), entries.map(([k, v]) => `<div><dt>${lowered(k)}</dt><dd>${shown(v, 5)}</dd></div>`).join(""));
  say(byId("headline"), headline(r));
  write(byId("stored"), MAPS.map(storedSays).join(""));
  const notes = [];
  if (r.roots.length > 1) {
    const kinds = r.roots.filter((root) => root.stable).length;
    notes.push(`${r.roots.length} fixed points, ${kinds} of them stable; the numbers are those that the zero state reaches.`);
  }
  if (r.reached && !r.reached.stable) notes.push("The zero state stays where it is, but is unstable.");
  if (model.closed && !model.cross) notes.push("No correlation map for this cell: its pairs have no series in the page.");
  say(byId("note"), notes.join(" "));
}

function headline(r) {
  if (r.reached) return life(r.growth);
  if (model.closed) return "The second moment grows without bound from the zero state.";
  const known = MAPS.find((map) => state.stored[map.tying].growth);
  if (!known) return `No theory here: ${state.stored[MAPS[0].tying].missing ?? "no growth rate is stored"}.`;
  const { value, error } = state.stored[known.tying].growth;
  // Of standard errors three, of bounds one.
  return life(value, known.tying, error, known.standardError ? 3 : 1);
}

// A value with its error, whose second digit decides how many of the value are shown.
function plusMinus({ value, error }) {
  const digits = error > 0 && value !== 0 ? Math.floor(Math.log10(Math.abs(value) / error)) + 2 : 4;
  return `${shown(value, Math.max(1, Math.min(6, digits)))} ± ${shown(error, 2)}`;
}

// What a stored map says at this setting, and that it is stored.
function storedSays(map) {
  const found = state.stored[map.tying], name = map.tying === "tied" ? "Tied" : "Untied";
  if (found.missing) return `<p><b>${name}</b> <span class="missing">no value here: ${escaped(found.missing)}.</span></p>`;
  const of = (names, i) => (names.length > 1 ? ` of ${names[i]}` : "");
  const entries = [
    ["χ₁", found.growth && { value: exp(found.growth.value), error: exp(found.growth.value) * found.growth.error }],
    ["ξ_q", found.xi_q],
    ...found.second.map((v, i) => [`Q*${of(model.states, i)}`, v]),
    ...found.variances.map((v, k) => [`q*${of(model.preactivations.map((one) => one.name), k)}`, v, "more"]),
  ].filter(([, v]) => v).map(([k, v, kind]) => `<span class="${kind ?? ""}">${lowered(k)} <b>${plusMinus(v)}</b></span>`);
  const points = map.axes.map((axis) => axis.values.length).join(" × ");
  return `<p><b>${name}</b> ${entries.join(" ")} <span class="missing more">interpolated from a stored map of ${points} points; errors are ${map.standardError ? "standard errors" : "bounds"} and what the interpolation may miss</span></p>`;
}
