// One camera of the live view: its picture or stick figures, its faces, its state. Draws once per screen frame at most.
import { h, moment, number, percent, plural, setText, shortId } from "./dom.js";
import { drawFaces, drawStage, prepare } from "./drawing.js";
import { TrackRow } from "./face-row.js";
import { groupCounts } from "./group-counts.js";
import { ABSTAINED, known, labelElement } from "./labels.js";
import { cell, dataTable, rowHead } from "./tables.js";
import { colours } from "./theme.js";

const LEFT_S = 4; // a track that left stays in the list for this time
const AWAY_S = 0.7; // a track that no frame of so long shows is dimmed
const MAX_ROWS = { single: 12, grid: 5 };
const GOOD = new Set(["online"]);
const WAITING = new Set(["connecting", "reconnecting", "stalled"]);
const seconds = () => performance.now() / 1000;

export const stateClass = (status) => (GOOD.has(status) ? "good" : WAITING.has(status) ? "warn" : status === "disabled" ? "" : "bad");

export class CameraCard {
  #canvas = h("canvas", { class: "picture", role: "img" });
  #cover = h("div", { class: "cover", hidden: true });
  #pill = h("span", { class: "pill" });
  #side = h("span", { class: "side" });
  #rows = new Map();
  #list = h("ul", { class: "faces" });
  #more = h("p", { class: "muted small", hidden: true });
  #table = h("tbody");
  #details;
  #frame = null;
  #picture = null;
  #decoding = false;
  #next = null;
  #dirty = true;
  #request = 0;
  #state;
  #paused = false;
  #single;
  #rate = [];
  #summary = null;

