// Requests of the first set-up to the gateway.
import { t } from "./words.js";

let authorization = "";

export class ApiError extends Error {
  constructor(status, body) {
    super(body.details || body.error || String(status));
    this.status = status;
  }
}

export async function api(path, body) {
  const options = { method: body ? "POST" : "GET", cache: "no-store", credentials: "omit", headers: {} };
  if (authorization) options.headers.Authorization = authorization;
  if (body) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  if (window.AbortController) {
    const abort = new AbortController();
    options.signal = abort.signal;
    setTimeout(() => abort.abort(), 20000);
  }
  const answer = await fetch(path, options);
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, data);
  return data;
}

/** The admin password, from now on. */
export function logInWith(password) {
  const bytes = new TextEncoder().encode(`admin:${password}`);
  authorization = `Basic ${btoa(String.fromCharCode(...bytes))}`;
}

export const loggedIn = () => authorization !== "";

export function explain(error) {
  if (!(error instanceof ApiError)) return t("The gateway does not answer. Is this telephone still connected to its WiFi?");
  return error.status === 401 ? t("Wrong password.") : t(error.message);
}
