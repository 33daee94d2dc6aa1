// E[f(z)] for z ~ N(mu, q).
//
// A family is several functions of one law: { size, at(z, out), marks, kinked, sharpness }, where a
// mark is { place, width }: there a function bends, within that width (endless where straight lines
// meet in a kink). `sharpness` is 1 / the least width.

// Beyond 9 deviations a Gaussian has 2e-19 of its mass.
const REACH = 9;
// The first step of the trapezoidal rule; halving it squares the error of what is analytic.
const STEP = 0.375, LEVELS = 6, CHANGE = 1e-6;
// Deviations that a panel spans at most: 16 nodes are exact to rounding for a Gaussian times a
// polynomial over the longer, and over the shorter for what bends.
const LONGEST = 1.5, LONGEST_STRAIGHT = 4.5;
// Deviations per bend above which the rule changes to panels that shrink towards the bends.
const SHARP = 4;

const makeFamily = (size, at, marks, kinked, fixed) => ({
  size, at, marks, kinked, fixed, sharpness: marks.length ? max(...marks.map((m) => 1 / m.width)) : 1,
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

const accuracy = { change: CHANGE, table: null };

function average(family, mu, q) {
  if (!(q > 0)) {
    return q <= 0 ? narrow(family, mu) : family.total.fill(NaN);
  }
  if (!isFinite(q)) return family.total.fill(NaN);
  return accuracy.table ? tabulated(family, mu, q) : integrate(family, mu, q);
}

// The limit of no variance: at a jump, half of either side.
function narrow(family, mu) {
  const { size, at, total, part, before } = family;
  at(mu, total);
  if (!family.kinked) return total;
  at(mu - 1e-9, part);
  at(mu + 1e-9, before);
  for (let i = 0; i < size; i++)
    if (abs(before[i] - part[i]) > 1e-6) total[i] = (before[i] + part[i]) / 2;
  return total;
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

// Gauss and Legendre's nodes on each panel: use(x, weight).
function onPanels(ends, use) {
  for (let k = 1; k < ends.length; k++) {
    const half = (ends[k] - ends[k - 1]) / 2, centre = (ends[k] + ends[k - 1]) / 2;
    for (let j = 0; j < 16; j++) use(centre + half * LEGENDRE.nodes[j], half * LEGENDRE.weights[j]);
  }
}

function byPanels(family, mu, deviation) {
  const { size, part, total } = family;
  total.fill(0);
  const longest = family.sharpness ? LONGEST : LONGEST_STRAIGHT;
  onPanels(panelEnds(family, mu, deviation, REACH, longest), (x, w) => {
    const weight = (w * exp(-x * x / 2)) / sqrt(2 * PI);
    family.at(mu + deviation * x, part);
    for (let i = 0; i < size; i++) total[i] += weight * part[i];
  });
  return total;
}
