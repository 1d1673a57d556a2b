// Requests per second by release, stacked: traffic crosses over from one colour to the next.
import { clock, colour, el, nameOf, rate } from "./parts.js";

// In seconds. The longest window is what the dashboard keeps; a new chart is not stretched to it.
const SPANS = [60, 120, 180];
const [HEIGHT, TOP, BOTTOM] = [225, 22, 20];
const PLOT = HEIGHT - TOP - BOTTOM;
// A second without a point is a late one; a longer gap is a time without observation.
const GAP_MS = 4000;

const axis = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

// The selected time of each chart, in seconds before now; none while it is live.
const cursors = new Map();

const total = (rates, which) => Object.values(rates).reduce((sum, pair) => sum + pair[which], 0);

// The next round number for the top of an axis.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, 1)));
  return [1, 2, 3, 5, 8, 10].map((step) => step * power).find((step) => step >= most);
}

// Runs of points without a gap.
function runs(points) {
  const found = [];
  points.forEach((point, position) => {
    if (position === 0 || point.at - points[position - 1].at > GAP_MS) {
      found.push([]);
    }
    found.at(-1).push(point);
  });
  return found;
}

// The parts of a run in which a release had requests, each with the zeros at both ends.
function stretches(run, release) {
  const asked = (position) => (run[position]?.rates[release]?.[0] ?? 0) > 0;
  const found = [];
  let isOpen = false;
  run.forEach((point, position) => {
    const isPart = asked(position - 1) || asked(position) || asked(position + 1);
    if (isPart && !isOpen) {
      found.push([]);
    }
    isOpen = isPart;
    if (isPart) {
      found.at(-1).push(point);
    }
  });
  return found;
}

const line = (points) => points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");

// The chart's own view of an app: its points in the window, its releases, the scales.
export function view(app, flow, now, width) {
  const age = (now - (flow[0]?.at_ms ?? now)) / 1000;
  const span = SPANS.find((seconds) => age <= seconds) ?? SPANS.at(-1);
  const points = flow
    .filter((point) => point.at_ms > now - span * 1000)
    .map((point) => ({ at: point.at_ms, rates: point.apps[app] ?? {} }));
  const releases = [...new Set(points.flatMap((point) => Object.keys(point.rates).map(Number)))];
  // Requests that reached no replica are stacked on top.
  releases.sort((a, b) => (a || Infinity) - (b || Infinity));
  const most = ceiling(Math.max(...points.map((point) => total(point.rates, 0)), 1));
  const x = (at) => width - ((now - at) / (span * 1000)) * width;
  const y = (value) => TOP + PLOT * (1 - value / most);
  return { points, releases, most, x, y, now, width, span };
}

function areas({ points, releases, x, y }, serving) {
  const sum = (point, upTo) => releases.slice(0, upTo).reduce((sum, release) => sum + (point.rates[release]?.[0] ?? 0), 0);
  return releases.flatMap((release, position) =>
    runs(points).flatMap((run) => stretches(run, release)).map((run) => {
      const upper = run.map((point) => [x(point.at), y(sum(point, position + 1))]);
      const lower = run.map((point) => [x(point.at), y(sum(point, position))]).reverse();
      const shape = `M${line(upper)}L${line(lower)}Z`;
      // A release that no longer serves is also hatched: colour is not the only sign.
      return el("g", { class: `area ${colour(release)}`, "data-release": release },
        el("path", { class: "fill", d: shape }),
        release !== serving && el("path", { d: shape, fill: "url(#hatch)" }),
        el("path", { class: "edge", d: `M${line(upper)}` }));
    }));
}

function errors({ points, x, y }) {
  return runs(points)
    .filter((run) => run.some((point) => total(point.rates, 1) > 0))
    .map((run) => {
      const upper = run.map((point) => [x(point.at), y(total(point.rates, 1))]);
      return el("path", { class: "errors", d: `M${line(upper)}L${upper.at(-1)[0]} ${y(0)}L${upper[0][0]} ${y(0)}Z` });
    });
}

// The smallest height around a point: a label needs width and height.
const around = (points, position, release) =>
  Math.min(...[-2, -1, 0, 1, 2].map((step) => points[position + step]?.rates[release]?.[0] ?? 0));

// A label at the widest place of each release's area.
function names({ points, releases, x, y, width }) {
  return releases.map((release, position) => {
    let best = null;
    for (const [index, point] of points.entries()) {
      const below = releases.slice(0, position).reduce((sum, other) => sum + (point.rates[other]?.[0] ?? 0), 0);
      const own = around(points, index, release);
      const inside = x(point.at) > 60 && x(point.at) < width - 20;
      if (inside && own > (best?.own ?? 0)) {
        best = { own, at: x(point.at), middle: y(below + own / 2) };
      }
    }
    const isHigh = best && y(0) - y(best.own) > 26;
    return isHigh && el("text", { class: "name", x: best.at, y: best.middle + 4 }, nameOf(release));
  });
}

