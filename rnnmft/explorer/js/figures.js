// Charts as SVG: axes with round numbers, lines, points. Text is escaped, numbers are drawn.

const NS = "http://www.w3.org/2000/svg";
const FRAME = { width: 380, height: 250, left: 52, right: 10, top: 10, bottom: 34 };
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// Only what differs from what is there is written, and laid out, again.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function write(element, html) {
  if (element.written !== html) element.innerHTML = element.written = html;
}

// The frame of a chart, with its numbers, and what is drawn in it change apart from each other.
function drawChart(svg, frame, drawn) {
  svg.parts ??= [0, 1].map(() => svg.appendChild(document.createElementNS(NS, "g")));
  [frame, drawn].forEach((html, k) => write(svg.parts[k], html));
}

// A number as the page shows it.
function shown(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "undefined";
  if (!isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(value)));
  if (exponent < -4 || exponent > 5) {
    const mantissa = (value / 10 ** exponent).toFixed(Math.max(0, digits - 2));
    const sup = String(exponent).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
    return `${mantissa} × 10${sup}`.replace("-", "−");
  }
  return value.toFixed(Math.min(8, Math.max(0, digits - 1 - exponent))).replace("-", "−");
}

function ticks(low, high) {
  const raw = (high - low) / 5, base = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * base).find((s) => s >= raw);
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + 1e-9 * step; x += step) found.push(x);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const plain = step >= 1e-4 && Math.max(Math.abs(low), Math.abs(high)) < 1e5;
  const label = (x) => (plain ? x.toFixed(places).replace("-", "−") : shown(x, 3));
  return found.map((x) => [x, label(Math.abs(x) < 1e-9 * step ? 0 : x)]);
}

function decades(low, high) {
  const found = [];
  for (let k = Math.ceil(Math.log10(low)); k <= Math.log10(high); k++) {
    const label = k >= -2 && k <= 3 ? String(10 ** k) : `10${String(k).replace("-", "⁻").replace(/\d/g, (d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d])}`;
    found.push([10 ** k, label]);
  }
  const skip = Math.ceil(found.length / 6);
  return found.filter((_, i) => i % skip === 0);
}

// Scales and axes of a chart. `x` and `y`: { low, high, label, log }.
function axes(svg, x, y, frame = FRAME) {
  const { width, height, left, right, top, bottom } = frame;
  if (!svg.hasAttribute("viewBox")) svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const place = (axis, from, to) => (value) => {
    const v = axis.log ? Math.log(Math.max(value, axis.low)) : value;
    const [a, b] = axis.log ? [Math.log(axis.low), Math.log(axis.high)] : [axis.low, axis.high];
    return from + ((v - a) / (b - a || 1)) * (to - from);
  };
  const px = place(x, left, width - right), py = place(y, height - bottom, top);
  let text = "";
  for (const [v, label] of x.log ? decades(x.low, x.high) : ticks(x.low, x.high)) {
    if (!frame.bare) text += `<line class="grid" x1="${px(v)}" x2="${px(v)}" y1="${top}" y2="${height - bottom}"/>`;
    text += `<text x="${px(v)}" y="${height - bottom + 14}" text-anchor="middle">${label}</text>`;
  }
  for (const [v, label] of y.log ? decades(y.low, y.high) : ticks(y.low, y.high)) {
    if (!frame.bare) text += `<line class="grid" x1="${left}" x2="${width - right}" y1="${py(v)}" y2="${py(v)}"/>`;
    text += `<text x="${left - 5}" y="${py(v) + 4}" text-anchor="end">${label}</text>`;
  }
  text += `<path class="axis" d="M${left} ${top}V${height - bottom}H${width - right}"/>`;
  text += `<text x="${(left + width - right) / 2}" y="${height - 4}" text-anchor="middle">${loweredInFigure(x.label)}</text>`;
  text += `<text x="11" y="${(top + height - bottom) / 2}" text-anchor="middle" transform="rotate(-90 11 ${(top + height - bottom) / 2})">${loweredInFigure(y.label)}</text>`;
  // Lines are clipped to the frame; a path takes no numbers beyond all measure.
  const clip = `clip-${svg.id}`, near = (v) => Math.min(Math.max(v, -1e4), 1e4).toFixed(1);
  text += `<clipPath id="${clip}"><rect x="${left}" y="${top - 2}" width="${width - left - right}" height="${height - top - bottom + 4}"/></clipPath>`;
  return {
    text,
    x: px,
    y: py,
    line(points, kind) {
      let path = "", pen = "M";
      for (const [a, b] of points) {
        if (!isFinite(a) || !isFinite(b)) { pen = "M"; continue; }
        path += `${pen}${near(px(a))} ${near(py(b))}`;
        pen = "L";
      }
      return `<path class="${kind}" clip-path="url(#${clip})" d="${path}"/>`;
    },
    point: (a, b, kind) => `<circle class="${kind}" cx="${px(a)}" cy="${py(b)}" r="5"/>`,
  };
}

// A key at the right, above or below: [[class, words]].
function keyOf(entries, below) {
  const { width, height, right, top, bottom } = FRAME;
  const first = below ? height - bottom - 8 - 15 * (entries.length - 1) : top + 14;
  return entries.map(([kind, words], i) =>
    `<text class="key-${kind}" x="${width - right - 4}" y="${first + 15 * i}" text-anchor="end">${escaped(words)}</text>`).join("");
}

// Straight pieces of a drawn curve: each is five pixels wide.
const PIECES = 64;

// The map of a moment: curve, diagonal, cobweb from `start`, roots.
function drawMap(svg, map, range, labels, roots, start) {
  const low = range.log ? range.low : range.low ?? 0, scale = { ...range, low };
  const chart = axes(svg, { ...scale, label: labels[0] }, { ...scale, label: labels[1] });
  const placeOf = (at) => PIECES * (range.log ? Math.log(at / low) / Math.log(range.high / low) : (at - low) / (range.high - low));
  const points = Array.from({ length: PIECES + 1 }, (_, i) => {
    const at = range.log ? low * (range.high / low) ** (i / PIECES) : low + ((range.high - low) * i) / PIECES;
    return [at, map(at)];
  });
  // The staircase goes between the diagonal and the curve as it is drawn.
  const drawn = (at) => {
    const place = placeOf(at), i = Math.min(PIECES - 1, Math.floor(place)), t = place - i;
    return place >= 0 && place <= PIECES ? (1 - t) * points[i][1] + t * points[i + 1][1] : NaN;
  };
  let at = start, web = [[at, range.log ? low : Math.max(low, 0)]];
  for (let step = 0; step < 60; step++) {
    const next = drawn(at);
    if (!isFinite(next)) break;
    web.push([at, next], [next, next]);
    if (Math.abs(next - at) < 1e-4 * (range.high - low)) break;
    at = next;
  }
  drawChart(svg, chart.text, chart.line([[low, low], [range.high, range.high]], "diagonal")
    + chart.line(points, "theory") + chart.line(web, "cobweb")
    + roots.map(([v, stable]) => chart.point(v, v, stable ? "stable" : "unstable")).join(""));
}
