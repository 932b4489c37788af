// Draws the expressions of each track over time, with a cursor that pointer and keyboard move. A slider for assistive technology.
import { clock, h, plural } from "./dom.js";
import { drawSpans, sized } from "./drawing.js";
import { colours } from "./theme.js";

const ROW = 20,
  AXIS = 22,
  NAMES = 44,
  MAX_ROWS = 400;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const KEYS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10 };

export class Timeline {
  #canvas;
  #data;
  #time = 0;
  #zoom = 1;
  #from = 0;
  #onSeek;
  #resize;
  #dragging = false;

  constructor(data, onSeek) {
    this.#data = data;
    this.#onSeek = onSeek;
    this.#canvas = h("canvas", {
      class: "timeline",
      tabindex: "0",
      role: "slider",
      "aria-label": "Time in the recording",
      "aria-valuemin": "0",
      "aria-valuemax": data.duration.toFixed(1),
    });
    const zoom = (factor) => () => {
      this.#zoom = Math.min(256, Math.max(1, this.#zoom * factor));
      this.draw();
    };
    const zooms = h(
      "div",
      { class: "row" },
      h("button", { type: "button", class: "quiet", "aria-label": "Zoom in", onclick: zoom(2) }, "Zoom in"),
      h("button", { type: "button", class: "quiet", "aria-label": "Zoom out", onclick: zoom(0.5) }, "Zoom out"),
    );
    const hidden = data.tracks.length - MAX_ROWS;
    this.element = h(
      "div",
      {},
      h("div", { class: "timeline-box" }, this.#canvas),
      zooms,
      hidden > 0 ? h("p", { class: "muted small" }, `${plural(hidden, "more track")} are in the downloads.`) : null,
    );
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#dragging = true;
      this.#canvas.setPointerCapture(event.pointerId);
      this.#point(event);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (this.#dragging) this.#point(event);
    });
    for (const name of ["pointerup", "pointercancel"])
      this.#canvas.addEventListener(name, () => {
        this.#dragging = false;
      });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
    this.#resize = new ResizeObserver(() => this.draw());
    this.#resize.observe(this.#canvas);
  }

  close() {
    this.#resize.disconnect();
  }

  set time(seconds) {
    this.#time = seconds;
    this.draw();
  }

  /** Say the time in words; called less often than the cursor moves. */
  speak(faces) {
    this.#canvas.setAttribute("aria-valuenow", this.#time.toFixed(1));
    this.#canvas.setAttribute(
      "aria-valuetext",
      `${clock(this.#time)}, ${faces.map((face) => `track ${face.number} ${face.label}`).join(", ") || "no face"}`,
    );
  }

  #window() {
    const length = this.#data.duration / this.#zoom || 1;
    if (this.#time < this.#from || this.#time > this.#from + length) this.#from = this.#time - length / 2;
    this.#from = Math.max(0, Math.min(this.#data.duration - length, this.#from));
    return { from: this.#from, to: this.#from + length };
  }

  #point(event) {
    const box = this.#canvas.getBoundingClientRect(),
      { from, to } = this.#window();
    const share = (event.clientX - box.left - NAMES) / Math.max(1, box.width - NAMES);
    this.#seek(from + Math.max(0, Math.min(1, share)) * (to - from));
  }

  #key(event) {
    const step = KEYS[event.key];
    if (event.key === "Home") this.#seek(0);
    else if (event.key === "End") this.#seek(this.#data.duration);
    else if (step) this.#seek(this.#time + step * (event.shiftKey ? 0.1 : 1));
    else return;
    event.preventDefault();
  }

  #seek(seconds) {
    this.#time = Math.max(0, Math.min(this.#data.duration, seconds)); // the next key press may come before the next drawing
    this.#onSeek(this.#time);
  }

  draw() {
    const palette = colours(),
      tracks = this.#data.tracks.slice(0, MAX_ROWS);
    this.#canvas.style.height = `${tracks.length * ROW + AXIS}px`;
    const { context, width, height } = sized(this.#canvas, this.#canvas.clientWidth || 1, tracks.length * ROW + AXIS);
    const { from, to } = this.#window(),
      room = Math.max(1, width - NAMES);
    context.clearRect(0, 0, width, height);
    this.#axis(context, { from, to, room, height }, palette);
    tracks.forEach((track, index) => {
      const y = AXIS + index * ROW;
      context.fillStyle = palette.muted;
      context.font = "12px system-ui, sans-serif";
      context.textBaseline = "middle";
      context.fillText(`#${track.number}`, 8, y + ROW / 2);
      drawSpans(context, track.spans, { x: NAMES, y: y + 2, w: room, h: ROW - 4, from, to }, palette);
    });
    const x = NAMES + ((this.#time - from) / (to - from)) * room;
    context.fillStyle = palette.surface;
    context.fillRect(x - 2, 0, 4, height);
    context.fillStyle = palette.text;
    context.fillRect(x - 1, 0, 2, height);
  }

  #axis(context, { from, to, room, height }, palette) {
    const step = STEPS.find((candidate) => (candidate / (to - from)) * room >= 64) ?? 7200;
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
      const x = NAMES + ((time - from) / (to - from)) * room;
      context.fillStyle = palette.line;
      context.fillRect(x, AXIS - 4, 1, height);
      context.fillStyle = palette.muted;
      if (x + 34 < NAMES + room) context.fillText(clock(time, step < 1 ? 1 : 0), x + 2, AXIS / 2);
    }
  }
}
