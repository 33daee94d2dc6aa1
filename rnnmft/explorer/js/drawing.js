// What follows a change: numbers, maps, networks, the recursion.

function keepLink(hash) {
  if (hasAddress) history.replaceState(null, "", hash);
}

function refresh() {
  const began = performance.now();
  state.result = model.closed ? evaluate(state.p) : { roots: [], reached: null, growth: NaN };
  state.stored = Object.fromEntries(MAPS.map((map) => [map.tying, storedAt(map, state.p)]));
  state.timings.evaluate = performance.now() - began;
  drawNumbers();
  drawMaps();
  drawPhaseAxes();
  drawRecursions();
  state.timings.step = performance.now() - began;
  // The networks follow later anyway: their charts are drawn once a frame, however many steps it has.
  state.timings.frame = null;
  cancelAnimationFrame(refresh.frame);
  refresh.frame = requestAnimationFrame(() => {
    const starts = performance.now();
    drawEvolution();
    state.timings.frame = performance.now() - starts;
  });
  clearTimeout(refresh.later);
  refresh.later = setTimeout(() => {
    keepLink(`#${settingText()}`);
    askPhase();
    askNetwork();
  }, 60);
}

// Its lines in a chart of networks: [value, class] of one quantity, for each map that knows it.
const storedLines = (of) => MAPS.map((map) => [of(state.stored[map.tying]), map.tying === "tied" ? "tied" : "theory"])
  .filter(([found]) => found).map(([found, kind]) => [found.value, kind]);

function drawMaps() {
  if (!model.closed) {
    for (const id of ["q-map", "c-map"]) byId(id).closest("figure").hidden = true;
    return;
  }
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
    say(byId("q-says"), `Stable fixed points are filled, unstable ones open; the staircase starts at ${log ? shown(range.low, 2) : "zero"}.`
      + (model.count > 1 ? " The mean is kept at its stationary value." : ""));
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
    write(byId("c-says"), lowered(`Two trajectories whose inputs have correlation ${shown(p[1], 3)}; the slope at the stable point gives ξ_c.`));
  }
}

function drawRecursions() {
  document.querySelectorAll("mn[data-p]").forEach((mark) => {
    say(mark, String(+state.p[Number(mark.dataset.p)].toPrecision(4)).replace("-", "−"));
  });
}

