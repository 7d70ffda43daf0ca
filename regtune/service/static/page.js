// The page of the service: lists sweeps, shows one as it runs, and makes one from the catalogue. All data are of the API.
import { PHASES, aging, ask, followed, node, patiently, sleep, text, token } from "./api.js";
import { Figures } from "./charts.js";
import { form } from "./form.js";
import { rows, scroll } from "./tables.js";
import { TrialPage } from "./trial.js";
import { Trials } from "./trials.js";

const main = document.getElementById("main");
const said = document.getElementById("said");
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const SIZE = 50; // sweeps of a page of the list
const LONG = 5000; // ms between two looks at the tables while a sweep runs, or more where the service says so
const SELDOM = 60000; // ms between two looks at the figures
let gone = new AbortController(); // of what belongs to the view that is shown

function say(words) { said.textContent = words; }

function show(...parts) { main.replaceChildren(...parts); }

function minutes(seconds, most) {
  if (seconds === null) return "";
  const all = Math.round(seconds), rest = String(all % 60).padStart(2, "0");
  return `${most ? "at most " : ""}${Math.floor(all / 60)}:${rest}`;
}

function ended(counts) {
  const open = ["missing", "running", "interrupted"];
  const every = Object.entries(counts);
  const sum = (pairs) => pairs.reduce((total, [, count]) => total + count, 0);
  return every.length ? `${sum(every.filter(([status]) => !open.includes(status)))}/${sum(every)}` : "";
}

async function list(offset, signal) {
  const page = await ask(`/sweeps?offset=${offset}&limit=${SIZE}`, { signal });
  const lines = page.sweeps.map((sweep) => [
    node("a", { href: `#/sweep/${encodeURIComponent(sweep.name)}` }, sweep.name),
    sweep.state, ended(sweep.trials), String(sweep.epochs), minutes(sweep.seconds_left),
  ]);
  const parts = [node("h1", {}, "Sweeps")];
  parts.push(page.total ? scroll("Sweeps", rows(["sweep", "state", "trials", "epochs", "time left"], lines)) : node("p", { class: "box" }, "There is no sweep yet."));
  if (page.total > SIZE) {
    const links = [];
    if (offset) links.push(node("a", { href: `#/?${Math.max(0, offset - SIZE)}` }, "Newer"));
    if (offset + SIZE < page.total) links.push(node("a", { href: `#/?${offset + SIZE}` }, "Older"));
    parts.push(node("nav", { "aria-label": "More sweeps" }, ...links, node("span", { class: "soft" }, `${page.total} in all`)));
  }
  const held = document.activeElement && document.activeElement.getAttribute("href");
  show(...parts);
  if (held) main.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus(); // a list that is renewed leaves the keyboard where it was
}

function counts(status) {
  const phases = PHASES.filter((phase) => Object.values(status.counts).some((arm) => phase in arm));
  const of = (arm, name) => String(Object.values(arm).reduce((sum, phase) => sum + (phase[name] || 0), 0) || "");
  const bad = (arm) => String(["failed", "diverged", "lost"].reduce((sum, name) => sum + Number(of(arm, name)), 0) || "");
  const lines = Object.entries(status.counts).map(([name, arm]) => [
    name, ...phases.map((phase) => ended(arm[phase] || {})), of(arm, "running"), of(arm, "ok"), of(arm, "pruned"), bad(arm),
  ]);
  return rows(["arm", ...phases, "running", "ok", "pruned", "failed"], lines);
}

async function act(name, what) {
  say(`${what} …`);
  const status = await ask(`/sweeps/${encodeURIComponent(name)}/${what}`, { body: {} });
  say(`${name}: ${what === "stop" ? "asked to stop" : "started"}`);
  return status;
}

