// DOM elements, number formatting, and updates of the page.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "line", "text", "rect", "circle", "defs", "pattern"]);

// An element with its attributes and children; what is null or false is left out.
export function el(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);
const isSame = (old, fresh) => old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);

// Updates `old` to match `fresh` and keeps existing elements, so that focus, selection and scrolling survive.
function morph(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) {
      old.nodeValue = fresh.nodeValue;
    }
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) {
      old.removeAttribute(name);
    }
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  fill(old, [...fresh.childNodes]);
}

// Replaces the children of `parent`.
export function fill(parent, children) {
  const fresh = children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const old = [...parent.childNodes];
  const keyed = new Map(old.filter((node) => keyOf(node) !== null).map((node) => [keyOf(node), node]));
  fresh.forEach((node, position) => {
    const here = parent.childNodes[position];
    const known = keyOf(node) === null ? here : keyed.get(keyOf(node));
    if (known && isSame(known, node)) {
      if (known !== here) {
        parent.insertBefore(known, here ?? null);
      }
      morph(known, node);
    } else {
      parent.insertBefore(node, here ?? null);
    }
  });
  while (parent.childNodes.length > fresh.length) {
    parent.lastChild.remove();
  }
}

// Adjacent releases never share a colour.
const COLOURS = 5;
export const colour = (release) => (release > 0 ? `c${(release - 1) % COLOURS}` : "lost");
export const nameOf = (release) => (release > 0 ? `r${release}` : "no replica");

export const swatch = (release) =>
  el("span", { class: `release ${colour(release)}` }, el("span", { class: "swatch", "aria-hidden": "true" }), nameOf(release));

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const count = (number) => (number < 100000 ? whole.format(number) : short.format(number));
export const rate = (number) => (number === 0 || number >= 100 ? count(Math.round(number)) : number.toFixed(1));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

// A small error rate must not be rounded to zero.
export function percent(part, all) {
  const share = all > 0 ? (part * 100) / all : 0;
  return share === 0 ? "0 %" : share < 0.01 ? "< 0.01 %" : `${share.toFixed(share < 1 ? 2 : 1)} %`;
}

export function duration(ms) {
  const seconds = ms / 1000;
  if (ms < 1000) {
    return `${Math.round(ms)} ms`;
  }
  if (seconds < 60) {
    return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  }
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours < 1) {
    return `${minutes} min ${Math.floor(seconds % 60)} s`;
  }
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

// A relative time in one unit.
export function ago(at, now) {
  const seconds = Math.max(0, (now - Date.parse(at)) / 1000);
  const units = [[86400, "d"], [3600, "h"], [60, "min"]];
  const unit = units.find(([length]) => seconds >= length);
  return unit ? `${Math.floor(seconds / unit[0])} ${unit[1]} ago` : seconds < 5 ? "just now" : `${Math.floor(seconds)} s ago`;
}

const clockFormat = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dateFormat = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
export const clock = (ms) => clockFormat.format(ms);
export const moment = (at) => dateFormat.format(Date.parse(at));

const sockets = ({ websockets }) => (websockets > 0 ? ` + ${plural(websockets, "WebSocket")}` : "");
export const openShort = (inFlight) => `${count(inFlight.requests)}${sockets(inFlight)}`;
export const open = (inFlight) => `${count(inFlight.requests)} open${sockets(inFlight)}`;
