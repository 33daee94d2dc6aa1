// What the worker does: a phase map or a few networks. Variants are chosen as the page has them.

let chosen = Object.keys(variants)[0];
let { programs, model } = variants[chosen]();

function choose(name) {
  chosen = name;
  ({ programs, model } = variants[name]());
}

const POINTS = 60;
const spaced = ({ low, high }) => Array.from({ length: POINTS }, (_, i) => low + ((high - low) * (i + 0.5)) / POINTS);

function answer(wish) {
  if (wish.variant !== chosen) choose(wish.variant);
  if (wish.kind === "phase") {
    const [xs, ys] = [spaced(wish.x), spaced(wish.y)];
    return { ...wish, xs, ys, count: POINTS, ...phaseMap(wish.p, wish.x.place, wish.y.place, xs, ys, wish.quantity) };
  }
  const runs = Array.from({ length: wish.networks }, (_, seed) => simulateNetwork(wish.p, wish.width, wish.steps, seed + 1));
  return {
    ...wish,
    second: runs.map((run) => run.second.map((v) => v[0])),
    growth: runs.map((run) => run.growth),
    correlation: runs.map((run) => run.correlation),
  };
}
