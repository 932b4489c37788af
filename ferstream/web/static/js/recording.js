// The recording view: one file is sent, analysed, and becomes a timeline. The file itself is played from the visitor's disk.
import { request } from "./api.js";
import { bytes, clock, h, number, percent, plural, setText } from "./dom.js";
import { labelElement, legend } from "./labels.js";
import { Player } from "./player.js";
import { acceptDrops } from "./stills.js";
import { cell, dataTable, numberCell, rowHead } from "./tables.js";
import { TimelineData } from "./timeline-data.js";
import { upload } from "./upload.js";

const POLL_MS = 500;
const MAX_TABLE = 500;
const localFiles = new Map(); // id of a recording -> the visitor's File, while the page is open
const RUNNING = "running";

export function mountRecording(root, { daemon }) {
  const refusal = h("p", { class: "explain", hidden: true });
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const input = h("input", {
    type: "file",
    accept: "video/*,.mkv,.avi,.ts,.dav",
    class: "visually-hidden",
    tabindex: "-1",
    "aria-label": "Recording to analyse",
  });
  const limit = h("p", { class: "muted small" });
  const drop = h(
    "div",
    { class: "drop" },
    h("p", {}, "Drop a recording here, or"),
    h("button", { type: "button", class: "primary", onclick: () => input.click() }, "Choose a recording"),
    input,
    limit,
  );
  const work = h("div"),
    list = h("div", { class: "results" });
  root.append(
    h("div", { class: "view-head" }, h("h1", {}, "Recording"), h("p", { class: "lead" }, "A timeline of expressions per track")),
    refusal,
    problem,
    drop,
    work,
    list,
    h("div", { class: "row view-foot" }, legend()),
  );

  let closed = false,
    timer = 0,
    sending = null,
    known = [];
  const shown = new Map(); // id -> Result

  function fail(message) {
    setText(problem, message);
    problem.hidden = !message;
  }

  async function send(file) {
    const most = daemon.state?.uploads?.max_bytes;
    if (sending) return fail("A recording is being sent. Wait for it, or cancel it.");
    if (most && file.size > most)
      return fail(`${file.name} has ${bytes(file.size)}; the daemon takes ${bytes(most)} at most (http.max_upload_bytes).`);
    fail("");
    sending = new AbortController();
    const line = progressLine(`Sending ${file.name} (${bytes(file.size)})`, () => sending?.abort());
    work.replaceChildren(line.element);
    drop.hidden = true;
    try {
      const answer = await upload(file, { onProgress: line.set, signal: sending.signal });
      localFiles.set(answer.id, file);
    } catch (error) {
      if (error.message !== "cancelled") fail(`${file.name} was not analysed: ${error.message}`);
    }
    sending = null;
    work.replaceChildren();
    if (!closed) await poll();
  }

  async function poll() {
    clearTimeout(timer);
    try {
      known = await request("/recordings");
      if (!Array.isArray(known)) known = known.recordings ?? [];
    } catch (error) {
      if (error.status && error.status !== 401 && error.status !== 403) fail(error.message);
    }
    if (closed) return;
    showRunning();
    showResults();
    timer = setTimeout(poll, known.some((item) => item.state === RUNNING) ? POLL_MS : POLL_MS * 10);
  }

  let running = null;
  function showRunning() {
    const item = known.find((entry) => entry.state === RUNNING);
    drop.hidden = Boolean(item) || Boolean(sending) || refused();
    if (!item) {
      if (running) {
        running.element.remove();
        running = null;
      }
      return;
    }
    if (running?.id !== item.id) {
      running?.element.remove();
      running = { id: item.id, ...progressLine(`Analysing ${item.name}`, () => remove(item.id)) };
      work.append(running.element);
    }
    running.set(item.progress, item.frames ? `${number(item.frames)} frames` : "");
  }

  function showResults() {
    for (const [id, result] of shown)
      if (!known.some((item) => item.id === id)) {
        result.close();
        shown.delete(id);
      }
    for (const item of known) {
      if (item.state === RUNNING || shown.has(item.id)) continue;
      const result = new Result(item, daemon, () => remove(item.id));
      shown.set(item.id, result);
      list.prepend(result.element);
    }
  }

  async function remove(id) {
    try {
      await request(`/recordings/${encodeURIComponent(id)}`, { method: "DELETE" });
      localFiles.delete(id);
    } catch (error) {
      if (error.status !== 404) fail(error.message);
    }
    await poll();
  }

  const refused = () => Boolean(daemon.state) && (!daemon.state.uploads?.recordings || daemon.state.aggregate_only);
  function showState() {
    const state = daemon.state;
    refusal.hidden = !refused();
    if (refused()) {
      drop.hidden = true;
      setText(
        refusal,
        state.aggregate_only
          ? "privacy.aggregate_only is on: no single face is shown, so recordings are not analysed here."
          : "This daemon does not analyse recordings that are sent to it.",
      );
    }
    const most = state?.uploads?.max_bytes;
    setText(limit, `It is analysed beside the cameras, one at a time, and deleted afterwards.${most ? ` At most ${bytes(most)}.` : ""}`);
  }

  input.addEventListener("change", () => {
    if (input.files[0]) send(input.files[0]);
    input.value = "";
  });
  acceptDrops(drop, (files) => send(files[0]));
  daemon.addEventListener("state", showState);
  daemon.refresh(4000);
  showState();
  poll();
  return () => {
    closed = true;
    clearTimeout(timer);
    sending?.abort();
    daemon.removeEventListener("state", showState);
    for (const result of shown.values()) result.close();
  };
}

