// Requests to the gateway. Every answer is checked; what is not 2xx becomes an ApiError with the text of the API.

const TIMEOUT_MS = 15000;
let credential = remembered();
let ask = null; // opens the login dialog; gives the new credential or null
let asking = null;

function remembered() {
  try {
    return sessionStorage.getItem("tinybms.login") || "";
  } catch {
    return "";
  }
}

export function setCredential(value) {
  credential = value;
  try {
    if (value) sessionStorage.setItem("tinybms.login", value);
    else sessionStorage.removeItem("tinybms.login");
  } catch {
    // kept as long as the page
  }
}

export const loggedIn = () => credential !== "";
export const credentialOf = (password) =>
  "Basic " + btoa(String.fromCharCode(...new TextEncoder().encode("admin:" + password)));

/** `status` 0: no answer at all. `code`, `message`, `details` are those of the API. */
export class ApiError extends Error {
  constructor(status, code, message, details) {
    super(message);
    Object.assign(this, { name: "ApiError", status, code, details: details || "" });
  }
}

async function once(method, path, body, options) {
  const headers = { "X-Requested-With": "page", ...options.headers };
  const auth = options.credential ?? credential;
  if (auth) headers.Authorization = auth;
  if (body !== undefined && !(body instanceof Blob) && !(body instanceof FormData) && typeof body !== "string") {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  const abort = new AbortController();
  const stop = () => abort.abort();
  if (options.signal?.aborted) stop();
  options.signal?.addEventListener("abort", stop);
  const timer = setTimeout(stop, options.timeout ?? TIMEOUT_MS);
  try {
    const answer = await fetch(path, { method, body, headers, cache: "no-store", signal: abort.signal });
    if (!answer.ok) throw await problem(answer);
    if (options.raw) return answer;
    return (answer.headers.get("Content-Type") || "").includes("json") ? await answer.json() : await answer.text();
  } catch (error) {
    if (error instanceof ApiError || options.signal?.aborted) throw error;
    throw new ApiError(0, abort.signal.aborted ? "TIMEOUT" : "NO_ANSWER", "The gateway does not answer", "");
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

async function problem(answer) {
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // not from our API
  }
  return new ApiError(answer.status, said.code || "HTTP_" + answer.status, said.error || "HTTP " + answer.status, said.details);
}

/** One request; asks for the password when the gateway wants it, then tries again. Throws ApiError, or AbortError. */
export async function request(method, path, body, options = {}) {
  for (;;) {
    const used = credential;
    try {
      return await once(method, path, body, options);
    } catch (error) {
      if (error.status !== 401 || !ask || options.credential) throw error;
      if (credential !== used) continue; // somebody has logged in meanwhile
      setCredential("");
      asking = asking || ask(used !== "").finally(() => (asking = null));
      const given = await asking;
      if (!given) throw error;
      setCredential(given);
    }
  }
}

export const onLogin = (dialog) => (ask = dialog);

/** The calls a view gets: all of them end with `signal`. */
export function apiFor(signal) {
  const call = (method) => (path, body, options) => request(method, path, body, { signal, ...options });
  const send = (method) => (path, options) => request(method, path, undefined, { signal, ...options });
  const authorization = () => credential;
  const logIn = (password) => setCredential(password ? credentialOf(password) : "");
  return { get: send("GET"), delete: send("DELETE"), post: call("POST"), put: call("PUT"), request, authorization, logIn };
}
