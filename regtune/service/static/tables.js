// Tables of the page.
import { node } from "./api.js";

export function scroll(name, table) {
  return node("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": name }, table);
}

export function rows(heads, lines) {
  const head = node("tr", {}, ...heads.map((name) => node("th", { scope: "col" }, name)));
  const body = lines.map(([first, ...cells]) => node("tr", {}, node("th", { scope: "row" }, first), ...cells.map((cell) => node("td", {}, cell))));
  return node("table", {}, node("thead", {}, head), node("tbody", {}, ...body));
}

export const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : value === null || value === undefined ? "" : String(value));
