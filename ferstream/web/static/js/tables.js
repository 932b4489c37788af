// Tables that scroll by themselves on narrow screens, reachable by keyboard.
import { h } from "./dom.js";

/** heads: [[name, "n" for numbers]]; rows: <tr> elements, or a <tbody> that the caller fills. */
export function dataTable(label, heads, rows) {
  const cells = heads.map(([name, kind]) => h("th", { scope: "col", class: kind ?? null }, name));
  const body = Array.isArray(rows) ? h("tbody", {}, rows) : rows;
  const table = h("table", {}, h("thead", {}, h("tr", {}, cells)), body);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, table` }, table);
}

export const rowHead = (...children) => h("th", { scope: "row" }, ...children);
export const cell = (...children) => h("td", {}, ...children);
export const numberCell = (text) => h("td", { class: "n" }, text);
