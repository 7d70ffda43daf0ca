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
  }).catch((error) => { throw signal && signal.aborted ? signal.reason : Object.assign(new Error("The service does not answer; does it run?"), { name: "Away" }); });
  if (answer.ok) return answer;
  const refused = await answer.json().catch(() => ({ error: { message: `${answer.status} ${answer.statusText}`, path: null } }));
  throw Object.assign(new Error(refused.error.message), { status: answer.status, path: refused.error.path });
}

export async function ask(path, options) { return (await send(path, options)).json(); }
export async function text(path, signal) { return (await send(path, { signal })).text(); }

// Calls `heard` when events come behind one, at most once in `pause` ms, until the signal says that it is enough.
export async function follow(path, after, signal, pause, heard) {
  try {
    const answer = await send(`${path}/events`, { signal, headers: { "Last-Event-ID": after } });
    const reader = answer.body.getReader();
    let last = 0;
    for (;;) {
      const { done } = await reader.read();
      if (done) return;
      const wait = last + pause - Date.now();
      if (wait > 0) await new Promise((next) => setTimeout(next, wait));
      last = Date.now();
      await heard();
    }
  } catch (error) {
    if (!["AbortError", "TimeoutError"].includes(error.name)) {
      if (error.status) throw error;
      await new Promise((next) => setTimeout(next, 1000)); // the service is away for a moment
    }
  }
}

export function node(name, attributes, ...inside) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
}
