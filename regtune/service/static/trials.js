// The trials of a sweep, page by page.
import { PHASES, ask, node } from "./api.js";
import { rows, scroll, short } from "./tables.js";
import { ofRepeat } from "./trial.js";

const SIZE = 25; // trials of a page
const trialHash = (sweep, { arm, phase, number }, repeat) => `#/sweep/${[sweep, "trials", arm, phase, number].map(encodeURIComponent).join("/")}${ofRepeat(repeat)}`;

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

  // What is shown now, as the service is asked for it.
  asked() {
    const asked = new URLSearchParams({ limit: String(SIZE) });
    for (const key of ["arm", "phase", "repeat", "offset"]) if (this.query.get(key)) asked.set(key, this.query.get(key));
    return asked;
  }

  async draw() {
    const asked = this.asked();
    const page = await ask(`${this.path}/trials?${asked}`, { signal: this.signal });
    if (`${asked}` !== `${this.asked()}`) return; // the reader has moved on meanwhile
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
}
