// E[f(z)] for z ~ N(mu, q), and E[f(z_a) g(z_b)] for a pair of equal laws.
//
// A family is several functions of one law: { size, at(z, out), marks, kinked, sharpness }, where a
// mark is { place, width }: there a function bends, within that width. `sharpness` is 1 / the least.

// Beyond 9 deviations a Gaussian has 2e-19 of its mass; beside Hermite functions 11 are needed.
const REACH = 9, PAIR_REACH = 11;
// The first step of the trapezoidal rule; halving it squares the error of what is analytic.
const STEP = 0.375, LEVELS = 6, CHANGE = 1e-7;
// Deviations per bend above which the rule changes to panels that shrink towards the bends.
const SHARP = 4;
// Terms of Mehler's series, at most, and what is left of E[f^2] when it ends.
const TERMS = 4000, PANEL_TERMS = 1500, TAIL = 1e-12;

const makeFamily = (size, at, marks, kinked, fixed) => ({
  size, at, marks, kinked, fixed, sharpness: max(0.25, ...marks.map((m) => 1 / m.width)),
  total: new Float64Array(size), part: new Float64Array(size),
  weight: new Float64Array(size), before: new Float64Array(size),
});

// Gauss and Legendre's rule with 16 nodes on [-1, 1], by Newton's method.
const LEGENDRE = (() => {
  const n = 16, nodes = [], weights = [];
  for (let i = 0; i < n; i++) {
    let x = cos((PI * (i + 0.75)) / (n + 0.5)), slope = 1;
    for (let round = 0; round < 20; round++) {
      let p = 1, q = 0;
      for (let k = 1; k <= n; k++) [p, q] = [((2 * k - 1) * x * p - (k - 1) * q) / k, p];
      slope = (n * (x * p - q)) / (x * x - 1);
      x -= p / slope;
    }
    nodes.push(x);
    weights.push(2 / ((1 - x * x) * slope * slope));
  }
  return { nodes, weights };
})();

// The nodes of level k are those that the levels before it lack.
const TRAPEZOID = Array.from({ length: LEVELS }, (_, level) => {
  const step = STEP / 2 ** level, half = level ? step : 0, gap = level ? 2 * step : step;
  const places = [], weights = [];
  for (let x = half; x <= REACH + 1e-9; x += gap) {
    for (const at of x ? [x, -x] : [0]) {
      places.push(at);
      weights.push(exp(-at * at / 2) / sqrt(2 * PI));
    }
  }
  return { step, places, weights };
});

const accuracy = { change: CHANGE, unsure: 0, table: null };

function average(family, mu, q) {
  if (!(q > 0)) {
    if (q <= 0) family.at(mu, family.total);
    else family.total.fill(NaN);
    return family.total;
  }
  if (!isFinite(q)) return family.total.fill(NaN);
  return accuracy.table ? tabulated(family, mu, q) : integrate(family, mu, q);
}

function integrate(family, mu, q) {
  const deviation = sqrt(q);
  if (family.kinked || deviation * family.sharpness > SHARP) return byPanels(family, mu, deviation);
  const { size, part, total, weight, before } = family;
  total.fill(0);
  weight.fill(0);
  for (let level = 0; level < LEVELS; level++) {
    const { step, places, weights } = TRAPEZOID[level];
    for (let j = 0; j < places.length; j++) {
      family.at(mu + deviation * places[j], part);
      const w = weights[j];
      for (let i = 0; i < size; i++) {
        total[i] += w * part[i];
        weight[i] += w * abs(part[i]);
      }
    }
    let met = level > 0;
    for (let i = 0; i < size; i++) {
      const value = step * total[i];
      if (!(abs(value - before[i]) <= accuracy.change * step * weight[i])) met = false;
      before[i] = value;
    }
    if (met) return copied(before, total);
  }
  return byPanels(family, mu, deviation);
}

function copied(from, to) {
  to.set(from);
  return to;
}

// Ends of panels: they double in length away from each bend, and none is longer than `longest`.
function panelEnds(family, mu, deviation, reach, longest) {
  const ends = [-reach, reach];
  for (const { place, width } of family.marks) {
    const centre = (place - mu) / deviation;
    if (abs(centre) < reach) ends.push(centre);
    for (let away = (0.5 * width) / deviation; away < 2 * reach; away *= 2) {
      for (const end of [centre - away, centre + away]) if (abs(end) < reach) ends.push(end);
    }
  }
  ends.sort((a, b) => a - b);
  const found = [ends[0]];
  for (let i = 1; i < ends.length; i++) {
    const from = ends[i - 1], gap = ends[i] - from, count = Math.ceil(gap / longest);
    for (let k = 1; k <= count; k++) found.push(from + (gap * k) / count);
  }
  return found;
}

