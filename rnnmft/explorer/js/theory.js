// The untied theory of the cell at one setting p: fixed points, correlations, timescales.
//
// `programs` is generated from the derived expressions: step(m, p), linear(m, p), slope(m, p),
// tangent(m, p), crossStep(c, m, p), .. each returns a fresh array. Moments m start at zero.

// Where roots are bracketed, 8 points a decade. Between two of them Q grows by a third: where a growing
// map G touches Q in between, |G(Q)/Q - 1| at one of the two is below NEAR.
const GRID = [0, ...Array.from({ length: 121 }, (_, i) => 10 ** (-10 + i / 8)), 1e6, 1e7, 1e8];
const BESIDE = 1e-14, MOST_STEPS = 4000, EVERY = 20, NEAREST = 0.05;
const size = (v) => v.reduce((most, x) => max(most, abs(x)), 0);
const distance = (u, v) => u.reduce((most, x, i) => max(most, abs(x - v[i])), 0);

// Stationary moments of an affine map (matrix row by row, then its constant); inf where it grows.
function solveStationary(flat, n) {
  for (let i = 0; i < flat.length; i++) if (!isFinite(flat[i])) return new Array(n).fill(NaN);
  if (n === 1) return [abs(flat[0]) < 1 ? flat[1] / (1 - flat[0]) : Infinity];
  if (!(spectralRadius(flat, n) < 1)) return new Array(n).fill(Infinity);
  if (n === 2) {
    const [a, b, c, d, u, v] = flat, whole = (1 - a) * (1 - d) - b * c;
    return [((1 - d) * u + b * v) / whole, (c * u + (1 - a) * v) / whole];
  }
  const constant = flat.slice(n * n);
  const rows = asRows(flat, n).map((row, i) => row.map((x, j) => (i === j) - x));
  return solveLinear(rows, constant) || new Array(n).fill(Infinity);
}

function stationaryAt(driver, p) {
  const moments = new Array(model.count).fill(0);
  model.drivers.forEach((at, i) => (moments[at] = driver[i]));
  return solveStationary(programs.linear(moments, p), model.count);
}

function severalRoots(stationary, drivers, starts) {
  const gap = (d) => {
    const found = stationary(d);
    return drivers.map((at, i) => (isFinite(found[at]) ? found[at] - d[i] : 1e10));
  };
  const found = [];
  for (const start of starts) {
    const solved = newton(gap, start);
    if (!solved) continue;
    const moments = stationary(solved), scale = 1 + size(moments);
    if (!moments.every(isFinite)) continue;
    if (found.every((other) => distance(other, moments) > 1e-6 * scale)) found.push(moments);
  }
  return found;
}

// All fixed points, by increasing moments: { moments, slope, stable }.
function fixedPoints(p) {
  const at = model.drivers[0];
  let found;
  if (!model.drivers.length) found = [stationaryAt([], p)].filter((m) => m.every(isFinite));
  else if (model.drivers.length === 1) {
    const grid = GRID.filter((q) => q <= model.largest);
    const roots = scalarRoots((q) => stationaryAt([q], p)[at] - q, grid);
    found = roots.map((q) => stationaryAt([q], p));
  } else {
    const even = model.drivers.map((i) => model.even[i]);
    const starts = [];
    for (let k = 0; k < 11; k++) {
      const second = 10 ** (-3 + k / 2);
      for (const side of even.every(Boolean) ? [0] : [0, 1, -1])
        starts.push(even.map((is) => (is ? second : side * 0.5 * sqrt(second))));
    }
    let followed = new Array(model.count).fill(0);
    for (let t = 0; t < 200 && followed.every(isFinite); t++) followed = programs.step(followed, p);
    if (followed.every(isFinite)) starts.push(model.drivers.map((i) => followed[i]));
    found = severalRoots((d) => stationaryAt(d, p), model.drivers, starts)
      .filter((m) => m.every((x, i) => !model.even[i] || x >= -1e-12))
      .sort((a, b) => a[at] - b[at]);
  }
  return found.map((moments) => {
    const beside = moments.map((x, i) => (model.even[i] && x === 0 ? BESIDE : x));
    const slope = spectralRadius(programs.slope(beside, p));
    return { moments, slope, stable: slope < 1 };
  });
}

function restsAt(found, moments, p) {
  const moved = distance(programs.step(moments, p), moments);
  if (!(moved <= 1e-13 * size(moments))) return null;
  return found.find((r) => distance(r.moments, moments) <= 1e-6 * size(moments)) || null;
}

function nearestRoot(found, at, ratio, of = (root) => root.moments) {
  const sorted = found.map((r) => [distance(of(r), at), r]).sort((a, b) => a[0] - b[0]);
  return sorted.length < 2 || sorted[0][0] < ratio * sorted[1][0] ? sorted[0][1] : null;
}