function progressLine(name, cancel) {
  const bar = h("progress", { max: "1", value: "0", "aria-label": name });
  const text = h("span", { class: "muted small" });
  const element = h(
    "div",
    { class: "card" },
    h("p", {}, name),
    h("div", { class: "progress-line" }, bar, text, h("button", { type: "button", onclick: cancel }, "Cancel")),
  );
  const set = (share, extra = "") => {
    bar.value = share ?? 0;
    setText(text, [percent(share ?? 0), extra].filter(Boolean).join(", "));
  };
  set(0);
  return { element, set };
}

/** A recording that ended: its timeline and downloads, or why there is none. */
class Result {
  #player = null;
  #body;
  #item;

  constructor(item, daemon, remove) {
    this.#item = item;
    this.#body = h("div", {}, h("p", { class: "muted", role: "status" }, "loading the timeline …"));
    const base = `/api/1/recordings/${encodeURIComponent(item.id)}/events.`;
    const tables = item.tables ?? daemon.state?.uploads?.tables ?? [];
    const names = { jsonl: "JSON lines", csv: "CSV", parquet: "Parquet" };
    const links =
      item.state === "done"
        ? ["jsonl", ...tables].map((kind) =>
            h("a", { class: "button", href: base + kind, download: `${item.name}.${kind}` }, names[kind] ?? kind),
          )
        : [];
    this.element = h(
      "section",
      { class: "card result", "aria-label": item.name },
      h("header", {}, h("h2", {}, item.name), h("span", { class: "side" }, item.frames ? plural(item.frames, "frame") : "")),
      this.#body,
      h(
        "div",
        { class: "row foot" },
        links.length ? h("span", { class: "muted small" }, "Download") : null,
        links,
        h("button", { type: "button", class: "quiet end", "aria-label": `Delete ${item.name} from the daemon`, onclick: remove }, "Delete"),
      ),
    );
    if (item.state === "done") this.#load();
    else
      this.#body.replaceChildren(
        h(
          "p",
          { class: item.state === "failed" ? "error" : "muted" },
          item.state === "failed" ? `Not analysed: ${item.error}` : "Cancelled.",
        ),
      );
  }

  close() {
    this.#player?.close();
    this.element.remove();
  }

  async #load() {
    try {
      const data = new TimelineData(await request(`/recordings/${encodeURIComponent(this.#item.id)}/timeline`, { timeoutMs: 60_000 }));
      this.#show(data);
    } catch (error) {
      this.#body.replaceChildren(h("p", { class: "error" }, `The timeline could not be loaded: ${error.message}`));
    }
  }

  #show(data) {
    if (!data.tracks.length)
      return this.#body.replaceChildren(h("p", { class: "muted" }, `No face was found in ${clock(data.duration)} of video.`));
    this.#player = new Player(data, localFiles.get(this.#item.id) ?? null, (file) => localFiles.set(this.#item.id, file));
    this.#body.replaceChildren(
      ...[
        h("p", { class: "muted small" }, `${plural(data.tracks.length, "track")} in ${clock(data.duration)}`),
        this.#player.element,
        spanTable(data),
      ],
    );
  }
}

function spanTable(data) {
  const rows = data.tracks.flatMap((track) => track.spans.map((span) => spanRow(track, span)));
  const rest = rows.length - MAX_TABLE;
  const heads = [["Track"], ["Label"], ["From", "n"], ["To", "n"], ["Length", "n"]];
  const more = rest > 0 ? h("p", { class: "muted small" }, `${number(rest)} more rows are in the downloads.`) : null;
  return h("details", {}, h("summary", {}, "Timeline as a table"), dataTable("Timeline", heads, rows.slice(0, MAX_TABLE)), more);
}

function spanRow(track, { label, from, to }) {
  const numbers = [clock(from), clock(to), `${number(to - from, 1)} s`].map(numberCell);
  return h("tr", {}, rowHead(`#${track.number}`), cell(labelElement(label)), numbers);
}
