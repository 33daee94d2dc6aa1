// Stored maps: quantities over two parameters, computed beforehand, read between their points.
//
// `stored` is { tied, untied }, each a map or null. A map's point (i, j) stands at i n_2 + j.

const HELD = 1e-9;
// Curvature between points over that which the points show: a smooth function's seldom is twice as large.
const ROOM = 2;
const withError = (value, error) => ({ value, error });

// Where a coordinate lies among increasing values: the point before it, and how far towards the next.
function placeIn(values, x) {
  const last = values.length - 1, slack = 1e-9 * (values[last] - values[0]);
  if (!(x >= values[0] - slack && x <= values[last] + slack)) return null;
  let i = 0;
  while (i < last - 1 && x > values[i + 1]) i++;
  return { i, t: min(1, max(0, (x - values[i]) / (values[i + 1] - values[i]))) };
}

// What a line between two points may be wrong by: twice (x - a) (b - x) |f[a, b, c]|, with the largest
// divided difference of a neighbour c. An estimate, no bound; NaN where no neighbour is known.
function bendOf(values, { i, t }, at) {
  let most = NaN;
  const [a, b] = [values[i], values[i + 1]], slope = (at(i + 1) - at(i)) / (b - a);
  for (const [k, near] of [[i - 1, i], [i + 2, i + 1]]) {
    if (k < 0 || k >= values.length || at(k) === null) continue;
    const other = (at(k) - at(near)) / (values[k] - values[near]);
    const second = abs((other - slope) / (values[k] - values[near === i ? i + 1 : i]));
    most = most >= second ? most : second;
  }
  return ROOM * t * (1 - t) * square(b - a) * most;
}

// Bilinear between four points. Neighbours share random numbers: their errors are added, not their
// squares. The error holds what the interpolation may be wrong by, too. Null where a point is missing.
function interpolated(map, { values, errors }, u, v) {
  const [first, second] = map.axes.map((axis) => axis.values), n = second.length;
  const at = (i, j) => values[i * n + j];
  let value = 0, error = 0;
  for (const [i, s] of [[u.i, 1 - u.t], [u.i + 1, u.t]])
    for (const [j, t] of [[v.i, 1 - v.t], [v.i + 1, v.t]]) {
      if (s * t === 0) continue;
      if (at(i, j) === null) return null;
      value += s * t * at(i, j);
      error += s * t * errors[i * n + j];
    }
  const along = (axis, place, from, w) => {
    if (place.t === 0 || place.t === 1) return 0;
    const rows = w.t === 0 ? [w.i] : w.t === 1 ? [w.i + 1] : [w.i, w.i + 1];
    const bends = rows.map((row) => bendOf(axis, place, (k) => from(k, row))).filter((bend) => bend === bend);
    return bends.length ? max(...bends) : NaN;
  };
  error += along(first, u, (k, row) => at(k, row), v) + along(second, v, (k, row) => at(row, k), u);
  return isFinite(error) ? withError(value, error) : null;
}

// Where p lies in a map: { u, v }, or { missing: why not }.
function placeOnMap(map, p) {
  if (chosen !== map.variant) return { missing: `the stored map is of the variant ${map.variant}` };
  const [x, y] = map.axes;
  for (const q of model.parameters.keys()) {
    // One trajectory does not know how alike two inputs are.
    if (q === x.place || q === y.place || q === model.index.c_x || !model.parameters[q].matters) continue;
    if (abs(p[q] - map.held[q]) > HELD * (1 + abs(map.held[q]))) return { missing: `the stored map holds ${model.parameters[q].name} at ${map.held[q]}` };
  }
  const [u, v] = map.axes.map((axis) => placeIn(axis.values, p[axis.place]));
  const out = [u, v].findIndex((place) => !place);
  if (out < 0) return { u, v };
  const { place, values } = map.axes[out];
  return { missing: `the stored map has ${model.parameters[place].name} from ${+values[0].toPrecision(3)} to ${+values.at(-1).toPrecision(3)}` };
}

// Every quantity of a map at p, each { value, error } or null; or { missing }.
function storedAt(map, p) {
  const place = placeOnMap(map, p);
  if (place.missing) return place;
  const of = (rows) => rows.map((row) => interpolated(map, row, place.u, place.v));
  const found = { growth: of(map.growth)[0], xi_q: of(map.xi_q)[0], second: of(map.second), variances: of(map.variances) };
  return found.growth || found.second[0] ? found : { missing: lackOf(map, place) };
}

function lackOf(map, { u, v }) {
  const n = map.axes[1].values.length;
  const around = [0, 1].flatMap((i) => [0, 1].map((j) => map.status[(u.i + i) * n + v.i + j]));
  const bad = around.find((status) => status !== "OK");
  return bad ? `a point of the stored map beside it has no value (${map.meaning[bad]})` : "the stored map is too coarse here";
}

// A picture of one quantity over x and y, with the error at each point; NaN where there is nothing.
function storedPicture(map, p, x, y, xs, ys, quantity) {
  const at = p.slice(), count = xs.length * ys.length;
  const values = new Float64Array(count).fill(NaN), errors = new Float64Array(count).fill(NaN);
  const rows = { growth: map.growth[0], xi_q: map.xi_q[0], second: map.second[0] }[quantity];
  ys.forEach((b, j) => xs.forEach((a, i) => {
    [at[x.place], at[y.place]] = [a, b];
    const place = placeOnMap(map, at), found = place.missing ? null : interpolated(map, rows, place.u, place.v);
    if (found) [values[j * xs.length + i], errors[j * xs.length + i]] = [found.value, found.error];
  }));
  return { values, errors };
}