class Sweep {
  constructor(name, query, signal) {
    this.name = name;
    this.signal = signal;
    this.path = `/sweeps/${encodeURIComponent(name)}`;
    this.facts = node("p", { class: "soft" });
    this.wrong = node("div", {});
    this.buttons = node("p", {});
    this.live = node("div", {});
    this.tables = node("div", {}, node("p", { class: "soft" }, "…"));
    this.refused = node("div", {}); // why they are not as they should be
    this.figures = new Figures(this.path, signal, () => query.getAll("off"), report);
    this.failures = node("ul", {});
    this.output = node("pre", { tabindex: "0", "aria-label": "Output" });
    const kept = () => history.replaceState(null, "", `#/sweep/${encodeURIComponent(name)}${query.size ? `?${query}` : ""}`);
    this.trials = new Trials(name, this.path, query, signal, kept, report);
    this.query = query;
    this.kept = kept;
    this.arms = node("div", {});
    this.drawn = this.due = 0;
  }

  // Switches for the arms; those that are off stand in the address.
  switches(names) {
    if (this.arms.querySelectorAll("input").length === names.length) return;
    const made = names.map((name) => {
      const tick = node("input", { type: "checkbox" });
      tick.checked = !this.query.getAll("off").includes(name);
      tick.addEventListener("change", () => {
        const off = this.query.getAll("off").filter((one) => one !== name);
        this.query.delete("off");
        for (const one of tick.checked ? off : [...off, name]) this.query.append("off", one);
        this.kept();
        this.hide();
        this.figures.fit();
      });
      return node("label", { class: "tick" }, tick, name);
    });
    const inside = node("div", { class: "filters" }, ...made);
    this.arms.replaceChildren(node("fieldset", {}, node("legend", {}, "Arms that are shown: here, in the tables and in interactive figures"), inside));
  }

  hide() {
    const off = this.query.getAll("off");
    for (const row of [this.live, this.tables].flatMap((part) => [...part.querySelectorAll("tbody tr")])) {
      row.hidden = off.includes(row.cells[0]?.textContent.trim());
    }
  }

  parts() {
    const section = (title, ...inside) => node("section", {}, node("h2", {}, title), ...inside);
    const told = node("details", {}, node("summary", {}, "What its runs have printed"), this.output);
    told.addEventListener("toggle", () => told.open && text(`${this.path}/output`, this.signal).then((words) => { this.output.textContent = words; }).catch(report));
    return [node("h1", {}, this.name), this.facts, this.wrong, this.buttons, section("Trials", this.arms, this.live), section("Trials, one by one", this.trials.element), section("Tables", this.refused, this.tables),
      section("Figures", this.figures.element), section("Failures", this.failures), section("Output", told)];
  }

  // Shows how the sweep stands.
  told(status) {
    const left = minutes(status.seconds_left, status.at_most);
    this.facts.textContent = `${status.state}, ${ended(status.trials) || "no"} trials, ${status.epochs} epochs${left ? `, time left ${left}` : ""}${status.host ? `, on ${status.host}` : ""}${status.limit ? `; ${status.limit}` : ""}`;
    this.wrong.replaceChildren(...(status.error ? [node("p", { class: "box bad" }, status.error.message)] : []));
    const held = document.activeElement === this.button;
    const what = ["running", "starting"].includes(status.state) ? "stop" : "resume";
    if (this.what !== what || this.known !== status.file) {
      this.button = node("button", { type: "button" }, what === "stop" ? "Stop" : "Resume");
      this.button.disabled = what === "resume" && !status.file;
      this.button.addEventListener("click", () => act(this.name, what).then((found) => this.told(found)).catch(report));
      this.buttons.replaceChildren(this.button, ...(what === "resume" && !status.file ? [node("span", { class: "soft" }, " Its sweep file is not known here.")] : []));
      if (held) this.button.focus();
      this.what = what;
      this.known = status.file;
    }
    this.switches(status.arms);
    this.live.replaceChildren(scroll("Trials by arm and phase", counts(status)));
    this.hide();
    const failed = Object.entries(status.messages).map(([trial, words]) => node("li", {}, `${trial}: ${words}`));
    this.failures.replaceChildren(...(failed.length ? failed : [node("li", { class: "soft" }, "None.")]));
  }

