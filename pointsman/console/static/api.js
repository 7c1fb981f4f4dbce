// Talks to the server. Errors are problem details (RFC 9457); a lost login leads to the login page.

let session = null;

export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || "The server did not answer as expected.");
    this.status = status;
    this.code = (body.type || "").replace("urn:pointsman:problem:", "");
    this.errors = body.errors || [];
  }
}

export const person = () => session;
export const isOperator = () => session !== null && session.role === "operator";

export function remember(found) {
  session = found;
  document.dispatchEvent(new CustomEvent("session"));
  return found;
}

export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (method !== "GET" && session) sent["X-CSRF-Token"] = session.csrf;
  let answer;
  try {
    answer = await fetch(path, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { detail: "The console's server does not answer. Is it running? pointsman status" });
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    if (answer.status === 401 && found.type?.endsWith(":login")) document.dispatchEvent(new CustomEvent("loggedout"));
    throw new Problem(answer.status, found);
  }
  return found;
}

export const get = (path, options) => ask(path, options);
export const post = (path, body = {}) => ask(path, { method: "POST", body });
