// Activations and the functions that expressions need, stable in their tails.

const { exp, log, sqrt, abs, sin, cos, atan, asin, acos, tanh, sign, max, min, PI } = Math;
const square = (x) => x * x;
const logisticDensity = (x) => {
  const e = exp(-abs(x));
  return e / square(1 + e);
};

// erf by its series of positive terms, and erfc by its continued fraction where that is small.
function erf(x) {
  const size = abs(x);
  if (size > 2) return sign(x) * (1 - erfc(size));
  let term = size, total = size;
  for (let n = 1; term > 1e-17 * total; n++) {
    term *= (2 * size * size) / (2 * n + 1);
    total += term;
  }
  return sign(x) * total * (2 / sqrt(PI)) * exp(-x * x);
}

function erfc(x) {
  if (x < 2) return 1 - erf(x);
  let fraction = x;
  for (let n = 60; n > 0; n--) fraction = x + n / 2 / fraction;
  return exp(-x * x) / (fraction * sqrt(PI));
}

const act = {
  tanh,
  tanh_prime: (x) => 4 * logisticDensity(2 * x),
  sigmoid: (x) => 1 / (1 + exp(-x)),
  sigmoid_prime: logisticDensity,
  gaussian_cdf: (x) => (x < 0 ? erfc(-x / Math.SQRT2) / 2 : 1 - erfc(x / Math.SQRT2) / 2),
  gaussian_cdf_prime: (x) => exp(-x * x / 2) / sqrt(2 * PI),
  softplus: (x) => max(x, 0) + Math.log1p(exp(-abs(x))),
  silu: (x) => x / (1 + exp(-x)),
  gelu: (x) => x * act.gaussian_cdf(x),
  step: (x) => (x > 0 ? 1 : 0),
  relu: (x) => max(x, 0),
  leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  leaky_relu_prime: (x) => (x > 0 ? 1 : 0.01),
  hard_tanh: (x) => max(-1, min(1, x)),
  hard_tanh_prime: (x) => (abs(x) < 1 ? 1 : 0),
  hard_sigmoid: (x) => max(0, min(1, x / 6 + 0.5)),
  hard_sigmoid_prime: (x) => (abs(x) < 3 ? 1 / 6 : 0),
  softsign: (x) => x / (1 + abs(x)),
  softsign_prime: (x) => 1 / square(1 + abs(x)),
  softsign_second: (x) => (-2 * sign(x)) / (1 + abs(x)) ** 3,
  safeInverse: (x) => (x > 0 ? 1 / x : 0),
};
