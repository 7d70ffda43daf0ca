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
  return { ...spec, datasets, ...(spec.concat ? { concat: spec.concat.filter((part) => datasets[part.data.name].length) } : {}) };
}

class Chart {
  constructor(figure) {
    this.name = figure.name;
    this.title = figure.title;
    this.box = node("div", { class: "chart", role: "img", "aria-label": `${figure.title}. ${figure.caption}` });
    this.saves = node("p", { class: "filters saves", hidden: "" }, ...["svg", "png"].map((form) => this.save(form)));
    this.element = node("figure", {}, node("h3", {}, figure.title), this.box, node("figcaption", {}, figure.caption), this.saves);
    this.shown = "";
  }

  save(form) {
    const button = node("button", { type: "button", "aria-label": `Save as ${form.toUpperCase()}: ${this.title}` }, `Save as ${form.toUpperCase()}`);
    button.addEventListener("click", async () => {
      const link = node("a", { href: await this.view.toImageURL(form, form === "png" ? 2 : 1), download: `${this.name}.${form}` });
      link.click();
    });
    return button;
  }

  async draw(embed, spec, off) {
    this.spec = spec;
    const mine = without(spec, off), width = this.box.clientWidth;
    const wanted = JSON.stringify([mine, width, dark.matches]);
    if (wanted === this.shown) return; // what a reader points at stays
    this.shown = wanted;
    this.end();
    this.saves.hidden = !mine;
    if (!mine) {
      this.box.replaceChildren(node("p", { class: "box" }, "All arms of this figure are switched off."));
      return;
    }
    const inside = node("div", { "aria-hidden": "true" }); // the box has the name, and marks have none
    this.box.replaceChildren(inside);
    const made = await embed(inside, window.fitted(mine, width, dark.matches, window.looks.blue), {
      config: dark.matches ? window.looks.dark : window.looks.light,
      renderer: window.rendererOf(mine),
      ast: true, // expressions are interpreted: the page forbids code that is made of text
      defaultStyle: false, // and styles that scripts add; style.css has them
      tooltip: { theme: "custom", disableDefaultStyle: true },
      actions: false,
    });
    this.end = () => made.finalize();
    this.view = made.view;
  }

  end() {} // of what is drawn

  async picture(path, signal) {
    this.shown = "";
    const svg = await text(`${path}?format=svg&theme=${dark.matches ? "dark" : "light"}`, signal);
    const source = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const image = node("img", { src: source, alt: "" });
    image.addEventListener("load", () => URL.revokeObjectURL(source));
    this.box.replaceChildren(image);
    this.saves.hidden = true;
  }
}

export class Figures {
  // `off` tells which arms are off.
  constructor(path, signal, off) {
    Object.assign(this, { path: `${path}/figures`, signal, off, charts: new Map(), embed: null, due: 0 });
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
  async fit() {
    for (const chart of this.charts.values()) if (this.embed && chart.spec) await chart.draw(this.embed, chart.spec, this.off()).catch(() => {});
  }

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
    for (const [name, chart] of this.charts) {
      const path = `${this.path}/${encodeURIComponent(name)}`;
      const drawn = this.embed && await ask(path, { signal: this.signal }).then((spec) => chart.draw(this.embed, spec, this.off()).then(() => true, () => false));
      if (!drawn) await chart.picture(path, this.signal);
    }
  }
}
