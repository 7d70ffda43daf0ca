// What the page asks of the API, and elements.
const PREFIX = "api/v1";
const PAUSE = 1000; // ms until a service that is away is asked again
const BUSY = [5, 60]; // s until one that refuses for now is, where it does not say when, and at most
export const PHASES = ["search", "select", "confirm", "rivals"];
export const token = {
  get: () => sessionStorage.getItem("token"), // of this tab, gone with it
  set: (words) => sessionStorage.setItem("token", words.trim()),
};

async function send(path, { body, signal, headers = {} } = {}) {
  const known = token.get();
  const answer = await fetch(PREFIX + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { ...headers, ...(known ? { Authorization: `Bearer ${known}` } : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
    credentials: "omit",
    signal,
  }).catch(() => broken(signal));
  if (answer.ok) return answer;
  const { error } = await answer.json().catch(() => ({}));
  const said = error ?? { message: `${answer.status} ${answer.statusText}`, path: null }; // of what stands before the service
  throw Object.assign(new Error(said.message), { status: answer.status, path: said.path, again: again(answer) });
}

const read = (answer, signal) => answer.text().catch(() => broken(signal));

export async function ask(path, options = {}) { return JSON.parse(await read(await send(path, options), options.signal)); }
export async function text(path, signal) { return read(await send(path, { signal }), signal); }

export const sleep = (time) => new Promise((next) => setTimeout(next, time));
function broken(signal) { throw signal?.aborted ? signal.reason : Object.assign(new Error("The service does not answer; does it run?"), { again: PAUSE }); }

// After how many ms it is worth to ask again what was refused; null where it is not.
function again({ status, headers }) {
  const [usual, most] = BUSY;
  return status < 500 ? null : 1000 * Math.min(Number(headers.get("Retry-After")) || usual, most);
}

// Returns what comes of `work`, which is begun again where the service is away or refuses for now; `say` says so meanwhile.
export async function patiently(work, { signal, say }) {
  for (let waits = false; ; waits = true) {
    try {
      const found = await work();
      if (waits) say("");
      return found;
    } catch (error) {
      if (!error.again) throw error;
      say(error.message);
      await sleep(error.again);
      signal.throwIfAborted();
    }
  }
}

// Yields the server-sent events behind one, { id, event, data }, until the signal says that it is enough or the service ends them.
async function* heard(path, { signal, after, begun }) {
  const answer = await send(path, { signal, headers: after ? { "Last-Event-ID": after } : {} });
  begun();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let rest = ""; ;) {
      const { done, value } = await reader.read().catch(() => broken(signal));
      if (done) return;
      const whole = (rest + value).split("\n\n");
      rest = whole.pop();
      for (const part of whole) {
        const { id, event, data } = Object.fromEntries(part.split("\n").map((line) => [line.split(":", 1)[0], line.slice(line.indexOf(":") + 2)]));
        if (!data) continue; // a sign of life
        if (event === "problem") throw Object.assign(new Error(JSON.parse(data).error.message), { status: 409 });
        yield { id, event, data: JSON.parse(data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {}); // of one that broke
  }
}

// Yields them on and on, until the signal says that it is enough: a stream that ended or broke is begun again behind its last event.
export async function* followed(path, { signal, say, after }) {
  let waits = false;
  const begun = () => { if (waits) say(""); waits = false; };
  while (!signal.aborted) {
    let pause = PAUSE;
    try {
      for await (const event of heard(path, { signal, after, begun })) {
        after = event.id || after;
        yield event;
      }
    } catch (error) {
      if (!error.again) throw error;
      say(error.message);
      waits = true;
      pause = error.again;
    }
    await sleep(pause);
  }
}

// Returns a text, and after how many seconds it is worth to ask for it again.
export async function aging(path, signal) {
  const answer = await send(path, { signal });
  return [await read(answer, signal), Number(answer.headers.get("Retry-After"))];
}

export function node(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}