  async drawTables() {
    const [words, age] = await aging(`${this.path}/table?format=html`, this.signal);
    this.due = Date.now() + Math.max(LONG, 1000 * age);
    const page = new DOMParser().parseFromString(words, "text/html");
    const found = [...page.querySelectorAll("table")].map((table) => scroll(table.caption ? table.caption.textContent : "Table", document.adoptNode(table)));
    this.tables.replaceChildren(...found);
    this.hide();
  }

  async drawFigures() {
    await this.figures.draw();
    this.drawn = Date.now();
  }

  // Draws what is made from the frames, where it may be another than what was drawn before.
  async renew() {
    const { status, shown } = this;
    const over = !shown || status.state !== shown.state; // what a sweep ends with is drawn at once, and all of it
    if (!(shown && over) && (status.event === shown?.event || Date.now() < this.due)) return;
    this.shown = status;
    this.refused.replaceChildren();
    if (!status.event) { // nothing is written yet, or the log cannot be read: asking for its tables would be refused
      this.tables.replaceChildren(node("p", { class: "soft" }, "None."));
      this.figures.clear(node("p", { class: "soft" }, "None."));
      return;
    }
    try {
      this.trials.choices(status.arms, status.repeats);
      await this.trials.draw();
      await this.drawTables();
      // They take the service the most time.
      if (over || Date.now() > Math.max(this.drawn + SELDOM, this.figures.due)) await this.drawFigures();
    } catch (error) {
      if (!error.again && (!error.status || error.status === 401)) throw error;
      if (error.status) this.refused.replaceChildren(node("p", { class: "box" }, error.message));
      if (error.again) { // what is drawn stays until then
        this.shown = null;
        this.due = Date.now() + error.again;
      } else {
        this.tables.replaceChildren();
        this.figures.clear();
      }
    }
  }

  // Draws, one drawing at a time, beside what comes on how the sweep stands.
  async draw() {
    while (!this.signal.aborted) {
      if (this.status) await this.renew();
      await sleep(200);
    }
  }

  async follow() {
    for await (const { data: status } of followed(`${this.path}/watch`, { signal: this.signal, say })) {
      this.status = status;
      this.told(status);
    }
  }

  async run() { await Promise.all([this.follow(), this.draw()]); }
}

function report(error) {
  if (error.name === "AbortError" || error.name === "TimeoutError") return;
  if (error.status === 401) { signIn(); return; }
  say(error.message);
}

function signIn() {
  const field = node("input", { type: "password", id: "token", autocomplete: "off", required: "" });
  const made = node("form", {}, node("label", {}, "Token", field), node("button", {}, "Open"));
  made.addEventListener("submit", (event) => { event.preventDefault(); token.set(field.value); say(""); route(); });
  show(node("h1", {}, "This service needs its token"), made);
  if (token.get()) say("This is not the token of this service.");
  field.focus();
}

async function route(event) {
  gone.abort();
  gone = new AbortController();
  const { signal } = gone;
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const moved = event && event.type === "hashchange";
  if (moved) { say(""); window.scrollTo(0, 0); }
  try {
    if (path === "new") show(...(await patiently(() => form(signal, say, (name) => { location.hash = `#/sweep/${encodeURIComponent(name)}`; }), { signal, say })));
    else if (path.startsWith("sweep/")) {
      const [name, part, ...trial] = path.slice(6).split("/").map(decodeURIComponent);
      if (part === "trials" && trial.length === 3) {
        const page = new TrialPage(name, trial, Number(new URLSearchParams(query).get("repeat")) || 1, signal, say);
        show(...(await page.parts()));
        if (moved) main.focus();
        await page.run();
        return;
      }
      document.title = `${name}: regtune`;
      const sweep = new Sweep(name, new URLSearchParams(query), signal);
      show(...sweep.parts());
      if (moved) main.focus();
      await sweep.run();
      return;
    } else if (!path) {
      document.title = "regtune";
      if (moved) main.focus();
      while (!signal.aborted) {
        if (!document.hidden) await patiently(() => list(Number(query) || 0, signal), { signal, say });
        await sleep(2000);
      }
      return;
    }
    if (moved) main.focus();
  } catch (error) {
    report(error);
  }
}

window.addEventListener("hashchange", route);
dark.addEventListener("change", route);
route();
