// What the page asks of the API, and elements.
const PREFIX = "api/v1";
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
  }).catch(() => { throw signal && signal.aborted ? signal.reason : away(); });
  if (answer.ok) return answer;
  const refused = await answer.json().catch(() => ({ error: { message: `${answer.status} ${answer.statusText}`, path: null } }));
  throw Object.assign(new Error(refused.error.message), { status: answer.status, path: refused.error.path });
}

export async function ask(path, options) { return (await send(path, options)).json(); }
export async function text(path, signal) { return (await send(path, { signal })).text(); }

export const sleep = (time) => new Promise((next) => setTimeout(next, time));
const away = () => Object.assign(new Error("The service does not answer; does it run?"), { name: "Away" });

// Yields the server-sent events behind one, { id, event, data }, until the signal says that it is enough or the service ends them.
export async function* heard(path, { signal, after }) {
  const answer = await send(path, { signal, headers: after ? { "Last-Event-ID": after } : {} });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let rest = ""; ;) {
      const { done, value } = await reader.read().catch(() => { throw signal.aborted ? signal.reason : away(); });
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

// Returns a text, and after how many seconds it is worth to ask for it again.
export async function aging(path, signal) {
  const answer = await send(path, { signal });
  return [await answer.text(), Number(answer.headers.get("Retry-After"))];
}

export function node(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}
