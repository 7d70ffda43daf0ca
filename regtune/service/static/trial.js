// The trials of a sweep page by page, and the page of one: what it was, its epochs, and the command that trains it again.
import { ask, heard, node, sleep } from "./api.js";
import { rows, scroll } from "./tables.js";

const SIZE = 25; // trials of a page
const MOST = 10000; // epochs that the service hands out at once
const PHASES = ["search", "select", "confirm", "rivals"];
const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [640, 280, 52, 115, 40, 12]; // of the drawing, in its own units
const LINES = [["train_accuracy", "train"], ["val_accuracy", "validation"]];
const short = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : value === null || value === undefined ? "" : String(value));

const OPEN = ["running", "interrupted"]; // what more epochs may come of
const PAUSE = 1000; // ms until a service that was away is asked again

const ofRepeat = (repeat) => (repeat > 1 ? `?repeat=${repeat}` : "");
export const trialHash = (sweep, { arm, phase, number }, repeat) => `#/sweep/${[sweep, "trials", arm, phase, number].map(encodeURIComponent).join("/")}${ofRepeat(repeat)}`;

// The table of trials of a sweep; `query` has the filters, and `changed` is called when the reader changes one.
export class Trials {
  constructor(name, path, query, signal, changed, report) {
    Object.assign(this, { name, path, query, signal, changed, report });
    this.arm = node("select", {}, node("option", { value: "" }, "all"));
    this.phase = node("select", {}, ...["", ...PHASES].map((one) => node("option", { value: one }, one || "all")));
    this.phase.value = query.get("phase") || "";
    this.inside = node("div", {});
    this.repeat = node("select", {});
    this.repeats = node("label", { hidden: "" }, "Repeat", this.repeat);
    for (const [select, key] of [[this.arm, "arm"], [this.phase, "phase"], [this.repeat, "repeat"]]) {
      select.addEventListener("change", () => this.move({ [key]: select.value, offset: "" }));
    }
    this.element = node("div", {}, node("p", { class: "filters" }, node("label", {}, "Arm", this.arm), node("label", {}, "Phase", this.phase), this.repeats), this.inside);
  }

  move(changes) {
    for (const [key, value] of Object.entries(changes)) {
      if (value) this.query.set(key, value);
      else this.query.delete(key);
    }
    this.changed();
    this.draw().catch(this.report);
  }

  // Offers the arms and the repeats of the sweep.
  choices(names, repeats) {
    if (this.repeat.options.length !== repeats) {
      this.repeat.replaceChildren(...Array.from({ length: repeats }, (_, k) => node("option", { value: k ? String(k + 1) : "" }, String(k + 1))));
      this.repeat.value = this.query.get("repeat") || "";
      this.repeats.hidden = repeats < 2;
    }
    if (this.arm.options.length === names.length + 1) return;
    this.arm.replaceChildren(...["", ...names].map((one) => node("option", { value: one }, one || "all")));
    this.arm.value = this.query.get("arm") || "";
  }

