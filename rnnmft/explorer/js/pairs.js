// E[f(z_a) g(z_b)] for a Gaussian pair of equal laws, mean mu, variance q, covariance rho q.
//
// Mehler's series, sum_k a_k b_k rho^k over Hermite coefficients, once per law; where it does not end
// (kinks, or very steep functions, beside |rho| = 1) the integral over what the two have in common.

// Beside Hermite functions a Gaussian's density counts to 11 deviations.
const PAIR_REACH = 11;
// Terms of the series, at most, and what may be left of E[f^2] when it ends or where it is used.
const TERMS = 4000, PANEL_TERMS = 600, NEGLIGIBLE = 1e-10;

const makePairs = (family, products) => ({
  family, products, mu: NaN, q: NaN, series: null, whole: null, left: 0, terms: 0,
  out: new Float64Array(products.length),
});

// Nodes x with weights w(x) (2 pi)^{-1/4} exp(-x^2 / 4): Hermite functions hold the other half.
function pairRule(family, mu, deviation, terms, smooth) {
  const places = [], weights = [];
  if (smooth) {
    // Hermite functions have wave numbers up to sqrt(terms), and so does what they are multiplied by.
    const step = min(0.2, 2.5 / sqrt(terms));
    for (let x = -PAIR_REACH; x <= PAIR_REACH; x += step) {
      places.push(x);
      weights.push(step);
    }
  } else {
    onPanels(panelEnds(family, mu, deviation, PAIR_REACH, 0.7), (x, w) => {
      places.push(x);
      weights.push(w);
    });
  }
  const envelope = places.map((x) => exp(-x * x / 4) / (2 * PI) ** 0.25);
  return { places, envelope, weights };
}

function expand(pairs, mu, q) {
  const spread = sqrt(q) * pairs.family.sharpness;
  const smooth = !pairs.family.kinked && spread < 10;
  // The coefficients of a function with a pole at i w fall as exp(-w sqrt(2 k)).
  let terms = smooth ? min(TERMS, 60 + Math.ceil(55 * spread * spread)) : PANEL_TERMS;
  while (!expandTo(pairs, mu, q, terms, smooth) && smooth && terms < TERMS) terms = min(TERMS, 3 * terms);
  [pairs.mu, pairs.q] = [mu, q];
}

// Whether the series ends within so many terms.
function expandTo(pairs, mu, q, terms, smooth) {
  const { family, products } = pairs, { size, part } = family, deviation = sqrt(q);
  const { places, envelope, weights } = pairRule(family, mu, deviation, terms, smooth);
  const n = places.length, values = Array.from({ length: size }, () => new Float64Array(n));
  for (let j = 0; j < n; j++) {
    family.at(mu + deviation * places[j], part);
    for (let i = 0; i < size; i++) values[i][j] = part[i] * envelope[j] * weights[j];
  }
  const inner = (u, v) => u.reduce((sum, x, j) => sum + (x * v[j]) / weights[j], 0);
  const norms = values.map((v) => inner(v, v)), left = norms.slice();
  const coefficients = values.map(() => []);
  let now = Float64Array.from(envelope), before = new Float64Array(n);
  const ended = () => left.every((rest, i) => rest <= NEGLIGIBLE * norms[i]);
  for (let k = 0; k < terms && !ended(); k++) {
    for (let i = 0; i < size; i++) {
      const row = values[i];
      let sum = 0;
      for (let j = 0; j < n; j++) sum += row[j] * now[j];
      coefficients[i].push(sum);
      left[i] -= sum * sum;
    }
    const up = 1 / sqrt(k + 1), down = sqrt(k);
    for (let j = 0; j < n; j++) before[j] = (places[j] * now[j] - down * before[j]) * up;
    [now, before] = [before, now];
  }
  pairs.whole = products.map(([i, k]) => inner(values[i], values[k]));
  pairs.series = products.map(([i, k]) =>
    Float64Array.from(coefficients[i], (a, at) => a * coefficients[k][at]));
  pairs.terms = coefficients[0].length;
  pairs.left = max(...left.map((rest, i) => (norms[i] > 0 ? rest / norms[i] : 0)));
  return ended();
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
  if (rho >= 1 - 1e-15) {
    out.set(pairs.whole);
    return out;
  }
  if (pairs.left * abs(rho) ** pairs.terms > NEGLIGIBLE) return inCommon(pairs, mu, sqrt(q), rho);
  for (let at = 0; at < out.length; at++) {
    const series = pairs.series[at];
    let total = 0;
    for (let k = series.length - 1; k >= 0; k--) total = total * rho + series[k];
    out[at] = total;
  }
  return out;
}

// z = mu + s (sqrt|rho| x + sqrt(1 - |rho|) y), with x in common: E_x[E_y[f] E_y[g]], g at -x if rho < 0.
function inCommon(pairs, mu, deviation, rho) {
  const { out, products, family } = pairs;
  const shared = sqrt(abs(rho)), own = deviation * sqrt(1 - abs(rho));
  // The inner average has no bend narrower than its own deviation.
  const blunt = family.marks.map(({ place, width }) => ({
    place, width: (family.kinked ? 0 : width) + own,
  }));
  const ends = panelEnds({ marks: blunt }, mu, deviation * shared, REACH, LONGEST);
  const mirrored = rho < 0;
  if (mirrored) {
    const both = new Set(ends.flatMap((x) => [x, -x]));
    ends.splice(0, ends.length, ...[...both].sort((a, b) => a - b));
  }
  const at = (x) => Float64Array.from(average(family, mu + deviation * shared * x, own * own));
  out.fill(0);
  onPanels(ends, (x, w) => {
    const weight = (w * exp(-x * x / 2)) / sqrt(2 * PI);
    if (weight < 1e-18) return;
    const f = at(x), g = mirrored ? at(-x) : f;
    products.forEach(([i, k], n) => {
      out[n] += weight * (mirrored ? (f[i] * g[k] + f[k] * g[i]) / 2 : f[i] * f[k]);
    });
  });
  return out;
}
