// The picture of a phase map, its axes and its point.

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
    growth: `Blue: gradients vanish; orange: they explode; white: critical. ${data.theory === "tied"
      ? "The violet line is where the sign changes; dotted: where it would be if the rate erred by its error."
      : "The black line is where the sign changes, also by a jump from one fixed point to another."}`,
    second: range && `Pale to dark: Q from ${shown(Math.exp(range[0]), 2)} to ${shown(Math.exp(range[1]), 2)}, by its logarithm.`,
    xi_q: range && `Pale to dark: memory from ${shown(Math.exp(range[0]), 2)} to ${shown(Math.exp(range[1]), 2)} steps, by its logarithm.`,
  }[quantity];
  say(byId("phase-says"), `${words} ${originOf(data)} Click to go there; arrow keys move the point.`);
}

// Where a map's numbers come from.
function originOf({ theory, count, values, over }) {
  const onto = (map) => map.axes.map((axis) => axis.values.length).join(" × ");
  if (theory !== "live") {
    const empty = !values.some(isFinite) ? ` Nothing here: ${placeOnMap(stored[theory], state.p).missing ?? "no point of it has a value"}.` : "";
    return `${theory === "tied" ? "Tied" : "Untied"} theory, interpolated from a stored map of ${onto(stored[theory])} points; grey: no value.${empty}`;
  }
  const own = `Grey: no stationary state. Untied theory on ${count} × ${count} points.`;
  if (!over) return own;
  return over.values.some(isFinite)
    ? `${own} Violet: where the tied theory is critical, interpolated from a stored map of ${onto(stored.tied)} points; dotted: within its error.`
    : `${own} No tied line: ${placeOnMap(stored.tied, state.p).missing ?? "no point of the stored map has a value"}.`;
}

// The line growth = 0, edge by edge of the grid's squares.
function criticalLine(values, chart, xs, ys, kind) {
  const n = xs.length, at = (i, j) => values[j * n + i];
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
  return `<path class="${kind}" d="${path}"/>`;
}

// That of the map; over it that of tied weights, and where it would be if its rate erred by its error.
function criticalLines({ values, over, xs, ys, theory }, chart) {
  const line = (of, kind) => criticalLine(of, chart, xs, ys, kind);
  if (!over) return line(values, "level");
  const moved = (sign) => over.values.map((v, k) => v + sign * over.errors[k]);
  return (theory === "tied" ? "" : line(values, "level"))
    + line(moved(1), "level-error") + line(moved(-1), "level-error") + line(over.values, "level-tied");
}

function drawPhaseAxes() {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y"), f = PHASE_FRAME;
  const chart = axes(byId("phase-axes"), x, y, f), data = state.phase;
  let text = "";
  if (data && data.quantity === "growth" && data.x.place === x.place && data.y.place === y.place)
    text += data.lines ??= criticalLines(data, chart);
  const [a, b] = [state.p[x.place], state.p[y.place]];
  if (a <= x.high && b <= y.high && a >= x.low && b >= y.low) {
    const at = `cx="${chart.x(a)}" cy="${chart.y(b)}" r="6"`;
    text += `<circle class="here-edge" ${at}/><circle class="here" ${at}/>`;
  }
  drawChart(byId("phase-axes"), chart.text, text);
  Object.assign(byId("phase").style, {
    left: `${(100 * f.left) / f.width}%`, top: `${(100 * f.top) / f.height}%`,
    width: `${(100 * (f.width - f.left - f.right)) / f.width}%`,
    height: `${(100 * (f.height - f.top - f.bottom)) / f.height}%`,
  });
}
