// The trials of a sweep page by page, and the page of one: what it was, its epochs, and the command that trains it again.
import { ask, node } from "./api.js";
import { rows, scroll } from "./tables.js";

const SIZE = 25; // trials of a page
const MOST = 10000; // epochs that the service hands out at once
const PHASES = ["search", "select", "confirm", "rivals"];
const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [640, 280, 52, 115, 40, 12]; // of the drawing, in its own units
const LINES = [["train_accuracy", "train"], ["val_accuracy", "validation"]];
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : value === null || value === undefined ? "" : String(value));

export const trialHash = (sweep, { arm, phase, number }) => `#/sweep/${[sweep, "trials", arm, phase, number].map(encodeURIComponent).join("/")}`;

// The table of trials of a sweep; `query` has the filters, and `changed` is called when the reader changes one.
export class Trials {
  constructor(name, path, query, signal, changed, report) {
    Object.assign(this, { name, path, query, signal, changed, report });
    this.arm = node("select", {}, node("option", { value: "" }, "all"));
    this.phase = node("select", {}, ...["", ...PHASES].map((one) => node("option", { value: one }, one || "all")));
    this.phase.value = query.get("phase") || "";
    this.inside = node("div", {});
    for (const [select, key] of [[this.arm, "arm"], [this.phase, "phase"]]) {
      select.addEventListener("change", () => this.move({ [key]: select.value, offset: "" }));
    }
    this.element = node("div", {}, node("p", { class: "filters" }, node("label", {}, "Arm", this.arm), node("label", {}, "Phase", this.phase)), this.inside);
  }

  move(changes) {
    for (const [key, value] of Object.entries(changes)) {
      if (value) this.query.set(key, value);
      else this.query.delete(key);
    }
    this.changed();
    this.draw().catch(this.report);
  }

  arms(names) {
    if (this.arm.options.length === names.length + 1) return;
    this.arm.replaceChildren(...["", ...names].map((one) => node("option", { value: one }, one || "all")));
    this.arm.value = this.query.get("arm") || "";
  }

  async draw() {
    const asked = new URLSearchParams({ limit: String(SIZE) });
    for (const key of ["arm", "phase", "offset"]) if (this.query.get(key)) asked.set(key, this.query.get(key));
    const page = await ask(`${this.path}/trials?${asked}`, { signal: this.signal });
    if (asked.toString() !== this.wanted(asked)) return; // the reader has moved on meanwhile
    const lines = page.rows.map((row) => [
      row.status === "missing" ? `${row.arm}/${row.phase}/${row.number}` : node("a", { href: trialHash(this.name, row) }, `${row.arm}/${row.phase}/${row.number}`),
      row.status, short(row.epochs), short(row.val_accuracy), Object.entries(row.params || {}).map(([knob, value]) => `${knob} ${short(value)}`).join(", "),
    ]);
    const held = this.inside.contains(document.activeElement) ? document.activeElement.textContent : null;
    const more = [["Previous", page.offset - SIZE, page.offset > 0], ["Next", page.offset + SIZE, page.offset + SIZE < page.total]].map(([words, offset, possible]) => {
      const button = node("button", { type: "button" }, words);
      button.disabled = !possible;
      button.addEventListener("click", () => this.move({ offset: String(Math.max(0, offset) || "") }));
      return button;
    });
    const table = scroll("Trials, one by one", rows(["trial", "status", "epochs", "validation accuracy", "knobs"], lines));
    this.inside.replaceChildren(table, node("p", {}, ...(page.total > SIZE ? more : []), node("span", { class: "soft" }, ` ${page.total} trials`)));
    if (held) [...this.inside.querySelectorAll("a, button")].find((one) => one.textContent === held)?.focus();
  }

  wanted(asked) {
    const now = new URLSearchParams({ limit: asked.get("limit") });
    for (const key of ["arm", "phase", "offset"]) if (this.query.get(key)) now.set(key, this.query.get(key));
    return now.toString();
  }
}

function drawn(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...inside);
  return made;
}

function curve(epochs) {
  const last = Math.max(...epochs.map(({ epoch }) => epoch));
  const x = (epoch) => LEFT + (WIDTH - LEFT - RIGHT) * (last > 1 ? (epoch - 1) / (last - 1) : 0.5);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value;
  const parts = [], words = [];
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }), drawn("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const epoch of new Set([1, last])) parts.push(drawn("text", { x: x(epoch), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, String(epoch)));
  parts.push(drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "epoch"));
  const ends = [];
  for (const [column, title] of LINES) {
    const points = epochs.filter((row) => Number.isFinite(row[column]));
    if (!points.length) continue;
    const end = points[points.length - 1];
    let height = y(end[column]) + 4;
    if (ends.some((other) => Math.abs(other - height) < 18)) height = ends[0] + (height < ends[0] ? -18 : 18); // names do not lie on each other
    ends.push(height);
    parts.push(drawn("polyline", { points: points.map((row) => `${x(row.epoch)},${y(row[column])}`).join(" "), class: title }));
    if (points.length === 1) parts.push(drawn("circle", { cx: x(end.epoch), cy: y(end[column]), r: 3, class: title }));
    parts.push(drawn("text", { x: x(end.epoch) + 8, y: height }, title));
    words.push(`${title} from ${short(points[0][column])} to ${short(end[column])}`);
  }
  return drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "curve", "aria-label": `Accuracy by epoch, ${epochs.length} epochs: ${words.join(", ") || "none measured"}` }, ...parts);
}

export async function trialPage(sweep, [arm, phase, number], signal) {
  const path = `/sweeps/${encodeURIComponent(sweep)}`;
  const title = `${arm}/${phase}/${number}`;
  document.title = `${title} of ${sweep}: regtune`;
  const found = await ask(`${path}/trials/${[arm, phase, number].map(encodeURIComponent).join("/")}`, { signal });
  const query = new URLSearchParams({ arm, phase, number, limit: String(MOST) });
  const epochs = (await ask(`${path}/epochs?${query}`, { signal })).rows;
  const section = (name, ...inside) => node("section", {}, node("h2", {}, name), ...inside);
  const code = (name, words) => node("pre", { tabindex: "0", "aria-label": name }, words);
  const json = (value) => JSON.stringify(value, null, 2);
  const columns = ["epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss", "learning_rate"];
  const numbers = rows(columns, epochs.map((row) => columns.map((column) => short(row[column]))));
  const curves = epochs.length
    ? [curve(epochs), node("details", {}, node("summary", {}, "The epochs in numbers"), scroll("Epochs", numbers))]
    : [node("p", { class: "soft" }, "No epoch has ended.")];
  return [
    node("p", {}, node("a", { href: `#/sweep/${encodeURIComponent(sweep)}` }, `Back to ${sweep}`)), node("h1", {}, title),
    node("p", { class: "soft" }, `${found.status}, ${epochs.length} epochs, seed ${found.trial.seed}, id ${found.id}`),
    ...(found.message ? [node("p", { class: "box bad" }, found.message)] : []),
    section("Accuracy by epoch", ...curves),
    section("Train it again", node("p", { class: "soft" }, "On the machine of the results; it says whether every number is identical."), code("Command", found.command)),
    section("Configuration", node("h3", {}, "Searched knobs"), code("Searched knobs", json(found.params)), node("h3", {}, "Recipe"), code("Recipe", json(found.trial.recipe)),
      node("h3", {}, "All that determines its numbers"), code("Trial", json(found.trial))),
  ];
}
