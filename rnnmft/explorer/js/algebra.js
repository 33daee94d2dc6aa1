// Roots of one function on a grid, Newton's method for several, and small matrices.

// Near a root, relative to it; which dips of |gap / x| are looked into; how finely, in steps of the grid.
const CLOSED = 1e-6, NEAR = 0.34, FINEST = 1e-6, GOLDEN = (sqrt(5) - 1) / 2;

// A bracket closed by Chandrupatla's method.
function closeBracket(gap, low, high, fLow, fHigh) {
  let [a, b, c, fa, fb, fc] = [high, low, low, fHigh, fLow, fLow], t = 0.5;
  for (let round = 0; round < 100; round++) {
    const x = a + t * (b - a), fx = gap(x);
    if (sign(fx) === sign(fa)) [c, fc] = [a, fa];
    else [c, b, fc, fb] = [b, a, fb, fa];
    [a, fa] = [x, fx];
    const [best, f] = abs(fa) < abs(fb) ? [a, fa] : [b, fb];
    const least = (1e-15 * abs(best) + 1e-300) / abs(b - a);
    if (least > 0.5 || f === 0) return best;
    const xi = (a - b) / (c - b), phi = (fa - fb) / (fc - fb);
    const inverse = phi * phi < xi && square(1 - phi) < 1 - xi;
    t = inverse
      ? (fa / (fb - fa)) * (fc / (fb - fc)) + (((c - a) / (b - a)) * fa / (fc - fa)) * (fb / (fc - fb))
      : 0.5;
    t = isFinite(t) ? min(1 - least, max(least, t)) : 0.5;
  }
  return a;
}

const withPoints = (points, extra) =>
  extra.length ? [...points, ...extra].sort((p, q) => p[0] - q[0]) : points;

// Points around minima of |gap / x| that come near zero without a change of sign: two roots may hide.
function nearTangencies(gap, points) {
  const ratio = points.map(([x, f]) => (x === 0 ? NaN : f / abs(x))), found = [];
  for (let i = 1; i + 1 < points.length; i++) {
    const [l, m, r] = [ratio[i - 1], ratio[i], ratio[i + 1]];
    const dips = abs(m) < abs(l) && abs(m) <= abs(r) && abs(m) < NEAR;
    if (dips && sign(l) === sign(m) && sign(r) === sign(m) && max(abs(l), abs(r)) - abs(m) > 1e-12)
      found.push(...floorOf(gap, points[i - 1], points[i], points[i + 1]));
  }
  return found;
}

// The floor of a dip by golden sections: done where the sign changes, where the walls are lower than
// the floor is high (a smooth dip then ends above zero), or where two roots would be one.
function floorOf(gap, left, middle, right) {
  const height = ([x, f]) => abs(f / x), found = [], finest = FINEST * (right[0] - left[0]);
  while (right[0] - left[0] > finest) {
    const leftwards = middle[0] - left[0] > right[0] - middle[0];
    const x = middle[0] + (1 - GOLDEN) * ((leftwards ? left : right)[0] - middle[0]), next = [x, gap(x)];
    found.push(next);
    if (sign(next[1]) !== sign(middle[1])) break;
    if (height(next) < height(middle)) [left, middle, right] = leftwards ? [left, next, middle] : [middle, next, right];
    else if (leftwards) left = next;
    else right = next;
    if (max(height(left), height(right)) < 2 * height(middle)) break;
  }
  return found;
}

// The grid's own roots would hide the sign on their other side.
function besideZeros(points) {
  const found = [];
  points.forEach(([x, f], i) => {
    if (f !== 0 || x === 0) return;
    for (const next of [points[i - 1], points[i + 1]]) {
      if (next) for (const part of [0.3, 0.1, 1e-2, 1e-3, 1e-4]) found.push(x + (next[0] - x) * part);
    }
  });
  return found;
}