function drawEvolution() {
  const theory = model.closed ? evolve(state.p, STEPS) : [], n = state.network;
  const levels = storedLines((found) => found.second?.[0]);
  const q = theory.map((v, t) => [t + 1, v[0]]), finite = q.map(([, v]) => v).filter(isFinite);
  const seen = n ? n.second.flat() : [];
  const high = 1.15 * Math.max(...finite, ...levels.map(([v]) => v), ...seen.filter((v) => !finite.length || v < 50 * Math.max(...finite)), 1e-12);
  const label = `Q${model.states.length > 1 ? ` of ${model.states[0]}` : ""}`;
  // What grows without bound is shown by its logarithm.
  const grows = high > 1e4 ? { log: true, low: Math.max(1e-3, Math.min(...finite, 1)) } : { low: 0 };
  const chart = axes(byId("evolution"), { low: 0, high: STEPS, label: "step" }, { ...grows, high, label });
  const networks = n ? n.second.map((run) => chart.line(run.map((v, t) => [t + 1, v]), "network")).join("") : "";
  drawChart(byId("evolution"), chart.text, networks + chart.line(q, "theory")
    + levels.map(([v, kind]) => chart.line([[0, v], [STEPS, v]], `${kind} stored`)).join("")
    + keyOf(KEY, true));
  say(byId("evolution-says"), n
    ? `${NETWORKS} networks of ${WIDTH} units, simulated in this page. They keep their weights from step to step (tied), as real networks do; the untied theory redraws them. Where the two part, the closure is what fails.${levels.length ? " Dashed: where a stored map has the second moment settle." : ""}`
    : "Networks are being simulated …");
  const r = state.result, growth = r.reached ? r.growth : NaN;
  const runs = n ? n.growth.map((run) => { let sum = 0; return run.map((g, t) => [t + 1, (sum += g)]); }) : [];
  const ends = runs.flat().map(([, v]) => v).filter(isFinite);
  const rates = storedLines((found) => found.growth);
  const lows = [0, growth * STEPS, ...rates.map(([v]) => v * STEPS), ...ends].filter(isFinite);
  const [low, top] = [Math.min(...lows, -1), Math.max(...lows, 1)], pad = 0.08 * (top - low);
  const second = axes(byId("gradient"), { low: 0, high: STEPS, label: "step" }, { low: low - pad, high: top + pad, label: "log of the square" });
  drawChart(byId("gradient"), second.text, second.line([[0, 0], [STEPS, 0]], "diagonal")
    + runs.map((run) => second.line([[0, 0], ...run], "network")).join("")
    + (isFinite(growth) ? second.line([[0, 0], [STEPS, growth * STEPS]], "theory") : "")
    + rates.map(([v, kind]) => second.line([[0, 0], [STEPS, v * STEPS]], `${kind} stored`)).join("")
    + keyOf(KEY, top > -low));
  say(byId("gradient-says"), n ? grown(n, growth) : "Networks are being simulated …");
  drawSpectrum(n);
  say(byId("witness"), n ? witness(n) : "");
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

// The rate at which perturbations grew in the networks' second half, with its standard error.
function rateOf(n) {
  const rates = n.growth.map((run) => mean(run.slice(STEPS / 2))), rate = mean(rates);
  return { rate, error: Math.sqrt(mean(rates.map((b) => (b - rate) ** 2)) / (rates.length - 1)) };
}

// What the networks, which are tied, say to the headline.
function witness(n) {
  const { rate, error } = rateOf(n);
  if (!isFinite(rate)) return "";
  if (Math.abs(rate) < 3 * error) return `In ${NETWORKS} networks of ${WIDTH} units, whose weights are tied, whether it grows or shrinks is not beyond what they differ by.`;
  const way = rate < 0 ? "shrinks" : "grows";
  return `In networks of ${WIDTH} units, whose weights are tied, it ${way} by e every ${shown(Math.abs(1 / rate), 2)} steps.`;
}

// That rate beside the theories.
function grown(n, growth) {
  const { rate, error } = rateOf(n);
  if (!isFinite(rate)) return "In the networks, gradients vanish altogether.";
  const live = isFinite(growth) ? `${shown(growth, 3)} in theory (untied)` : "no stationary state in theory (untied)";
  const others = MAPS.map((map) => [map.tying, state.stored[map.tying].growth]).filter(([, v]) => v)
    .map(([tying, v]) => `${plusMinus(v)} in theory (${tying}, stored)`);
  const ours = [...(model.closed ? [live] : []), ...others].join(", ") || "no theory here";
  return `Growth a step: ${ours}, ${shown(rate, 3)} ± ${shown(error, 1)} in these networks (tied). Zero is criticality.`;
}

// Of the first network; for one state the theory knows their mean square, which is chi_1.
function drawSpectrum(n) {
  if (!n || !n.singular.every(isFinite)) {
    drawChart(byId("spectrum"), "", "");
    say(byId("spectrum-says"), n ? "The network has overflowed." : "Networks are being simulated …");
    return;
  }
  const bins = 24, r = state.result, chi = r.reached && model.stateCount === 1 ? Math.sqrt(r.chi_1) : NaN;
  const high = 1.05 * Math.max(...n.singular, 1e-9), d = state.density, own = d && d.p.join() === n.p.join() && d.variant === n.variant;
  const counts = new Array(bins).fill(0);
  n.singular.forEach((v) => counts[Math.min(bins - 1, Math.floor((v / high) * bins))]++);
  const chart = axes(byId("spectrum"), { low: 0, high, label: "singular value" }, { low: 0, high: 1.1 * Math.max(...counts), label: "how many" });
  const bars = counts.map((count, k) => {
    const [x, y] = [chart.x((k * high) / bins), chart.y(count)];
    return `<rect class="bar" x="${x}" y="${y}" width="${chart.x(((k + 1) * high) / bins) - x - 1}" height="${chart.y(0) - y}"/>`;
  });
  const curve = own ? d.places.map((s, i) => [s, (d.density[i] * n.singular.length * high) / bins]) : [];
  drawChart(byId("spectrum"), chart.text, bars.join("")
    + chart.line(curve, "theory") + (isFinite(chi) ? chart.line([[chi, 0], [chi, 1e9]], "theory stored") : ""));
  say(byId("spectrum-says"), "The state-to-state Jacobian of the first network at the last step; an isometry has all of them at 1."
    + (own ? ` The curve is their density in wide networks of units like these (${d.units} of them).` : "")
    + (isFinite(chi) && chi < high ? " Dashed: their root mean square in the untied theory, √χ₁." : ""));
}
