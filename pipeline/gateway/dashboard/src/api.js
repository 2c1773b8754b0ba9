// Requests to the REST API, and the session.
import { signal } from "@preact/signals";

// undefined: not known yet; null: a login is required; else the answer of GET /session.
export const session = signal(undefined);

export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function ask(method, path, body, signalToAbort) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (session.value?.csrf) headers["X-Vedette-CSRF"] = session.value.csrf;
  let answer;
  try {
    answer = await fetch(`api/v1${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signalToAbort,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, "The service does not answer. Check that it runs and that the network works.");
  }
  const text = await answer.text();
  let found = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    throw new Refusal(answer.status, "The answer does not come from Vedette.");
  }
  if (answer.ok) return found;
  if (answer.status === 401 && path !== "/session") session.value = null;
  throw new Refusal(answer.status, found?.detail ?? `The service answered ${answer.status}.`);
}

export const get = (path, abort) => ask("GET", path, undefined, abort);

export async function whoAmI() {
  try {
    session.value = await get("/session");
  } catch (error) {
    if (error.status === 401) session.value = null;
    else throw error;
  }
}

export async function logIn(token) {
  session.value = await ask("POST", "/session", { token });
}

export async function logOut() {
  await ask("DELETE", "/session");
  session.value = null;
}

export const isAdmin = () => session.value?.role === "admin";

// Shown to a viewer where an admin has a button.
export const ADMIN_ONLY = "Only an admin can change this.";

export function query(parameters) {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") found.set(name, value);
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}
