// What the worker does: a phase map, a few networks, the density of their singular values. Variants are chosen as the page has them.

let chosen = Object.keys(variants)[0];
let { programs, model } = variants[chosen]();

function choose(name) {
  chosen = name;
  ({ programs, model } = variants[name]());
}

// Points along each side of a phase map; fewer where one expectation lies in another.
const pointsOf = () => (model.nested ? 16 : 60);
const spaced = ({ low, high }, n) => Array.from({ length: n }, (_, i) => low + ((high - low) * (i + 0.5)) / n);

function answer(wish) {
  if (wish.variant !== chosen) choose(wish.variant);
  if (wish.kind === "phase") {
    const count = wish.theory === "live" ? pointsOf() : 60, [xs, ys] = [spaced(wish.x, count), spaced(wish.y, count)];
    const of = (map, quantity) => storedPicture(map, wish.p, wish.x, wish.y, xs, ys, quantity);
    const drawn = wish.theory === "live"
      ? phaseMap(wish.p, wish.x.place, wish.y.place, xs, ys, wish.quantity) : of(stored[wish.theory], wish.quantity);
    return { ...wish, xs, ys, count, ...drawn, over: stored.tied && wish.quantity === "growth" ? of(stored.tied, "growth") : null };
  }
  if (wish.kind === "density") return { ...wish, local: null, ...densityCurve(wish) };
  const runs = Array.from({ length: wish.networks }, (_, seed) => simulateNetwork(wish.p, wish.width, wish.steps, seed + 1));
  return {
    ...wish,
    second: runs.map((run) => run.second.map((v) => v[0])),
    growth: runs.map((run) => run.growth),
    correlation: runs.map((run) => run.correlation),
    singular: singularValues(runs[0].columns),
    local: runs.flatMap((run) => run.local),
  };
}
