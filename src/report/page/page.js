// Shows the values at the pointer, taken from the table beside the plot, which has them without a script too.
"use strict";
for (const figure of document.querySelectorAll("figure")) {
  const readout = figure.parentElement.querySelector(".readout");
  if (!readout) continue;
  const names = [...figure.parentElement.querySelectorAll("th")].map((cell) => cell.textContent);
  const rows = [...figure.parentElement.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  const times = rows.map((row) => parseFloat(row[0]));
  for (const svg of figure.querySelectorAll("svg")) {
    const { left, right, from, to, top, bottom } = Object.fromEntries(Object.entries(svg.dataset).map(([key, value]) => [key, Number(value)]));
    const cursor = document.createElementNS(svg.namespaceURI, "line");
    cursor.setAttribute("class", "cursor");
    const leave = () => { cursor.remove(); readout.textContent = ""; };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      if (x < left || x > right || !rows.length) return leave();
      const time = from + (x - left) / (right - left) * (to - from);
      const nearest = times.reduce((best, at, index) => Math.abs(at - time) < Math.abs(times[best] - time) ? index : best, 0);
      const place = left + (times[nearest] - from) / (to - from) * (right - left);
      for (const [name, value] of [["x1", place], ["x2", place], ["y1", top], ["y2", bottom]]) cursor.setAttribute(name, value);
      svg.append(cursor);
      const said = rows[nearest].slice(1).map((value, index) => [names[index + 1], value]).filter(([, value]) => value !== "–" && value !== "0");
      readout.textContent = `${rows[nearest][0]}: ${said.map((pair) => pair.join(" ")).join(", ") || "nothing"}`;
    });
    svg.addEventListener("pointerleave", leave);
  }
}
