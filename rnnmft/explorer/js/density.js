// The density of singular values of one step's Jacobian, for wide networks of such units.
//
// tau: a unit's answers with the weights cut out, (ds; de) to (ds'; dy), row by row (`network.js`).
// With t = z^(-1/2), P_u = diag(t, .., a), P_v = diag(t, .., b), averages E over units, and free W,
//   G_v = (1 - tau P_u tau^T P_v)^(-1) tau P_u tau^T,  G_u = (1 - tau^T P_v tau P_u)^(-1) tau^T P_v tau,
//   a_k = sigma_w^2 E[G_v]_kk,  b_k = sigma_w^2 E[G_u]_kk,  E tr (z - J J^T)^(-1) = (1 + t E[tr_s G_v] / m) / z.

// Points of the curve; how far off the axis it is read, as a part of its range: a width of what is seen.
const CURVE = 60, OFF_AXIS = 0.012;
// Rounds of iteration, and the change at which a picture's lines stand still.
const MOST_ROUNDS = 400, STILL = 1e-4;
// Work of one round: units times the cube of their equation's size.
const ROUND_WORK = 24000;

const complexArray = (n) => ({ re: new Float64Array(n), im: new Float64Array(n) });

// diag(G), in place of the diagonal's arrays: G = (1 - A P)^(-1) A, A = T Q T^T, with P, Q diagonal.
function responseDiagonal(T, Q, P, n, work) {
  const { A, M, X } = work;
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let re = 0, im = 0;
      for (let k = 0; k < n; k++) {
        const both = T[i * n + k] * T[j * n + k];
        re += both * Q.re[k];
        im += both * Q.im[k];
      }
      [A.re[i * n + j], A.im[i * n + j], A.re[j * n + i], A.im[j * n + i]] = [re, im, re, im];
    }
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const at = i * n + j;
      M.re[at] = (i === j) - (A.re[at] * P.re[j] - A.im[at] * P.im[j]);
      M.im[at] = -(A.re[at] * P.im[j] + A.im[at] * P.re[j]);
      [X.re[at], X.im[at]] = [A.re[at], A.im[at]];
    }
  eliminate(M, X, n);
  return X;
}

// X <- M^(-1) X, by Gauss and Jordan with pivots.
function eliminate(M, X, n) {
  for (let k = 0; k < n; k++) {
    let pivot = k, most = -1;
    for (let i = k; i < n; i++) {
      const size = abs(M.re[i * n + k]) + abs(M.im[i * n + k]);
      if (size > most) [pivot, most] = [i, size];
    }
    if (pivot !== k)
      for (const { re, im } of [M, X])
        for (let j = 0; j < n; j++) {
          const [u, v] = [k * n + j, pivot * n + j];
          [re[u], re[v], im[u], im[v]] = [re[v], re[u], im[v], im[u]];
        }
    const a = M.re[k * n + k], b = M.im[k * n + k], whole = a * a + b * b;
    for (const { re, im } of [M, X])
      for (let j = 0; j < n; j++) {
        const at = k * n + j, [x, y] = [re[at], im[at]];
        [re[at], im[at]] = [(x * a + y * b) / whole, (y * a - x * b) / whole];
      }
    for (let i = 0; i < n; i++) {
      const [u, v] = [M.re[i * n + k], M.im[i * n + k]];
      if (i === k || (u === 0 && v === 0)) continue;
      for (const { re, im } of [M, X])
        for (let j = 0; j < n; j++) {
          const [to, from] = [i * n + j, k * n + j];
          re[to] -= u * re[from] - v * im[from];
          im[to] -= u * im[from] + v * re[from];
        }
    }
  }
}

const transposed = (T, n) => T.map((_, at) => T[(at % n) * n + Math.floor(at / n)]);

// Density of singular values at places s, for units tau and deviations sigma of the K weights.
function singularDensity(tau, sigma, m, places, off) {
  const n = m + sigma.length, work = { A: complexArray(n * n), M: complexArray(n * n), X: complexArray(n * n) };
  const [flipped, u, v] = [tau.map((T) => transposed(T, n)), complexArray(n), complexArray(n)];
  const found = new Float64Array(places.length);
  let rounds = 0;
  // From far away, where a = b = 0 nearly solves it, inwards.
  for (let at = places.length - 1; at >= 0; at--) {
    const s = places[at], size = s * s + off * off;
    for (const P of [u, v]) for (let k = 0; k < m; k++) [P.re[k], P.im[k]] = [s / size, -off / size];
    let trace = [0, 0];
    for (let round = 0; round < MOST_ROUNDS; round++, rounds++) {
      const next = { u: complexArray(n), v: complexArray(n) };
      tau.forEach((T, i) => {
        const X = responseDiagonal(T, u, v, n, work);
        for (let k = 0; k < n; k++) { next.u.re[k] += X.re[k * n + k]; next.u.im[k] += X.im[k * n + k]; }
        const Y = responseDiagonal(flipped[i], v, u, n, work);
        for (let k = 0; k < n; k++) { next.v.re[k] += Y.re[k * n + k]; next.v.im[k] += Y.im[k * n + k]; }
      });
      let moved = 0, most = 1e-12;
      trace = [0, 0];
      for (let k = 0; k < m; k++) trace = [trace[0] + next.u.re[k] / tau.length, trace[1] + next.u.im[k] / tau.length];
      for (const [P, new_] of [[u, next.u], [v, next.v]])
        for (let k = m; k < n; k++)
          for (const part of ["re", "im"]) {
            const value = (square(sigma[k - m]) * new_[part][k]) / tau.length;
            moved = max(moved, abs(value - P[part][k]));
            most = max(most, abs(value));
            P[part][k] = (P[part][k] + value) / 2;
          }
      if (moved < STILL * most) break;
    }
    // Of the values and their negatives: -2 / pi times the imaginary part of w G(w^2) = t (1 + t trace / m).
    const [a, b] = [s / size, -off / size], re = 1 + (a * trace[0] - b * trace[1]) / m, im = (a * trace[1] + b * trace[0]) / m;
    found[at] = (-2 * (a * im + b * re)) / PI;
  }
  return { density: found, rounds };
}

// The curve of the units of a few networks: each preactivation's deviation is sigma[k].
function densityCurve({ local, sigma, states, high }) {
  const began = performance.now(), n = states + sigma.length;
  const keep = max(16, Math.floor(ROUND_WORK / n ** 3)), skip = Math.ceil(local.length / keep);
  const units = local.filter((_, i) => i % skip === 0).map((T) => Float64Array.from(T));
  const places = Array.from({ length: CURVE }, (_, i) => ((i + 0.5) * high) / CURVE);
  const { density, rounds } = singularDensity(units, sigma, states, places, OFF_AXIS * high);
  return { places, density, units: units.length, rounds, milliseconds: performance.now() - began };
}