function byPanels(family, mu, deviation) {
  const { size, part, total } = family;
  const ends = panelEnds(family, mu, deviation, REACH, 1.5);
  total.fill(0);
  for (let k = 1; k < ends.length; k++) {
    const half = (ends[k] - ends[k - 1]) / 2, centre = (ends[k] + ends[k - 1]) / 2;
    for (let j = 0; j < 16; j++) {
      const x = centre + half * LEGENDRE.nodes[j];
      const w = half * LEGENDRE.weights[j] * exp(-x * x / 2) / sqrt(2 * PI);
      family.at(mu + deviation * x, part);
      for (let i = 0; i < size; i++) total[i] += w * part[i];
    }
  }
  return total;
}

// --- pairs: Mehler's series, E[f(z_a) g(z_b)] = sum_k a_k b_k rho^k ---------------------------------

const makePairs = (family, products) => ({
  family, products, mu: NaN, q: NaN, series: null, whole: null, out: new Float64Array(products.length),
});

// Nodes x with weights w(x) (2 pi)^{-1/4} exp(-x^2 / 4): Hermite functions hold the other half.
function pairRule(family, mu, deviation, terms, smooth) {
  const places = [], weights = [];
  if (smooth) {
    const step = min(0.2, 2 / sqrt(terms));
    for (let x = -PAIR_REACH; x <= PAIR_REACH; x += step) {
      places.push(x);
      weights.push(step);
    }
  } else {
    const ends = panelEnds(family, mu, deviation, PAIR_REACH, 0.5);
    for (let k = 1; k < ends.length; k++) {
      const half = (ends[k] - ends[k - 1]) / 2, centre = (ends[k] + ends[k - 1]) / 2;
      for (let j = 0; j < 16; j++) {
        places.push(centre + half * LEGENDRE.nodes[j]);
        weights.push(half * LEGENDRE.weights[j]);
      }
    }
  }
  const envelope = places.map((x) => exp(-x * x / 4) / (2 * PI) ** 0.25);
  return { places, envelope, weights };
}

function expand(pairs, mu, q) {
  const { family, products } = pairs, { size, part } = family, deviation = sqrt(q);
  const spread = deviation * family.sharpness;
  const smooth = !family.kinked && spread < 10;
  const terms = smooth ? min(TERMS, 60 + Math.ceil(50 * spread * spread)) : PANEL_TERMS;
  const { places, envelope, weights } = pairRule(family, mu, deviation, terms, smooth);
  const n = places.length;
  const values = Array.from({ length: size }, () => new Float64Array(n));
  for (let j = 0; j < n; j++) {
    family.at(mu + deviation * places[j], part);
    for (let i = 0; i < size; i++) values[i][j] = part[i] * envelope[j] * weights[j];
  }
  const norm = values.map((v) => v.reduce((sum, x, j) => sum + (x * x) / weights[j], 0));
  pairs.whole = products.map(([i, k]) =>
    values[i].reduce((sum, x, j) => sum + (x * values[k][j]) / weights[j], 0));
  const coefficients = values.map(() => []), left = norm.slice();
  let now = Float64Array.from(envelope), before = new Float64Array(n);
  for (let k = 0; k < terms; k++) {
    for (let i = 0; i < size; i++) {
      const row = values[i];
      let sum = 0;
      for (let j = 0; j < n; j++) sum += row[j] * now[j];
      coefficients[i].push(sum);
      left[i] -= sum * sum;
    }
    if (left.every((rest, i) => rest <= TAIL * norm[i])) break;
    const up = 1 / sqrt(k + 1), down = sqrt(k);
    for (let j = 0; j < n; j++) before[j] = (places[j] * now[j] - down * before[j]) * up;
    [now, before] = [before, now];
  }
  pairs.series = products.map(([i, k]) =>
    Float64Array.from(coefficients[i], (a, at) => a * coefficients[k][at]));
  [pairs.mu, pairs.q] = [mu, q];
}

function pairAverage(pairs, mu, q, covariance) {
  const { out, products, family } = pairs;
  if (!(q > 0)) {
    family.at(mu, family.part);
    products.forEach(([i, k], at) => (out[at] = family.part[i] * family.part[k]));
    return out;
  }
  if (pairs.mu !== mu || pairs.q !== q) expand(pairs, mu, q);
  const rho = max(-1, min(1, covariance / q));
  for (let at = 0; at < out.length; at++) {
    if (rho >= 1 - 1e-15) {
      out[at] = pairs.whole[at];
      continue;
    }
    const series = pairs.series[at];
    let total = 0;
    for (let k = series.length - 1; k >= 0; k--) total = total * rho + series[k];
    out[at] = total;
  }
  return out;
}
