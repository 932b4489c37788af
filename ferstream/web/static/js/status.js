// The status view: is everything in order, and if not, what. Refreshed every two seconds.
import { postJson } from "./api.js";
import { stateClass } from "./camera-card.js";
import { Chart } from "./charts.js";
import { bytes, duration, h, moment, number, plural, setText } from "./dom.js";
import { cell, dataTable, numberCell, rowHead } from "./tables.js";

const REFRESH_MS = 2000;

export function mountStatus(root, { daemon }) {
  const parts = {
    ready: card("Ready", "third"),
    latency: card("From camera to event", "third"),
    about: card("This daemon", "third"),
    cameras: card("Cameras"),
    sinks: card("Sinks", "half"),
    queues: card("Queues and outbox", "half"),
    history: card("Last ten minutes"),
  };
  const said = h("p", { class: "visually-hidden", role: "status" });
  const problem = h("p", { class: "error", role: "alert", hidden: true });
  const body = h(
    "div",
    { class: "status" },
    Object.values(parts).map((part) => part.element),
  );
  root.append(h("div", { class: "view-head" }, h("h1", {}, "Status"), h("p", { class: "lead" })), problem, said, body);
  const lead = root.querySelector(".lead");
  const charts = makeCharts();
  parts.history.body.append(
    h(
      "div",
      { class: "charts" },
      charts.map((chart) => chart.element),
    ),
  );

  async function switchCamera(name, enabled) {
    problem.hidden = true;
    try {
      await postJson(`/cameras/${encodeURIComponent(name)}`, { enabled });
      setText(said, `${name} is being switched ${enabled ? "on" : "off"}`);
    } catch (error) {
      setText(problem, `${name} was not switched: ${error.message}`);
      problem.hidden = false;
    }
    daemon.refresh();
  }

  function show() {
    const state = daemon.state;
    if (!state) return;
    setText(lead, daemon.connection === "live" ? `as of ${moment(state.time)}` : `last seen ${moment(state.time)}`);
    fill(parts.ready, checks(state));
    fill(parts.latency, latency(state.latency_ms));
    fill(parts.about, about(state));
    fill(parts.cameras, cameraTable(state, switchCamera));
    fill(parts.sinks, sinkTable(state.sinks));
    fill(parts.queues, queues(state));
    for (const chart of charts) {
      chart.element.hidden = chart.aboutFaces && state.aggregate_only; // withheld with privacy.aggregate_only
      if (!chart.element.hidden) chart.set(state.history?.points ?? []);
    }
  }

  daemon.addEventListener("state", show);
  daemon.addEventListener("connection", show);
  daemon.refresh(REFRESH_MS);
  show();
  return () => {
    daemon.removeEventListener("state", show);
    daemon.removeEventListener("connection", show);
    for (const chart of charts) chart.close();
  };
}

function card(title, size = "") {
  const body = h("div");
  return {
    body,
    element: h("section", { class: `card ${size}`, "aria-label": title }, h("header", {}, h("h2", {}, title)), body),
    shown: "",
  };
}

/** Replace a card's body only if it changed, and give the focus back to the same button. */
function fill(part, content) {
  const text = content.outerHTML;
  if (part.shown === text) return;
  part.shown = text;
  const focused = part.body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const scrolled = part.body.querySelector(".scroll")?.scrollLeft ?? 0;
  part.body.replaceChildren(content);
  if (scrolled) part.body.querySelector(".scroll").scrollLeft = scrolled;
  if (focused) [...part.body.querySelectorAll("[data-key]")].find((element) => element.dataset.key === focused)?.focus();
}

const pill = (kind, text) => h("span", { class: `pill ${kind}` }, text);
const readable = (name) => name.replaceAll("_", " ");

function checks(state) {
  const { ok, checks: list = [] } = state.ready;
  const lines = list.map((check) => {
    const [kind, word] = !check.ok ? ["bad", "not ok"] : check.degraded ? ["warn", "degraded"] : ["good", "ok"];
    return h("li", {}, pill(kind, `${readable(check.name)}: ${word}`), h("span", { class: "detail small" }, check.detail ?? ""));
  });
  return h("div", {}, h("p", { class: "verdict" }, verdict(ok, state)), h("ul", { class: "checks" }, lines));
}

/** One line that sums up: a daemon can be ready while a part of it is not as it should be. */
function verdict(ok, { ready, cameras, sinks = [] }) {
  if (!ok) return pill("bad", "something needs a look");
  const away = cameras.filter((camera) => camera.enabled && camera.status !== "online").length;
  const cut = sinks.filter((sink) => sink.connected === false).length;
  const poor = [away && `${plural(away, "camera")} not online`, cut && `${plural(cut, "sink")} not connected`].filter(Boolean);
  if (!poor.length && ready.checks?.some((check) => check.degraded)) poor.push("degraded");
  return poor.length ? pill("warn", `works, but: ${poor.join(", ")}`) : pill("good", "everything is in order");
}

function tile(value, unit, name, digits = 0) {
  return h(
    "div",
    { class: "tile" },
    h(
      "div",
      { class: "big" },
      number(value, digits),
      h("span", { class: "unit" }, value === null || value === undefined ? "" : ` ${unit}`),
    ),
    h("p", {}, name),
  );
}

const latency = (values) =>
  h("div", { class: "tiles" }, tile(values?.p50, "ms", "median (p50)"), tile(values?.p90, "ms", "p90"), tile(values?.p99, "ms", "p99"));

