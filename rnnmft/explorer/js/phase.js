// A map over two parameters: chi_1, xi_q or the second moment at every point of a grid.
//
// Expectations over one law depend on its mean and variance alone. Over a whole map they are looked
// up in tables over log(1 + deviation), cubic between the entries, which are computed when first met.

const ENTRIES_PER = 24, ENTRIES = 240, COARSE = 1e-4;

// The table of a family at one mean, empty (NaN) where nothing was asked for yet.
function tableOf(family, mu) {
  if (family.fresh !== accuracy.table) {
    [family.tables, family.fresh, family.lastMean] = [new Map(), accuracy.table, NaN];
  }
  if (family.lastMean !== mu) {
    let table = family.tables.get(mu);
    if (!table) family.tables.set(mu, (table = new Float64Array(ENTRIES * family.size).fill(NaN)));
    [family.lastMean, family.lastTable] = [mu, table];
  }
  return family.lastTable;
}

function enter(family, mu, table, entry) {
  const deviation = Math.expm1(entry / ENTRIES_PER);
  const found = deviation > 0 ? integrate(family, mu, deviation * deviation) : narrow(family, mu);
  table.set(found, entry * family.size);
}

function tabulated(family, mu, q) {
  const place = ENTRIES_PER * Math.log1p(sqrt(q)), first = max(0, Math.floor(place) - 1);
  if (!family.fixed || first + 4 > ENTRIES) return integrate(family, mu, q);
  const { size, total } = family, table = tableOf(family, mu), t = place - first - 1;
  for (let k = first; k < first + 4; k++) {
    const known = table[k * size];
    if (known !== known) enter(family, mu, table, k);
  }
  const a = (-t * (t - 1) * (t - 2)) / 6, b = ((t + 1) * (t - 1) * (t - 2)) / 2;
  const c = (-(t + 1) * t * (t - 2)) / 2, d = ((t + 1) * t * (t - 1)) / 6;
  for (let i = 0, at = first * size; i < size; i++, at++)
    total[i] = a * table[at] + b * table[at + size] + c * table[at + 2 * size] + d * table[at + 3 * size];
  return total;
}

// The lowest root: the map from zero gives G(0), below which no increasing map has one; then upwards.
function lowestRoot(p) {
  const at = model.drivers[0];
  const gap = (q) => {
    const away = stationaryAt([q], p)[at] - q;
    return away === away && away !== Infinity ? away : 1e300;
  };
  let low = 0, fLow = gap(0);
  if (fLow <= 0) return 0;
  if (fLow >= 1e299) return Infinity;
  for (let high = fLow; high < 1e6; high *= 1.6) {
    const fHigh = gap(high);
    if (fHigh <= 0) return closed(gap, low, high, fLow, fHigh);
    [low, fLow] = [high, fHigh];
  }
  return Infinity;
}

function closed(gap, low, high, fLow, fHigh) {
  for (let round = 0; round < 12 && high - low > COARSE * high; round++) {
    const x = fLow < 1e299 ? high - (fHigh * (high - low)) / (fHigh - fLow) : (low + high) / 2;
    const inside = min(high - 0.02 * (high - low), max(low + 0.02 * (high - low), x));
    const f = gap(inside);
    if (f > 0) [low, fLow] = [inside, f];
    else [high, fHigh] = [inside, f];
    if (abs(f) < COARSE * inside * 0.1) return inside;
  }
  return (low + high) / 2;
}

function settledMoments(p) {
  if (!model.drivers.length) return stationaryAt([], p);
  if (model.drivers.length === 1) {
    const q = lowestRoot(p);
    return isFinite(q) ? stationaryAt([q], p) : null;
  }
  let moments = new Array(model.count).fill(0);
  for (let t = 0; t < 200; t++) {
    const next = programs.step(moments, p), moved = distance(next, moments);
    moments = next;
    if (moved < COARSE * size(moments)) break;
  }
  return moments;
}

// { values, across, along }: row by row from the lowest; NaN where the moments diverge.
function phaseMap(p, first, second, xs, ys, quantity) {
  const began = performance.now(), values = new Float64Array(xs.length * ys.length);
  accuracy.table = {};
  accuracy.change = 1e-3;
  const at = p.slice();
  ys.forEach((y, j) => {
    xs.forEach((x, i) => {
      at[first] = x;
      at[second] = y;
      const moments = settledMoments(at);
      let value = NaN;
      if (moments && moments.every(isFinite)) {
        const beside = moments.map((m, k) => (model.even[k] && m === 0 ? BESIDE : m));
        if (quantity === "second") value = moments[model.squares[0]];
        else if (quantity === "xi_q") value = timescale(spectralRadius(programs.slope(beside, at)));
        else value = log(chiOne(moments, at));
      }
      values[j * xs.length + i] = value;
    });
  });
  accuracy.table = null;
  accuracy.change = CHANGE;
  return { values, milliseconds: performance.now() - began };
}
