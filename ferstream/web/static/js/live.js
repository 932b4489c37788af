// The live view: a card for each camera, fed by one stream of events. "#live/NAME" shows one camera.
import { EventStream } from "./api.js";
import { CameraCard } from "./camera-card.js";
import { h, setText } from "./dom.js";
import { legend } from "./labels.js";
import { onTheme } from "./theme.js";

const SPOKEN_MS = 6000; // shortest time between two announcements to screen readers
const MAX_SPOKEN = 8; // cameras

export function mountLive(root, { daemon, argument }) {
  const cards = new Map();
  const grid = h("div", { class: "cameras" });
  const lead = h("p", { class: "lead" });
  const explain = h("p", { class: "explain", hidden: true });
  const trouble = h("p", { class: "error", role: "alert", hidden: true });
  const spoken = h("p", { class: "visually-hidden", role: "status", "aria-live": "polite" });
  const pause = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  let stream = null,
    paused = false,
    streamed = "";

  root.append(
    h("div", { class: "view-head" }, h("h1", {}, "Live"), lead, pause),
    explain,
    trouble,
    spoken,
    grid,
    h("div", { class: "row view-foot" }, legend()),
  );
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? "Go on" : "Pause");
    for (const card of cards.values()) card.paused = paused;
  });

  const wanted = (state) =>
    state.cameras.some((camera) => camera.name === argument) ? state.cameras.filter((camera) => camera.name === argument) : state.cameras;

  function showState() {
    const state = daemon.state;
    if (!state) return;
    const cameras = wanted(state),
      single = cameras.length === 1;
    setText(lead, introduction(state));
    explain.hidden = !state.aggregate_only;
    if (state.aggregate_only)
      setText(
        explain,
        "privacy.aggregate_only is on: no single face is shown anywhere. Counts appear at the end of each interval, " +
          "and only if enough people were seen in it; otherwise every number is 0.",
      );
    grid.classList.toggle("single", single);
    const key = JSON.stringify([cameras.map((camera) => camera.name), state.aggregate_only, state.cameras.length]);
    if (key !== streamed) rebuild(state, cameras, single, key);
    for (const camera of cameras) cards.get(camera.name)?.update(camera);
  }

  function rebuild(state, cameras, single, key) {
    streamed = key;
    closeCards();
    stream?.close();
    for (const camera of cameras) {
      const enlarge =
        state.cameras.length > 1
          ? () => {
              location.hash = single ? "live" : `live/${encodeURIComponent(camera.name)}`;
            }
          : null;
      const card = new CameraCard(camera, { aggregateOnly: state.aggregate_only, single, onEnlarge: enlarge });
      card.paused = paused;
      cards.set(camera.name, card);
    }
    grid.replaceChildren(...[...cards.values()].map((card) => card.element));
    if (!cameras.length)
      grid.replaceChildren(h("p", { class: "empty" }, "No camera is set up. Add one under [[cameras]] in ferstream.toml."));
    const to = (method) => (message) => cards.get(message.camera ?? message.name)?.[method](message);
    const names = cameras.length === state.cameras.length ? [] : cameras.map((camera) => camera.name);
    stream = new EventStream(daemon, names, { frame: to("frame"), camera: to("update"), summary: to("summary") }, (reason) => {
      trouble.hidden = !reason;
      setText(trouble, reason && `No live faces: ${reason}`);
    });
  }

  function closeCards() {
    for (const card of cards.values()) card.close();
    cards.clear();
  }

  let spokenAt = -Infinity;
  const timer = setInterval(() => {
    if (paused || performance.now() - spokenAt < SPOKEN_MS) return;
    const text = [...cards.values()]
      .slice(0, MAX_SPOKEN)
      .map((card) => `${card.name}: ${card.spoken()}`)
      .join(". ");
    if (text !== spoken.textContent) spokenAt = performance.now();
    setText(spoken, text);
  }, 1000);
  const offTheme = onTheme(() => {
    for (const card of cards.values()) card.redraw();
  });
  daemon.addEventListener("state", showState);
  daemon.refresh(4000);
  if (daemon.state) showState();
  else grid.append(h("p", { class: "empty" }, "Waiting for the daemon …"));

  return () => {
    clearInterval(timer);
    offTheme();
    daemon.removeEventListener("state", showState);
    stream?.close();
    closeCards();
  };
}

function introduction(state) {
  if (state.aggregate_only) return "Counts of groups";
  if (state.pixels) return "The detector's own small picture, after the privacy masks, with the faces found in it";
  return "Stick figures: no picture leaves the daemon (http.pixels is off)";
}
