// The figures of a sweep as interactive charts; as pictures where the script that draws them cannot be had.
import { aging, ask, node, text } from "./api.js";

const FIELDS = ["arm", "row", "column"]; // what figures call the arms of a row of their data
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let script = null; // of Vega; asked for when the first figure is shown, and again where it could not be had

function library() {
  script ??= ask("/about").then(({ charts }) => new Promise((done, failed) => {
    const made = node("script", { src: charts });
    made.addEventListener("load", () => done(window.vegaEmbed));
    made.addEventListener("error", failed);
    document.head.append(made);
  })).catch(() => { script = null; return null; });
  return script;
}

// A chart without the rows of arms that are off, null if none is left. What is drawn of an arm beside others stays: they are compared with it.
function without(spec, off) {
  if (!off.length) return spec;
  const ofArms = (rows) => rows.some((row) => FIELDS.some((field) => field in row));
  const known = Object.entries(spec.datasets);
  const datasets = Object.fromEntries(known.map(([name, rows]) => [name, rows.filter((row) => !FIELDS.some((field) => off.includes(row[field])))]));
  if (!known.some(([name, rows]) => !ofArms(rows) ? false : datasets[name].length)) return known.some(([, rows]) => ofArms(rows)) ? null : spec;
  return { ...spec, datasets, ...(spec.concat ? { concat: spec.concat.filter((part) => datasets[(part.data ?? spec.data).name].length) } : {}) };
}

class Chart {
  constructor(figure) {
    this.name = figure.name;
    this.title = figure.title;
    this.box = node("div", { class: "chart", role: "img", "aria-label": `${figure.title}. ${figure.caption}` });
    this.saves = node("p", { class: "filters saves", hidden: "" }, ...["svg", "png"].map((form) => this.save(form)));
    this.note = node("p", { class: "soft", hidden: "" }, "This is a picture: it shows the arms that are off too.");
    this.element = node("figure", {}, node("h3", {}, figure.title), this.box, this.note, node("figcaption", {}, figure.caption), this.saves);
    this.end();
  }

  save(form) {
    const button = node("button", { type: "button", "aria-label": `Save as ${form.toUpperCase()}: ${this.title}` }, `Save as ${form.toUpperCase()}`);
    button.addEventListener("click", async () => {
      const link = node("a", { href: await this.made.view.toImageURL(form, form === "png" ? 2 : 1), download: `${this.name}.${form}` });
      link.click();
    });
    return button;
  }

  // Draws it as a chart; one that was begun meanwhile, or `end`, has it given up.
  async draw(embed, spec, off) {
    this.spec = spec;
    const mine = without(spec, off), width = this.box.clientWidth;
    const wanted = JSON.stringify([mine, width, dark.matches]);
    if (wanted === this.shown) return; // what a reader points at stays
    this.end();
    this.shown = wanted;
    this.note.hidden = true;
    this.saves.hidden = true;
    if (!mine) {
      this.box.replaceChildren(node("p", { class: "box" }, "All arms of this figure are switched off."));
      return;
    }
    const inside = this.inside = node("div", { "aria-hidden": "true" }); // the box has the name, and marks have none
    this.box.replaceChildren(inside);
    let made;
    try {
      made = await embed(inside, window.fitted(mine, width, dark.matches, window.looks.blue), {
        config: dark.matches ? window.looks.dark : window.looks.light,
        renderer: window.rendererOf(mine),
        ast: true, // expressions are interpreted: the page forbids code that is made of text
        defaultStyle: false, // and styles that scripts add; style.css has them
        tooltip: { theme: "custom", disableDefaultStyle: true },
        actions: false,
      });
    } catch (error) {
      if (this.inside !== inside) return;
      this.end();
      throw error;
    }
    if (this.inside !== inside) { made.finalize(); return; }
    this.made = made;
    this.saves.hidden = false;
  }

  // Ends what is drawn, or is being drawn.
  end() {
    this.made?.finalize();
    this.made = this.inside = null;
    this.shown = "";
  }

  async picture(path, signal, off) {
    const svg = await text(`${path}?format=svg&theme=${dark.matches ? "dark" : "light"}`, signal);
    this.end();
    const source = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const image = node("img", { src: source, alt: "" });
    image.addEventListener("load", () => URL.revokeObjectURL(source));
    this.box.replaceChildren(image);
    this.saves.hidden = true;
    this.tell(off);
  }

  // Says what is true of a picture with these arms off.
  tell(off) { this.note.hidden = !off.length || !this.box.querySelector("img"); }
}

export class Figures {
  // `off` tells which arms are off; `report` is told what goes wrong where nobody waits.
  constructor(path, signal, off, report) {
    Object.assign(this, { path: `${path}/figures`, signal, off, report, charts: new Map(), embed: null, due: 0 });
    this.element = node("div", {}, node("p", { class: "soft" }, "…"));
    let waiting;
    window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => this.fit(), 150); }, { signal });
    signal.addEventListener("abort", () => { for (const chart of this.charts.values()) chart.end(); });
  }

  clear(...parts) {
    for (const chart of this.charts.values()) chart.end();
    this.charts.clear();
    this.element.replaceChildren(...parts);
  }

  // Draws what is known already anew: for another width, or other arms.
  fit() { this.fitted().catch(this.report); }

  async fitted() {
    for (const chart of this.charts.values()) {
      if (this.signal.aborted) return;
      if (this.embed && chart.spec) await this.one(chart, chart.spec);
      else chart.tell(this.off());
    }
  }

  async one(chart, spec) {
    const drawn = await chart.draw(this.embed, spec, this.off()).then(() => true, () => false);
    if (!drawn) await chart.picture(this.at(chart), this.signal, this.off());
  }

  at(chart) { return `${this.path}/${encodeURIComponent(chart.name)}`; }

  async draw() {
    this.embed = await library();
    const [words, age] = await aging(this.path, this.signal);
    this.due = Date.now() + 1000 * age;
    const known = JSON.parse(words).filter(({ why }) => !why);
    const names = known.map(({ name }) => name).join();
    if (names !== [...this.charts.keys()].join()) {
      this.clear();
      for (const figure of known) this.charts.set(figure.name, new Chart(figure));
      this.element.replaceChildren(...[...this.charts.values()].map(({ element }) => element));
    }
    for (const chart of this.charts.values()) {
      if (this.embed) await this.one(chart, await ask(this.at(chart), { signal: this.signal }));
      else await chart.picture(this.at(chart), this.signal, this.off());
    }
  }
}
