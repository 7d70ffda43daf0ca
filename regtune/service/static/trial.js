// The page of a trial: what it was, its epochs, and the command that trains it again.
import { ask, followed, node, patiently } from "./api.js";
import { curve } from "./curve.js";
import { rows, scroll, short } from "./tables.js";

const MOST = 10000; // epochs that the service hands out at once
const DONE = ["ok", "pruned", "unneeded"]; // those that end otherwise may be tried again

export const ofRepeat = (repeat) => (repeat > 1 ? `?repeat=${repeat}` : "");
const code = (name, words) => node("pre", { tabindex: "0", "aria-label": name }, words);

const isOf = (cell, key) => cell?.join("\n") === key.join("\n");

// The epochs of a trial in an event of the log: in a row of its own, or in one of many by columns, which may have several of it.
function epochsIn(event, data, key) {
  if (event === "epoch") return isOf(data.cell, key) ? [data.epoch] : [];
  if (event !== "epochs") return [];
  const cells = data.cells.flatMap(([arm, phase, numbers]) => numbers.map((number) => [arm, phase, number]));
  const at = (place) => Object.fromEntries(Object.entries(data.epoch).map(([name, value]) => [name, Array.isArray(value) ? value[place] : value]));
  return cells.flatMap((cell, place) => (isOf(cell, key) ? [at(place)] : []));
}

// Whether a trial begins anew with an event: what it had before counts no more.
function begins(event, data, key) {
  return event === "asked" ? isOf(data.cell, key) : event === "retry" && data.cells.some((cell) => isOf(cell, key));
}

// The page of a trial, which follows the log until nothing more can come of it.
export class TrialPage {
  constructor(sweep, key, repeat, signal, say) {
    Object.assign(this, { sweep, key, repeat, signal, say, path: `/sweeps/${encodeURIComponent(sweep)}`, epochs: new Map() });
    this.facts = node("p", { class: "soft" });
    this.wrong = node("div", {});
    this.curve = node("div", {});
    this.numbers = node("div", {});
    this.details = node("details", {}, node("summary", {}, "The epochs in numbers"), this.numbers);
    this.setup = node("section", {});
  }

  async parts() {
    const { sweep, key, repeat, signal, say } = this;
    const title = key.join("/");
    document.title = `${title} of ${sweep}: regtune`;
    await patiently(() => this.ask(), { signal, say });
    const section = (name, ...inside) => node("section", {}, node("h2", {}, name), ...inside);
    return [
      node("p", {}, node("a", { href: `#/sweep/${encodeURIComponent(sweep)}${ofRepeat(repeat)}` }, `Back to ${sweep}`)), node("h1", {}, title),
      this.facts, this.wrong, section("Accuracy by epoch", this.curve, this.details),
      section("Train it again", node("p", { class: "soft" }, "On the machine of the results; it says whether every number is identical."), code("Command", this.found.command)),
      this.setup,
    ];
  }

  async ask() {
    const { key: [arm, phase, number], repeat, path, signal } = this;
    this.found = await ask(`${path}/trials/${[arm, phase, number].map(encodeURIComponent).join("/")}?repeat=${repeat}`, { signal });
    const query = new URLSearchParams({ arm, phase, number, repeat, limit: String(MOST) });
    const { rows: epochs } = await ask(`${path}/epochs?${query}`, { signal });
    this.epochs.clear();
    for (const row of epochs) this.take(row);
    this.describe();
    this.draw();
  }

  take(row) { this.epochs.set(`${row.stage || "train"} ${row.epoch}`, row); }

  describe() {
    const { params, trial } = this.found, json = (value) => JSON.stringify(value, null, 2);
    this.setup.replaceChildren(node("h2", {}, "Configuration"), node("h3", {}, "Searched knobs"), code("Searched knobs", json(params)),
      node("h3", {}, "Recipe"), code("Recipe", json(trial.recipe)), node("h3", {}, "All that determines its numbers"), code("Trial", json(trial)));
  }

  draw() {
    const { found, repeat } = this, epochs = [...this.epochs.values()];
    const columns = ["epoch", "train_accuracy", "val_accuracy", "train_loss", "val_loss", "learning_rate"];
    this.facts.textContent = `${found.status}, ${epochs.length} epochs, seed ${found.trial.seed}, id ${found.id}${repeat > 1 ? `, repeat ${repeat}` : ""}`;
    this.wrong.replaceChildren(...(found.message ? [node("p", { class: "box bad" }, found.message)] : []));
    this.details.hidden = !epochs.length;
    this.curve.replaceChildren(epochs.length ? curve(epochs) : node("p", { class: "soft" }, "No epoch has ended."));
    this.numbers.replaceChildren(scroll("Epochs", rows(columns, epochs.map((row) => columns.map((column) => short(row[column]))))));
  }

  // Takes what an event says of this trial, if it does.
  hear({ event, data }) {
    const { key, found } = this, mine = isOf(data.cell, key), anew = begins(event, data, key);
    const epochs = epochsIn(event, data, key);
    for (const epoch of epochs) this.take({ ...epoch, epoch: epoch.number });
    if (anew) {
      this.epochs.clear();
      Object.assign(found, { status: "running", message: "" });
    }
    if (mine && event === "asked") { // perhaps as another one: search may have been extended, and have another choice
      Object.assign(found, { id: data.id, trial: data.trial, params: data.params });
      this.describe();
    }
    if (mine && event === "started") Object.assign(found, { status: "running", message: "" });
    if (mine && event === "ended") Object.assign(found, { status: data.outcome.status, message: data.outcome.message });
    if (anew || mine || epochs.length) this.draw();
  }

  async run() {
    const { path, repeat, signal, say } = this;
    if (DONE.includes(this.found.status)) return;
    for await (const event of followed(`${path}/events?repeat=${repeat}`, { signal, say, after: this.found.event })) {
      this.hear(event);
      if (DONE.includes(this.found.status)) return;
    }
  }
}
