// A small network of the cell with tied weights: one W at every step, as a real network has.

// Normal numbers from a seed (mulberry32, Box and Muller), so that a picture can be made again.
function normals(seed) {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0, spare = null;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const radius = sqrt(-2 * log(1 - uniform())), angle = 2 * PI * uniform();
    spare = radius * sin(angle);
    return radius * cos(angle);
  };
}

function multiply(matrix, vector, out) {
  const n = vector.length;
  for (let i = 0, at = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += matrix[at++] * vector[j];
    out[i] = sum;
  }
  return out;
}

// Mean squares of each state over time, two trajectories' correlation, and a perturbation's growth.
function simulateNetwork(p, width, steps, seed) {
  const draw = normals(seed), { unit } = programs, states = model.stateCount;
  const filled = (deviation, count = width) => Float64Array.from({ length: count }, () => deviation * draw());
  const R = p[model.index.R], c = p[model.index.c_x];
  const laws = model.preactivations.map((k) => {
    const [w, v, mu, b] = k.parameters.map((i) => (i < 0 ? 0 : p[i]));
    const bias = filled(b).map((x) => x + mu);
    return { W: filled(w / sqrt(width), width * width), v, bias, seen: new Float64Array(width) };
  });
  // A unit's own parameters: one of the quantiles of their law each.
  const own = model.own.map((q) => filled(1).map((x) => q[min(q.length - 1, Math.floor(q.length * act.gaussian_cdf(x)))]));
  const runs = [0, 1].map(() => ({
    own, a: new Float64Array(model.averages), e: laws.map(() => new Float64Array(width)),
    s: Array.from({ length: states }, () => new Float64Array(width)),
  }));
  const tangent = Array.from({ length: states }, () => filled(1));
  let columns = null, local = null;
  const second = [], correlation = [], growth = [];
  for (let t = 0; t < steps; t++) {
    const common = filled(sqrt(R)), other = filled(sqrt(R));
    const xs = [common, common.map((x, i) => c * x + sqrt(max(0, 1 - c * c)) * other[i])];
    // V x of a wide input: Gaussian in every unit, correlated as the inputs are.
    const driven = laws.map((law) => {
      const a = filled(law.v * sqrt(R)), b = filled(law.v * sqrt(R));
      return [a, a.map((x, i) => c * x + sqrt(max(0, 1 - c * c)) * b[i])];
    });
    runs.forEach((run, side) => {
      const x = xs[side];
      for (const [kind, k] of unit.order) {
        if (kind === "a") { run.a[k] = overUnits(width, (i) => unit.averages[k](run, i, x[i])); continue; }
        const law = laws[k];
        for (let i = 0; i < width; i++) law.seen[i] = unit.sees[k](run, i, x[i]);
        multiply(law.W, law.seen, run.e[k]);
        for (let i = 0; i < width; i++) run.e[k][i] += driven[k][side][i] + law.bias[i];
      }
      const moved = side === 0 ? movedTangent(laws, run, x, tangent) : null;
      if (side === 0 && t === steps - 1) {
        columns = jacobianColumns(laws, run, x, states, width);
        local = localDerivatives(run, x);
      }
      run.s = unit.update.map((f) => Float64Array.from(x, (value, i) => f(run, i, value)));
      if (side === 0) growth.push(rescaled(tangent, moved));
    });
    second.push(runs[0].s.map((s) => overUnits(width, (i) => s[i] * s[i])));
    const [u, v] = [runs[0].s[0], runs[1].s[0]], product = (f, g) => overUnits(width, (i) => f[i] * g[i]);
    correlation.push(product(u, v) / sqrt(product(u, u) * product(v, v)));
  }
  return { second, correlation, growth, columns, local };
}

function overUnits(width, f) {
  let sum = 0;
  for (let i = 0; i < width; i++) sum += f(i);
  return sum / width;
}

// A perturbation of the states after the step that the run is in: all its preactivations are known.
function movedTangent(laws, run, x, ds) {
  const { unit } = programs, width = x.length, de = laws.map(() => new Float64Array(width)), da = new Float64Array(model.averages);
  for (const [kind, k] of unit.order) {
    if (kind === "a") { da[k] = overUnits(width, (i) => unit.averagesTangent[k](run, i, x[i], ds, de, da)); continue; }
    const law = laws[k];
    for (let i = 0; i < width; i++) law.seen[i] = unit.seesTangent[k](run, i, x[i], ds, de, da);
    multiply(law.W, law.seen, de[k]);
  }
  return unit.updateTangent.map((f) => Float64Array.from(x, (value, i) => f(run, i, value, ds, de, da)));
}

// Each unit's answers with the weights cut out: new states, then what each W sees (rows), to
// perturbations of the old states, then of each preactivation (columns).
function localDerivatives(run, x) {
  const { unit } = programs, [m, K] = [model.stateCount, model.preactivations.length], da = new Float64Array(model.averages);
  const rows = [...unit.updateTangent, ...unit.seesTangent], n = m + K;
  const basis = (i, at) => Array.from({ length: n }, (_, k) => { const v = []; v[i] = k === at ? 1 : 0; return v; });
  return Array.from(x, (value, i) => {
    const found = new Float64Array(n * n);
    for (let column = 0; column < n; column++) {
      const moved = basis(i, column);
      rows.forEach((f, row) => (found[row * n + column] = f(run, i, value, moved.slice(0, m), moved.slice(m), da)));
    }
    return found;
  });
}

// The columns of the one-step Jacobian of all states.
function jacobianColumns(laws, run, x, states, width) {
  return Array.from({ length: states * width }, (_, at) => {
    const basis = Array.from({ length: states }, () => new Float64Array(width));
    basis[Math.floor(at / width)][at % width] = 1;
    const moved = movedTangent(laws, run, x, basis), column = new Float64Array(states * width);
    moved.forEach((v, a) => column.set(v, a * width));
    return column;
  });
}

// Singular values, largest first: Jacobi rotations until all columns are orthogonal (Hestenes).
function singularValues(columns) {
  const dot = (u, v) => { let sum = 0; for (let i = 0; i < u.length; i++) sum += u[i] * v[i]; return sum; };
  const n = columns.length;
  for (let sweep = 0, turned = true; sweep < 30 && turned; sweep++) {
    turned = false;
    for (let k = 0; k < n; k++)
      for (let l = k + 1; l < n; l++) {
        const [u, v] = [columns[k], columns[l]], [a, b, c] = [dot(u, u), dot(v, v), dot(u, v)];
        if (!(abs(c) > 1e-9 * sqrt(a * b))) continue;
        turned = true;
        const zeta = (b - a) / (2 * c), t = (zeta < 0 ? -1 : 1) / (abs(zeta) + sqrt(1 + zeta * zeta));
        const cosine = 1 / sqrt(1 + t * t), sine = cosine * t;
        for (let i = 0; i < u.length; i++) [u[i], v[i]] = [cosine * u[i] - sine * v[i], sine * u[i] + cosine * v[i]];
      }
  }
  return columns.map((u) => sqrt(dot(u, u))).sort((a, b) => b - a);
}

// log of how much a perturbation's square grew in this step; it is then made of size 1 again.
function rescaled(tangent, moved) {
  let before = 0, after = 0;
  for (const v of tangent) for (const x of v) before += x * x;
  for (const v of moved) for (const x of v) after += x * x;
  const scale = after > 0 ? sqrt(before / after) : 0;
  moved.forEach((v, a) => v.forEach((x, i) => (tangent[a][i] = x * scale)));
  return log(after / before);
}
