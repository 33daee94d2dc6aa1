// A setting in the address, and as Python.

// An address may hold anything.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function fromHash() {
  const p = model.parameters.map((q) => q.value), found = { p, variant: Object.keys(variants)[0] };
  for (const part of location.hash.slice(1).split("&")) {
    const [name, text] = part.split("=").map(decoded), at = model.parameters.findIndex((q) => q.name === name);
    const value = Number(text), q = model.parameters[at];
    if (name === "variant" && Object.hasOwn(variants, text)) found.variant = text;
    if (!q || !text || !isFinite(value)) continue;
    const bad = q.law === "correlation" ? Math.abs(value) > 1 : q.law !== "mu_b" && value < 0;
    if (!bad) p[at] = value;
  }
  return found;
}

function applyHash() {
  const { p, variant } = fromHash();
  state.p = p;
  p.forEach((value, place) => showParameter(value, place));
  showVariant(variant);
}

const settingText = () => {
  const parts = active().map((q) => `${q.name}=${+state.p[q.place].toPrecision(6)}`);
  if (Object.keys(variants).length > 1) parts.unshift(`variant=${encodeURIComponent(chosen)}`);
  return parts.join("&");
};

function pythonText() {
  const value = (place) => +state.p[place].toPrecision(6);
  const laws = model.preactivations.map((k) => {
    const given = ["sigma_w", "sigma_v", "mu_b", "sigma_b"]
      .map((law, i) => [law, k.parameters[i]]).filter(([, i]) => i >= 0).map(([law, i]) => `${law}=${value(i)}`);
    return `${k.name}=dict(${given.join(", ")})`;
  });
  if (model.laws) laws.unshift(`parameters={${model.laws}}`);
  return `ensemble = cell.ensemble(${laws.join(", ")})\ninputs = mft.Inputs(R=${value(0)}, correlation=${value(1)})
# rnnmft.initialization.modules.apply_(ensemble, module, cell=cell) draws a PyTorch module from it\n`;
}

// A page inside another one has no address of its own.
const hasAddress = location.protocol !== "about:";

async function copy(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    byId("said").textContent = words;
  } catch {
    byId("said").textContent = text;
  }
}
