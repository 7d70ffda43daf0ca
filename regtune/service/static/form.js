// The form of a new sweep, made from the catalogue: it writes the TOML that is then checked and submitted.
import { ask, node } from "./api.js";

const quote = (word) => JSON.stringify(word);
const field = (words, input) => node("label", {}, words, input);
const number = (value, least) => node("input", { type: "number", step: "any", min: String(least), value: String(value) });

function choice(names, chosen) {
  const made = node("select", {}, ...names.map((name) => node("option", { value: name }, name)));
  if (names.includes(chosen)) made.value = chosen;
  return made;
}

// The field of a knob: what it says in TOML, empty for the default.
function knob(name, schema) {
  const plain = schema.anyOf ? schema.anyOf[0] : schema;
  const standard = typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
  let input;
  if (plain.enum || plain.type === "boolean") input = choice(["", ...(plain.enum || ["true", "false"])], "");
  else input = node("input", { type: "text", placeholder: standard, autocomplete: "off", spellcheck: "false" });
  input.title = schema.description;
  const toml = () => {
    const given = input.value.trim();
    if (!given) return null;
    const word = plain.type === "string" || (schema.anyOf && given === schema.anyOf[1].const);
    return `${name} = ${word ? quote(given) : given}`;
  };
  return { element: field(`${name} (${standard})`, input), toml };
}

// A table of the file that names something of the catalogue, with its knobs.
function named(title, entries, chosen, changed, left = []) {
  const which = choice(entries.map((entry) => entry.name), chosen);
  const about = node("p", { class: "soft" }), inside = node("div", {});
  let knobs = [];
  const renew = () => {
    const entry = entries.find(({ name }) => name === which.value);
    knobs = Object.entries(entry.knobs.properties).filter(([name]) => !left.includes(name)).map(([name, schema]) => knob(name, schema));
    about.textContent = entry.summary;
    inside.replaceChildren(...knobs.map(({ element }) => element));
    changed();
  };
  which.addEventListener("change", renew);
  const more = node("details", {}, node("summary", {}, "Settings"), inside);
  const element = node("fieldset", {}, node("legend", {}, title), field("name", which), about, more);
  return { element, renew, toml: () => [`name = ${quote(which.value)}`, ...knobs.map(({ toml }) => toml()).filter(Boolean)] };
}

export async function form(signal, say, open) {
  document.title = "New sweep: regtune";
  const catalogue = await ask("/catalogue", { signal });
  const file = node("textarea", { id: "toml", spellcheck: "false", "aria-label": "Sweep file (TOML)" });
  const wrong = node("p", { role: "alert", class: "bad" });
  const name = node("input", { type: "text", required: "", value: "my-sweep", pattern: "[A-Za-z0-9][A-Za-z0-9._\\-]*", maxlength: "100" });
  const write = () => { file.value = toml(); };
  const data = named("Data", catalogue.data, "digits", write);
  const network = named("Network", catalogue.networks, "mlp", write);
  const optimizer = named("Optimizer", catalogue.optimizers, "sgd", write, ["learning_rate"]);
  const low = number(0.001, 0), high = number(0.2, 0), epochs = number(30, 1), batch = number(20, 1);
  const trials = number(10, 1), seeds = number(15, 0);
  const methods = catalogue.regularizers.map((entry) => {
    const tick = node("input", { type: "checkbox", value: entry.name });
    return { tick, element: node("label", { class: "tick" }, tick, node("span", {}, entry.name, node("span", { class: "soft" }, ` ${entry.summary}`))) };
  });

  function toml() {
    const arms = methods.filter(({ tick }) => tick.checked).map(({ tick }) => `${tick.value} = { ${tick.value} = {} }`);
    const table = (title, ...lines) => `[${title}]\n${lines.join("\n")}\n`;
    return [
      `name = ${quote(name.value)}\n`,
      table("data", ...data.toml()), table("network", ...network.toml()),
      table("optimizer", ...optimizer.toml(), `learning_rate = { low = ${low.value}, high = ${high.value}, log = true }`),
      table("training", `epochs = ${epochs.value}`, `batch = ${batch.value}`),
      table("arms", "baseline = {}", ...arms), table("search", `trials = ${trials.value}`), table("confirm", `seeds = ${seeds.value}`),
    ].join("\n");
  }

  const button = (words) => node("button", { type: "button" }, words);
  const quick = button("Check the text"), full = button("Check with data"), submit = button("Submit");
  const every = [quick, full, submit];
  const asked = async (path, body, done) => {
    wrong.textContent = "";
    say("Checking …");
    for (const one of every) one.disabled = true;
    try {
      done(await ask(path, { body: { toml: file.value, ...body }, signal }));
    } catch (error) {
      if (error.status === 401) say("This service needs its token: open the list of sweeps.");
      else if (error.name !== "AbortError") { say(""); wrong.textContent = error.message; }
    } finally {
      for (const one of every) one.disabled = false;
    }
  };
  quick.addEventListener("click", () => asked("/check", { full: false }, (found) => say(`The text is right: ${found.arms.length} arms.`)));
  full.addEventListener("click", () => asked("/check", { full: true }, (found) => say(found.notes.join(" "))));
  submit.addEventListener("click", () => asked("/sweeps", { full: true }, (found) => open(found.name)));
  const group = (title, ...inside) => node("fieldset", {}, node("legend", {}, title), ...inside);
  const made = node("form", {}, field("Name", name), data.element, network.element, optimizer.element,
    group("Training", field("learning rate from", low), field("to", high), field("epochs", epochs), field("batch", batch)),
    group("Methods: each is an arm beside the baseline, its knobs are searched", ...methods.map(({ element }) => element)),
    group("Budget", field("search trials of each arm", trials), field("confirm seeds of each arm", seeds)));
  made.addEventListener("input", write);
  made.addEventListener("submit", (event) => event.preventDefault());
  for (const part of [data, network, optimizer]) part.renew();
  write();
  return [node("h1", {}, "New sweep"), made, node("h2", {}, "Sweep file"),
    node("p", { class: "soft" }, "Written by the form; it may be changed by hand. What stands here is submitted."), file, wrong, node("p", {}, ...every)];
}
