// Talks to the daemon: requests, its state (polled), and the stream of events. Everything reconnects by itself.

const BASE = "/api/1";
const TIMEOUT_MS = 8000;
const RETRY_MS = [500, 1000, 2000, 3000, 5000];
const HIDDEN_MS = 10_000; // a page that nobody sees lets go of the stream after this time

export class ApiError extends Error {
  constructor(message, status = 0, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export function toLogin() {
  if (location.pathname !== "/login") location.assign("/login");
}

/** Read an answer; an error answer becomes an ApiError with the daemon's own words. */
export async function readAnswer(response) {
  if (response.status === 401 || (response.redirected && new URL(response.url).pathname === "/login")) {
    toLogin();
    throw new ApiError("please log in", 401);
  }
  const text = await response.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    /* not JSON: an error below, or a wrong server */
  }
  if (!response.ok) {
    const message = value?.error || text.trim().slice(0, 200) || `the daemon answered ${response.status}`;
    throw new ApiError(message, response.status, Number(response.headers.get("retry-after")) || 0);
  }
  if (value === null && text) throw new ApiError("the answer is not JSON: is this address a ferstream?", response.status);
  return value;
}

/** Ask the daemon; `path` begins behind /api/1. Times out after `timeoutMs`; 0 waits for ever. */
export async function request(path, { timeoutMs = TIMEOUT_MS, signal, ...options } = {}) {
  const signals = [signal, timeoutMs ? AbortSignal.timeout(timeoutMs) : null].filter(Boolean);
  let response;
  try {
    response = await fetch(BASE + path, { ...options, signal: AbortSignal.any(signals), credentials: "same-origin" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(error.name === "TimeoutError" ? "the daemon does not answer" : "the daemon cannot be reached");
  }
  return readAnswer(response);
}

export const postJson = (path, value) =>
  request(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(value) });

/** The daemon's state, asked for again and again. Emits "state" and "connection" (connecting, live, reconnecting). */
export class Daemon extends EventTarget {
  state = null;
  connection = "connecting";
  intervalMs = 4000;
  #timer = 0;
  #failures = 0;
  #asking = null;

  start() {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.refresh();
    });
    return this.refresh();
  }

  /** Ask now, and from now on every `intervalMs`. */
  refresh(intervalMs = this.intervalMs) {
    this.intervalMs = intervalMs;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask() {
    clearTimeout(this.#timer);
    try {
      this.state = await request("/state");
      this.#failures = 0;
      this.#connected("live");
      this.dispatchEvent(new Event("state"));
    } catch (error) {
      this.#failures += 1;
      if (error.status !== 401) this.#connected("reconnecting", error.message);
    }
    const wait = this.#failures ? RETRY_MS[Math.min(this.#failures, RETRY_MS.length) - 1] : this.intervalMs;
    this.#timer = setTimeout(() => {
      if (!document.hidden) this.refresh();
    }, wait);
  }

  /** The stream saw that the connection is gone: ask at once. */
  suspect() {
    if (this.connection === "live") this.refresh();
  }

  #connected(connection, reason = "") {
    if (connection === this.connection) return;
    this.connection = connection;
    this.dispatchEvent(new CustomEvent("connection", { detail: reason }));
  }
}

/**
 * Events of the daemon: hello, frame, camera, summary; each handler gets the parsed message. Reopens by itself.
 * `onTrouble(reason)` is called when the daemon refuses the stream, and with "" when it is open again.
 */
export class EventStream {
  #cameras;
  #onTrouble;
  #handlers;
  #daemon;
  #source = null;
  #timer = 0;
  #failures = 0;
  #hiddenTimer = 0;
  #closed = false;

  constructor(daemon, cameras, handlers, onTrouble) {
    this.#onTrouble = onTrouble;
    this.#daemon = daemon;
    this.#cameras = cameras;
    this.#handlers = handlers;
    document.addEventListener("visibilitychange", this.#visibility);
    this.#open();
  }

  close() {
    this.#closed = true;
    document.removeEventListener("visibilitychange", this.#visibility);
    clearTimeout(this.#hiddenTimer);
    this.#drop();
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.#drop();
    const source = new EventSource(this.#address());
    this.#source = source;
    source.onopen = () => {
      this.#failures = 0;
      this.#onTrouble("");
    };
    source.onerror = () => this.#failed(source);
    for (const [name, handler] of Object.entries(this.#handlers)) {
      source.addEventListener(name, (event) => {
        if (!this.#closed) handler(JSON.parse(event.data));
      });
    }
  }

  #address() {
    const query = this.#cameras.map((name) => `camera=${encodeURIComponent(name)}`).join("&");
    return `${BASE}/events${query ? `?${query}` : ""}`;
  }

  /** An EventSource does not say why it was refused: ask once more, without taking anything. */
  async #askWhy() {
    const cancel = new AbortController();
    try {
      const response = await fetch(this.#address(), { signal: cancel.signal, headers: { accept: "text/event-stream" } });
      if (!response.ok) await readAnswer(response);
    } catch (error) {
      if (error instanceof ApiError && !this.#closed) this.#onTrouble(error.message);
    } finally {
      cancel.abort();
    }
  }

  #failed(source) {
    if (source !== this.#source) return;
    this.#drop();
    this.#daemon.suspect();
    if (this.#failures > 0 && this.#daemon.connection === "live") this.#askWhy();
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    if (!this.#closed && !document.hidden) this.#timer = setTimeout(() => this.#open(), wait);
  }

  #visibility = () => {
    clearTimeout(this.#hiddenTimer);
    if (document.hidden) this.#hiddenTimer = setTimeout(() => this.#drop(), HIDDEN_MS);
    else if (!this.#source) this.#open();
  };
}