function scalarRoots(gap, grid) {
  const safe = (x) => {
    const f = gap(x);
    return Number.isNaN(f) || f === Infinity ? 1e300 : f;
  };
  let points = grid.map((x) => [x, safe(x)]);
  points = withPoints(points, besideZeros(points).map((x) => [x, safe(x)]));
  points = withPoints(points, nearTangencies(safe, points));
  const found = points.filter((p) => p[1] === 0).map((p) => p[0]);
  for (let i = 1; i < points.length; i++) {
    const [[a, fa], [b, fb]] = [points[i - 1], points[i]];
    if (sign(fa) * sign(fb) >= 0) continue;
    const x = closeBracket(safe, a, b, fa, fb);
    if (abs(safe(x)) <= CLOSED * max(abs(x), 1e-12)) found.push(x);
  }
  return found.sort((a, b) => a - b);
}

// x with A x = b, by elimination with pivots; null where A is singular. Rows are arrays.
function solveLinear(matrix, right) {
  const n = right.length, rows = matrix.map((row, i) => [...row, right[i]]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (abs(rows[i][k]) > abs(rows[pivot][k])) pivot = i;
    if (!(abs(rows[pivot][k]) > 0)) return null;
    [rows[k], rows[pivot]] = [rows[pivot], rows[k]];
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i][k] / rows[k][k];
      for (let j = k; j <= n; j++) rows[i][j] -= factor * rows[k][j];
    }
  }
  const x = new Array(n).fill(0);
  for (let i = n - 1; i >= 0; i--) {
    x[i] = rows[i][n];
    for (let j = i + 1; j < n; j++) x[i] -= rows[i][j] * x[j];
    x[i] /= rows[i][i];
  }
  return x;
}

const asRows = (flat, n) => Array.from({ length: n }, (_, i) => flat.slice(i * n, (i + 1) * n));

// The spectral radius: lim |A^k|^{1/k} over k = 2, 4, 8, .. by repeated squaring.
function spectralRadius(flat, n = Math.round(sqrt(flat.length))) {
  if (n === 1) return abs(flat[0]);
  if (n === 2) {
    const half = (flat[0] + flat[3]) / 2, gap = square((flat[0] - flat[3]) / 2) + flat[1] * flat[2];
    return gap < 0 ? sqrt(half * half - gap) : abs(half) + sqrt(gap);
  }
  let matrix = flat.slice(0, n * n), logarithm = 0, power = 1;
  for (let round = 0; round < 44; round++) {
    const size = matrix.reduce((most, x) => max(most, abs(x)), 0);
    if (!(size > 0) || !isFinite(size)) return size === 0 ? 0 : NaN;
    logarithm += log(size) / power;
    const unit = matrix.map((x) => x / size);
    matrix = new Array(n * n).fill(0);
    for (let i = 0; i < n; i++)
      for (let k = 0; k < n; k++)
        for (let j = 0; j < n; j++) matrix[i * n + j] += unit[i * n + k] * unit[k * n + j];
    power *= 2;
  }
  return exp(logarithm);
}

// Newton's method with differences, its steps halved until they help; null where it does not close.
function newton(gap, start) {
  let x = start.slice(), f = gap(x);
  const size = (v) => v.reduce((most, one) => max(most, abs(one)), 0);
  for (let round = 0; round < 60; round++) {
    const scale = 1 + size(x);
    if (!(size(f) < 1e300)) return null;
    if (size(f) < 1e-14 * scale) return x;
    const columns = x.map((value, j) => {
      const by = 1e-7 * max(abs(value), 1e-3), moved = x.slice();
      moved[j] += by;
      return gap(moved).map((g, i) => (g - f[i]) / by);
    });
    const step = solveLinear(f.map((_, i) => columns.map((c) => c[i])), f);
    if (!step) return null;
    let part = 1, next = null, value = null;
    for (; part > 1e-4; part /= 2) {
      next = x.map((v, i) => v - part * step[i]);
      value = gap(next);
      if (size(value) < size(f)) break;
    }
    if (!(size(value) < size(f))) return size(f) < 1e-10 * scale ? x : null;
    [x, f] = [next, value];
  }
  return size(f) < 1e-10 * (1 + size(x)) ? x : null;
}