// `flips`: when each release was flipped in.
function marks({ x, now, width, span }, flips) {
  return flips.filter(({ at }) => at > now - span * 1000).map(({ at, release }) =>
    el("g", { class: `flip ${colour(release)}`, "data-key": `flip-${release}` },
      el("line", { x1: x(at), x2: x(at), y1: TOP - 4, y2: HEIGHT - BOTTOM }),
      el("text", { x: Math.min(Math.max(x(at), 40), width - 40), y: TOP - 9 }, `flip to ${nameOf(release)}`)));
}

function axes({ most, y, width, span }) {
  const grid = [0, most / 2, most].map((value) => [
    el("line", { class: "grid", x1: 0, x2: width, y1: y(value), y2: y(value) }),
    value > 0 && el("text", { class: "axis", x: 2, y: y(value) - 4 }, `${axis.format(value)}/s`),
  ]);
  const step = span === 60 ? 30 : 60;
  const backs = Array.from({ length: span / step + 1 }, (_, position) => position * step);
  const words = (back) => (back === 0 ? "now" : back < 60 ? `${back} s ago` : `${back / 60} min ago`);
  const place = (back) => (back === span ? "" : back === 0 ? "last" : "middle");
  const times = backs.map((back) =>
    el("text", { class: `axis ${place(back)}`, x: width * (1 - back / span), y: HEIGHT - 4 }, words(back)));
  return [grid, times];
}

// The values at one time, as text.
export function readout({ points, releases, now }, back) {
  const at = now - back * 1000;
  const near = points.reduce((best, point) => (Math.abs(point.at - at) < Math.abs((best?.at ?? Infinity) - at) ? point : best), null);
  if (!near || Math.abs(near.at - at) > GAP_MS) {
    return `${clock(at)}: not looked at`;
  }
  const each = releases.filter((release) => near.rates[release]).map((release) => `${nameOf(release)} ${rate(near.rates[release][0])}/s`);
  const failed = total(near.rates, 1);
  return `${clock(near.at)}: ${each.join(", ") || "no requests"}${failed > 0 ? `, ${rate(failed)} errors/s` : ""}`;
}

// A slider over the plot selects a time by pointer, keyboard or screen reader.
function lookBack(app, span, redraw) {
  const input = el("input", { type: "range", min: -span, max: 0, step: 1, value: 0,
    "aria-label": `Look back at the requests of ${app}, in seconds before now` });
  const move = (back) => {
    back > 0 ? cursors.set(app, back) : cursors.delete(app);
    input.value = -back;
    redraw();
  };
  input.addEventListener("input", () => move(-Number(input.value)));
  input.addEventListener("pointermove", (event) => {
    const box = input.getBoundingClientRect();
    move(Math.round((1 - (event.clientX - box.left) / box.width) * -Number(input.min)));
  });
  for (const leaving of ["pointerleave", "blur"]) {
    input.addEventListener(leaving, () => move(0));
  }
  return input;
}

export function chart(app, seen, serving, flips, redraw) {
  const back = cursors.get(app);
  const cursor = back === undefined ? null : seen.x(seen.now - back * 1000);
  const isQuiet = seen.releases.length === 0;
  const words = back === undefined ? readout(seen, 0) : readout(seen, back);
  const slider = lookBack(app, seen.span, redraw);
  slider.setAttribute("aria-valuetext", words);
  return el("figure", { class: "chart", "data-key": "chart" },
    el("svg", { viewBox: `0 0 ${seen.width} ${HEIGHT}`, role: "img",
      "aria-label": `Requests per second of ${app} by release ; now ${words}` },
      el("defs", {}, el("pattern", { id: "hatch", width: 7, height: 7, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        el("rect", { class: "hatch", width: 2.5, height: 7 }))),
      axes(seen), areas(seen, serving), errors(seen), names(seen), marks(seen, flips),
      cursor !== null && el("line", { class: "cursor", x1: cursor, x2: cursor, y1: TOP, y2: HEIGHT - BOTTOM })),
    isQuiet && el("p", { class: "quiet muted" }, seen.points.length === 0 ? "The chart begins now." : "No requests in this time."),
    slider,
    el("figcaption", { class: back === undefined ? "muted" : "" }, back === undefined ? "Requests per second by release" : words));
}