  async draw() {
    const asked = new URLSearchParams({ limit: String(SIZE) });
    for (const key of ["arm", "phase", "repeat", "offset"]) if (this.query.get(key)) asked.set(key, this.query.get(key));
    const page = await ask(`${this.path}/trials?${asked}`, { signal: this.signal });
    if (asked.toString() !== this.wanted(asked)) return; // the reader has moved on meanwhile
    const lines = page.rows.map((row) => [
      row.status === "missing" ? `${row.arm}/${row.phase}/${row.number}` : node("a", { href: trialHash(this.name, row, Number(asked.get("repeat")) || 1) }, `${row.arm}/${row.phase}/${row.number}`),
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
    for (const key of ["arm", "phase", "repeat", "offset"]) if (this.query.get(key)) now.set(key, this.query.get(key));
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

// The epochs of a trial in an event of the log: in a row of its own, or in one of many trials by columns.
function epochsIn(event, data, [arm, phase, number]) {
  if (event === "epoch") return data.cell.join("\n") === [arm, phase, number].join("\n") ? [data.epoch] : [];
  if (event !== "epochs") return [];
  const cells = data.cells.flatMap(([one, other, numbers]) => numbers.map((each) => [one, other, each].join("\n")));
  const place = cells.indexOf([arm, phase, number].join("\n"));
  return place < 0 ? [] : [Object.fromEntries(Object.entries(data.epoch).map(([name, value]) => [name, Array.isArray(value) ? value[place] : value]))];
}

// The page of a trial, which follows the log while it runs.
export class TrialPage {
  constructor(sweep, key, repeat, signal) {
    Object.assign(this, { sweep, key, repeat, signal, path: `/sweeps/${encodeURIComponent(sweep)}`, epochs: new Map() });
    this.facts = node("p", { class: "soft" });
    this.wrong = node("div", {});
    this.curve = node("div", {}, node("p", { class: "soft" }, "No epoch has ended."));
    this.numbers = node("div", {});
    this.details = node("details", { hidden: "" }, node("summary", {}, "The epochs in numbers"), this.numbers);
  }

  async parts() {
    const { sweep, key, repeat } = this;
    const title = key.join("/");
    document.title = `${title} of ${sweep}: regtune`;
    await this.ask();
    const section = (name, ...inside) => node("section", {}, node("h2", {}, name), ...inside);
    const code = (name, words) => node("pre", { tabindex: "0", "aria-label": name }, words);
    const json = (value) => JSON.stringify(value, null, 2);
    const { found } = this;
    return [
      node("p", {}, node("a", { href: `#/sweep/${encodeURIComponent(sweep)}${ofRepeat(repeat)}` }, `Back to ${sweep}`)), node("h1", {}, title),
      this.facts, this.wrong, section("Accuracy by epoch", this.curve, this.details),
      section("Train it again", node("p", { class: "soft" }, "On the machine of the results; it says whether every number is identical."), code("Command", found.command)),
      section("Configuration", node("h3", {}, "Searched knobs"), code("Searched knobs", json(found.params)), node("h3", {}, "Recipe"), code("Recipe", json(found.trial.recipe)),
        node("h3", {}, "All that determines its numbers"), code("Trial", json(found.trial))),
    ];
  }

  async ask() {
    const { key: [arm, phase, number], repeat, path, signal } = this;
    this.found = await ask(`${path}/trials/${[arm, phase, number].map(encodeURIComponent).join("/")}?repeat=${repeat}`, { signal });
    this.after = this.found.event;
    const query = new URLSearchParams({ arm, phase, number, repeat, limit: String(MOST) });
    this.epochs.clear();
    for (const row of (await ask(`${path}/epochs?${query}`, { signal })).rows) this.take(row);
    this.draw();
  }

  take(row) { this.epochs.set(`${row.stage || "train"} ${row.epoch}`, row); }

  draw() {
    const { found, repeat } = this, epochs = [...this.epochs.values()];
    const columns = ["epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss", "learning_rate"];
    this.facts.textContent = `${found.status}, ${epochs.length} epochs, seed ${found.trial.seed}, id ${found.id}${repeat > 1 ? `, repeat ${repeat}` : ""}`;
    this.wrong.replaceChildren(...(found.message ? [node("p", { class: "box bad" }, found.message)] : []));
    if (!epochs.length) return;
    this.details.hidden = false;
    this.curve.replaceChildren(curve(epochs));
    this.numbers.replaceChildren(scroll("Epochs", rows(columns, epochs.map((row) => columns.map((column) => short(row[column]))))));
  }

  // Takes what an event says of this trial, if it does.
  hear({ id, event, data }) {
    if (id) this.after = id;
    const epochs = epochsIn(event, data, this.key);
    for (const epoch of epochs) this.take({ ...epoch, epoch: epoch.number });
    const mine = data.cell?.join("\n") === this.key.join("\n");
    if (mine && event === "asked") this.epochs.clear(); // it begins anew
    if (mine && (event === "asked" || event === "started")) this.found.status = "running";
    if (mine && event === "ended") Object.assign(this.found, { status: data.outcome.status, message: data.outcome.message });
    if (mine || epochs.length) this.draw();
  }

  async run() {
    const { path, repeat, signal } = this;
    while (!signal.aborted && OPEN.includes(this.found.status)) {
      try {
        for await (const event of heard(`${path}/events?repeat=${repeat}`, { signal, after: this.after })) {
          this.hear(event);
          if (!OPEN.includes(this.found.status)) return;
        }
      } catch (error) {
        if (error.name !== "Away") throw error;
      }
      await sleep(PAUSE);
    }
  }
}