function about(state) {
  const model = state.model ? `${state.model.name} ${state.model.version}` : "not loaded";
  return facts([
    ["Node", state.node],
    ["Version", state.version],
    ["Runs for", duration(Math.floor(state.uptime_s))],
    ["Model", model],
    ["Computed on", state.model?.backend ?? "–"],
    ["Pictures", state.pixels ? "shown on this page" : "never leave the daemon"],
    ["Single faces", state.aggregate_only ? "never shown: groups only" : "shown"],
  ]);
}

const facts = (pairs) =>
  h(
    "dl",
    { class: "facts" },
    pairs.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );

const table = (label, heads, rows, empty) => (rows.length ? dataTable(label, heads, rows) : h("p", { class: "muted" }, empty));

function cameraTable(state, switchCamera) {
  const rows = state.cameras.map((camera) => cameraRow(camera, state.commands ? switchButton(camera, switchCamera) : null));
  const heads = [["Camera"], ["State"], ["fps", "n"], ["Picture"], ["Captured", "n"], ["Analysed", "n"], ["Dropped"], ["Faces now", "n"]];
  if (state.commands) heads.push(["Switch"]);
  const hint = state.commands
    ? ""
    : h("p", { class: "muted small" }, "Cameras cannot be switched from here: commands are off (mqtt.commands = false).");
  return h("div", {}, table("Cameras", heads, rows, "No camera is set up."), hint);
}

function cameraRow(camera, button) {
  const link = h("a", { href: `#live/${encodeURIComponent(camera.name)}`, dataset: { key: `live-${camera.name}` } }, camera.name);
  const notes = [camera.reason, camera.since ? `since ${moment(camera.since)}` : ""].filter(Boolean);
  return h(
    "tr",
    {},
    rowHead(link),
    cell(
      pill(stateClass(camera.status), camera.status),
      notes.map((note) => h("div", { class: "small muted" }, note)),
    ),
    numberCell(number(camera.fps, 1)),
    cell(camera.width ? `${camera.width} × ${camera.height}` : "–"),
    numberCell(number(camera.frames?.captured)),
    numberCell(number(camera.frames?.analysed)),
    cell(dropped(camera.dropped)),
    numberCell(number(camera.faces_now)),
    button ? cell(button) : null,
  );
}

const dropped = (list = []) => {
  const some = list.filter((entry) => entry.count);
  return some.length
    ? some.map((entry) => h("div", { class: "small" }, `${number(entry.count)} ${readable(entry.reason)} (${entry.stage})`))
    : h("span", { class: "muted" }, "none");
};

function switchButton(camera, switchCamera) {
  const on = camera.enabled;
  return h(
    "button",
    {
      type: "button",
      dataset: { key: `switch-${camera.name}` },
      "aria-label": `Switch ${camera.name} ${on ? "off" : "on"}`,
      onclick: () => switchCamera(camera.name, !on),
    },
    on ? "Switch off" : "Switch on",
  );
}

/** A sink without a connection, such as a file, has null. */
function sinkState(connected) {
  if (connected === null) return pill("good", "ready");
  return pill(connected ? "good" : "bad", connected ? "connected" : "not connected");
}

function sinkTable(sinks = []) {
  const rows = sinks.map((sink) =>
    h(
      "tr",
      {},
      rowHead(sink.name),
      cell(sinkState(sink.connected), sink.reason ? h("div", { class: "small muted" }, sink.reason) : ""),
      numberCell(number(sink.waiting)),
      numberCell(number(sink.acknowledged)),
      numberCell(number(sink.dropped)),
    ),
  );
  return table(
    "Sinks",
    [["Sink"], ["State"], ["Waiting", "n"], ["Acknowledged", "n"], ["Dropped", "n"]],
    rows,
    "No sink is set up: events go nowhere.",
  );
}

function queues({ queues: list = [], outbox }) {
  const rows = list.map((queue) => h("tr", {}, rowHead(queue.stage), numberCell(`${number(queue.items)} of ${number(queue.capacity)}`)));
  const oldest = outbox?.events && outbox.oldest_s ? `; the oldest for ${duration(outbox.oldest_s)}` : "";
  const where = outbox?.on_disk ? "on disk" : "in memory";
  const kept = outbox ? `${number(outbox.events)} events (${bytes(outbox.bytes)}) wait in the outbox, ${where}${oldest}.` : "";
  return h(
    "div",
    {},
    table("Queues", [["In front of"], ["Frames waiting", "n"]], rows, "No queues."),
    h("p", { class: "small muted" }, kept),
  );
}

const makeCharts = () => [
  new Chart("Frames per second, all cameras", [
    { key: "fps", name: "analysed", colour: "accent", unit: "/s", digits: 1 },
    { key: "dropped_per_s", name: "dropped", colour: "bad", unit: "/s", digits: 1, dash: [5, 4] },
  ]),
  new Chart("Latency in milliseconds", [
    { key: "p50_ms", name: "p50", colour: "accent", unit: " ms" },
    { key: "p99_ms", name: "p99", colour: "warn", unit: " ms", dash: [5, 4] },
  ]),
  new Chart("Faces per second", [{ key: "faces_per_s", name: "faces", colour: "accent", unit: "/s", digits: 1 }]),
  new Chart("Events that wait in the outbox", [{ key: "outbox", name: "waiting", colour: "accent", unit: "" }]),
];