// The fixed point that the recursion reaches from the zero state; null where it diverges.
function reachedRoot(found, p) {
  let moments = new Array(model.count).fill(0);
  const resting = restsAt(found, moments, p);
  if (resting && !resting.stable) return resting;
  const stable = found.filter((r) => r.stable);
  if (!stable.length) return null;
  if (found.length === 1) return stable[0];
  for (let t = 0; t < MOST_STEPS; t++) {
    const next = programs.step(moments, p), moved = distance(next, moments);
    if (!next.every(isFinite)) return null;
    moments = next;
    if (t % EVERY === EVERY - 1) {
      const near = nearestRoot(found, moments, NEAREST);
      if (near && near.stable) return near;
    }
    if (moved <= 1e-14 * size(moments)) break;
  }
  const near = nearestRoot(found, moments, 0.5);
  return near && near.stable ? near : null;
}

// --- two trajectories ------------------------------------------------------------------------------

const crossLimits = (moments) => model.crossSquares.map(([a, b]) => sqrt(moments[a] * moments[b]));

function crossStationaryAt(driver, moments, p) {
  const cross = new Array(model.crossCount).fill(0);
  model.crossDrivers.forEach((at, i) => (cross[at] = driver[i]));
  return solveStationary(programs.crossLinear(cross, moments, p), model.crossCount);
}

function crossRoots(moments, p) {
  const limits = model.crossDrivers.map((i) => crossLimits(moments)[i]);
  const stationary = (d) => crossStationaryAt(d, moments, p);
  let found;
  if (!model.crossDrivers.length) found = [stationary([])].filter((c) => c.every(isFinite));
  else if (model.crossDrivers.length === 1) {
    const at = model.crossDrivers[0], limit = limits[0];
    const grid = Array.from({ length: 33 }, (_, i) => -limit * cos((PI * i) / 32));
    [grid[0], grid[16], grid[32]] = [-limit, 0, limit];
    const gap = (c) => {
      const away = stationary([c])[at] - c;
      const end = abs(abs(c) - limit) <= 1e-14 * limit;
      return end && abs(away) < 1e-9 * limit ? 0 : away;
    };
    found = scalarRoots(gap, grid).map((c) => stationary([c]));
  } else {
    const starts = [-0.9, -0.5, 0, 0.3, 0.6, 0.9, 0.99, 1].map((c) => limits.map((l) => c * l));
    found = severalRoots(stationary, model.crossDrivers, starts)
      .filter((c) => model.crossDrivers.every((at, i) => abs(c[at]) <= limits[i] * (1 + 1e-9)));
  }
  return found.map((cross) => {
    const slope = spectralRadius(programs.crossSlope(cross, moments, p));
    return { cross, slope, stable: slope < 1 };
  });
}

// That which two trajectories from zero reach; decided where the moments stay and one root is far nearer.
function reachedCross(found, settled, p) {
  const stable = found.filter((r) => r.stable);
  if (stable.length < 2) return stable[0] || null;
  let moments = new Array(model.count).fill(0), cross = new Array(model.crossCount).fill(0);
  for (let t = 0; t < 300; t++) {
    const next = programs.crossStep(cross, moments, p);
    const moved = distance(next, cross);
    [moments, cross] = [programs.step(moments, p), next];
    if (moved <= 1e-13 * size(moments)) break;
    if (distance(moments, settled) > 1e-3 * size(settled)) continue;
    const near = nearestRoot(found, cross, NEAREST, (root) => root.cross);
    if (near && near.stable) return near;
  }
  return stable.reduce((a, b) => (distance(b.cross, cross) < distance(a.cross, cross) ? b : a));
}

// --- what a setting means ---------------------------------------------------------------------------

const timescale = (slope) => (slope === 0 ? 0 : slope < 1 ? -1 / log(slope) : Infinity);

function chiOne(moments, p) {
  const higher = model.higher ? solveStationary(programs.higher(moments, p), model.higher) : [];
  return spectralRadius(programs.tangent([...moments, ...higher], p));
}

// Everything at one setting. Undefined quantities are null; c is of the first state.
function evaluate(p) {
  const roots = fixedPoints(p), reached = reachedRoot(roots, p);
  const result = { roots, reached, second: null, xi_q: null, chi_1: null, c: null, xi_c: null };
  if (!reached) return result;
  const { moments } = reached;
  Object.assign(result, {
    second: model.squares.map((i) => moments[i]),
    xi_q: timescale(reached.slope),
    chi_1: chiOne(moments, p),
  });
  result.growth = log(result.chi_1);
  if (!model.cross || !model.squares.every((i) => moments[i] > 0)) return result;
  result.crosses = crossRoots(moments, p);
  const chosen = reachedCross(result.crosses, moments, p);
  if (!chosen) return result;
  result.c = model.pairs.map((i, s) => chosen.cross[i] / moments[model.squares[s]]);
  result.xi_c = timescale(chosen.slope);
  return result;
}

// Second moments of each state after 1, .., steps updates from zero.
function evolve(p, steps) {
  let moments = new Array(model.count).fill(0);
  return Array.from({ length: steps }, () => {
    moments = programs.step(moments, p);
    return model.squares.map((i) => moments[i]);
  });
}