  constructor(camera, { aggregateOnly, single, onEnlarge }) {
    this.name = camera.name;
    this.#state = camera;
    this.aggregateOnly = aggregateOnly;
    this.#single = single;
    this.counts = h("div", { hidden: !aggregateOnly });
    const body = aggregateOnly
      ? this.counts
      : h("div", { class: "body" }, h("div", { class: "stage" }, this.#canvas, this.#cover), h("div", {}, this.#list, this.#more));
    this.#details = h(
      "details",
      { hidden: aggregateOnly },
      h("summary", {}, "Faces as a table"),
      dataTable(`Faces of ${camera.name}`, [["Track"], ["Label"], ["Sure"], ["Box in pixels"]], this.#table),
    );
    this.element = h(
      "section",
      { class: "card camera", "aria-label": `Camera ${camera.name}`, dataset: { camera: camera.name } },
      h(
        "header",
        {},
        h("h2", {}, camera.name),
        this.#pill,
        this.#side,
        onEnlarge
          ? h(
              "button",
              {
                class: "quiet",
                type: "button",
                onclick: onEnlarge,
                "aria-label": single ? "Show all cameras" : `Show only ${camera.name}`,
              },
              single ? "All cameras" : "Enlarge",
            )
          : null,
      ),
      body,
      this.#details,
    );
    this.update(camera);
    this.#timer = setInterval(() => this.#tick(), 200);
    this.#resize = new ResizeObserver(() => this.redraw());
    this.#resize.observe(this.element);
  }
  #timer;
  #resize;

  close() {
    clearInterval(this.#timer);
    cancelAnimationFrame(this.#request);
    this.#resize.disconnect();
  }

  set paused(paused) {
    this.#paused = paused;
  }

  /** Take the camera's part of the state, or an `event: camera`. */
  update(camera) {
    this.#state = { ...this.#state, ...camera };
    const { status, reason, since, enabled } = this.#state;
    this.#pill.className = `pill ${stateClass(status)}`;
    setText(this.#pill, status);
    const off = status !== "online";
    this.#cover.hidden = !off;
    if (off) {
      const what = status === "disabled" || enabled === false ? "switched off" : status;
      this.#cover.replaceChildren(
        h("strong", {}, what),
        reason ? h("span", {}, reason) : "",
        since ? h("span", { class: "small" }, `since ${moment(since)}`) : "",
      );
      this.#frame = null;
      this.#picture = null;
      this.#forgetRows();
    }
    this.#showSide();
    this.#describe();
    this.redraw();
    if (this.aggregateOnly) this.#showCounts();
  }

  /** Take an `event: frame`. A picture is shown only together with its own faces. */
  frame(message) {
    if (this.#paused) return;
    this.#rate.push(seconds());
    while (this.#rate.length > 1 && this.#rate[0] < seconds() - 2) this.#rate.shift();
    if (!message.picture) return this.#show(message, null);
    if (this.#decoding) this.#next = message;
    else this.#decode(message);
  }

  async #decode(message) {
    this.#decoding = true;
    const image = new Image();
    image.src = message.picture;
    try {
      await image.decode();
      this.#show(message, image);
    } catch {
      this.#show(message, null);
    }
    this.#decoding = false;
    const next = this.#next;
    this.#next = null;
    if (next) this.#decode(next);
  }

  #show(message, picture) {
    this.#frame = message;
    this.#picture = picture;
    if (this.#state.status === "online") this.#cover.hidden = true;
    this.#observe(message);
    this.redraw();
  }

  #observe(message) {
    const now = seconds();
    for (const face of message.faces) {
      let row = this.#rows.get(face.track.id);
      if (!row) {
        row = new TrackRow(face.track.id);
        this.#rows.set(row.id, row);
        this.#list.append(row.element);
      }
      row.observe(face, now);
    }
    for (const { track, change } of message.changes ?? []) if (change === "left") this.#rows.get(track.id)?.leave();
  }

  summary(message) {
    this.#summary = message;
    if (this.aggregateOnly) this.#showCounts();
  }

  redraw() {
    this.#dirty = true;
    this.#request ||= requestAnimationFrame(() => {
      this.#request = 0;
      if (this.#dirty) this.#draw();
    });
  }

  #draw() {
    this.#dirty = false;
    if (!this.#canvas.isConnected || this.aggregateOnly) return;
    const size = this.#frame ?? { width: this.#state.width || 16, height: this.#state.height || 9 };
    const aspect = this.#picture ? this.#picture.naturalWidth / this.#picture.naturalHeight : size.width / size.height;
    const view = prepare(this.#canvas, aspect);
    if (this.#picture) view.context.drawImage(this.#picture, 0, 0, view.width, view.height);
    else drawStage(view.context, view.width, view.height, colours());
    if (this.#frame) drawFaces(view, this.#frame, drawable(this.#frame.faces), { onPicture: this.#picture !== null });
  }

  #tick() {
    if (this.#paused || !this.element.isConnected) return;
    const now = seconds();
    const present = new Set(this.#present().map((face) => face.track.id));
    const most = this.#single ? MAX_ROWS.single : MAX_ROWS.grid;
    let shown = 0;
    for (const [id, row] of this.#rows) {
      if (!present.has(id) && now - row.seen > LEFT_S) {
        row.element.remove();
        this.#rows.delete(id);
        continue;
      }
      row.away = !present.has(id) && now - row.seen > AWAY_S;
      row.element.hidden = shown >= most;
      if (shown < most) row.draw(now);
      shown += 1;
    }
    this.#more.hidden = shown <= most;
    if (shown > most) setText(this.#more, `and ${plural(shown - most, "more face")}: see the table`);
    this.element.classList.toggle("wide-body", true);
    if (Math.floor(now) !== this.#second) {
      this.#second = Math.floor(now);
      this.#eachSecond();
    }
  }
  #second = 0;

  #eachSecond() {
    this.#showSide();
    this.#describe();
    if (!this.#details.open) return;
    this.#table.replaceChildren(...this.#present().map(tableRow));
  }

  #describe() {
    this.#canvas.setAttribute("aria-label", `${this.name}: ${this.spoken()}`);
  }

  #present() {
    return (this.#frame?.faces ?? []).filter((face) => face.track.state !== "left");
  }

  /** The faces in a few words, for the canvas and the live text. */
  spoken() {
    if (this.#state.status !== "online") return [this.#state.status, this.#state.reason].filter(Boolean).join(": ");
    if (this.aggregateOnly) return this.#summary ? `${number(this.#summary.faces_now)} faces now` : "no counts yet";
    const labels = this.#present()
      .map((face) => known(face.emotion.smoothed.label))
      .sort();
    return labels.length ? `${plural(labels.length, "face")}: ${labels.join(", ")}` : "no face";
  }

  #showSide() {
    const faces = this.aggregateOnly ? null : plural(this.#present().length, "face");
    const fps = this.#state.fps ? `${number(this.#state.fps, 1)} fps` : null;
    setText(this.#side, this.#state.status === "online" ? [faces, fps].filter(Boolean).join(" · ") : "");
  }

  #showCounts() {
    this.counts.replaceChildren(...groupCounts(this.#summary, this.#state));
  }

  #forgetRows() {
    this.#rows.clear();
    this.#list.replaceChildren();
  }
}

function tableRow({ track, emotion, face }) {
  const { label, confidence } = emotion.smoothed;
  const why = emotion.abstained ? ` ${ABSTAINED[emotion.abstained] ?? emotion.abstained}` : "";
  const box = face.box.map((value) => number(value)).join(", ");
  return h("tr", {}, rowHead(shortId(track.id)), cell(labelElement(label), why), cell(percent(confidence)), cell(box));
}

/** The faces of a message in the form that drawFaces takes. */
const drawable = (faces) =>
  faces
    .filter((face) => face.track.state !== "left")
    .map(({ face, emotion }) => ({
      box: face.box,
      landmarks: face.landmarks,
      label: emotion.smoothed.label,
      confidence: emotion.smoothed.confidence,
      probabilities: emotion.probabilities,
      note: emotion.smoothed.label === "unknown" && emotion.abstained ? ABSTAINED[emotion.abstained] : "",
    }));
