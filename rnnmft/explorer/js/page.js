// The worker that simulates and maps, the hand and the keys, and the start.

const worker = (() => {
  const text = `${byId("core").textContent}\nonmessage = (event) => postMessage(answer(event.data));`;
  const made = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
  made.onmessage = ({ data }) => {
    state.busy[data.kind] = false;
    if (data.kind === "phase") drawPhase(data);
    else if (data.kind === "density") { state.density = data; drawSpectrum(state.network); }
    else if (data.variant === chosen) { state.network = data; drawEvolution(); askDensity(data); }
    const next = state.waiting[data.kind];
    state.waiting[data.kind] = null;
    if (next) ask(next);
  };
  return made;
})();
state.busy = {};
state.waiting = {};

// Only the last wish counts while the worker is at another.
function ask(wish) {
  if (state.busy[wish.kind]) state.waiting[wish.kind] = wish;
  else {
    state.busy[wish.kind] = true;
    worker.postMessage(wish);
  }
}

const phaseAxis = (id) => {
  const place = Number(byId(id).value), q = model.parameters[place], map = stored[byId("phase-theory").value];
  const ends = map?.axes.find((axis) => axis.place === place)?.values ?? [q.low, q.high];
  return { place, low: ends[0], high: ends.at(-1), label: wordsOf(q) };
};

function askPhase() {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y"), quantity = byId("phase-of").value, theory = byId("phase-theory").value;
  const rest = state.p.map((v, i) => (i === x.place || i === y.place ? 0 : v));
  const key = JSON.stringify([rest, x, y, quantity, theory, chosen]);
  if (state.asked === key) return;
  state.asked = key;
  ask({ kind: "phase", p: rest, x, y, quantity, theory, variant: chosen });
}

function askNetwork() {
  ask({ kind: "network", p: state.p, width: WIDTH, steps: STEPS, networks: NETWORKS, variant: chosen });
}

// Of the networks just simulated: their units, with the deviations of the weights that joined them.
function askDensity({ local, p, singular, variant }) {
  const sigma = model.preactivations.map((k) => (k.parameters[0] < 0 ? 0 : p[k.parameters[0]]));
  if (!singular.every(isFinite)) return;
  ask({ kind: "density", local, sigma, p, states: model.stateCount, high: 1.05 * Math.max(...singular, 1e-9), variant });
}

function movePoint(a, b) {
  const x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
  const within = (v, axis) => Math.min(axis.high, Math.max(axis.low, v));
  state.p[x.place] = within(a, x);
  setParameter(x.place, within(a, x));
  if (y.place !== x.place) setParameter(y.place, within(b, y));
}

function listen() {
  const canvas = byId("phase");
  const goTo = (event) => {
    const box = canvas.getBoundingClientRect(), x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
    const [s, t] = [(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height];
    movePoint(x.low + s * (x.high - x.low), y.low + t * (y.high - y.low));
  };
  canvas.addEventListener("click", goTo);
  // A finger scrolls and taps; a mouse or a pen draws the point along.
  canvas.addEventListener("pointermove", (event) => { if (event.buttons === 1 && event.pointerType !== "touch") goTo(event); });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const x = phaseAxis("phase-x"), y = phaseAxis("phase-y");
    movePoint(state.p[x.place] + (move[0] * (x.high - x.low)) / 60, state.p[y.place] + (move[1] * (y.high - y.low)) / 60);
  });
  byId("reset").addEventListener("click", () => { keepLink("#"); applyHash(); });
  byId("copy-code").addEventListener("click", () => copy(pythonText(), "Copied: the ensemble and the inputs of this point."));
  byId("copy-link").addEventListener("click", () => copy(`${location.href.split("#")[0]}#${settingText()}`, "Copied: a link to this setting."));
  byId("copy-link").hidden = !hasAddress;
  byId("to-stored").hidden = !MAPS.length;
  byId("to-stored").addEventListener("click", toStored);
  addEventListener("hashchange", applyHash);
}

// A browser compiles what has run often: while nothing else is to be done the theory is computed at
// settings between the ends of all sliders, so that the first touch of one is as quick as the next.
const WARMING = 24;
function warmUp(count = 0) {
  state.warm = count >= WARMING;
  if (state.warm) return;
  const later = window.requestIdleCallback ?? ((task) => setTimeout(task, 10));
  later(() => {
    const p = [...state.p];
    // Multiples of the golden ratio leave no large part of a slider out.
    active().forEach((q, k) => (p[q.place] = q.low + ((0.618034 * (2 * k + 1) * (count + 1)) % 1) * (q.high - q.low)));
    evaluate(p);
    warmUp(count + 1);
  });
}

buildControls();
listen();
applyHash();
warmUp(model.closed ? 0 : WARMING);
