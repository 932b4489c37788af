// Plays a recording under its boxes: the visitor's own local file where the browser can play it, else stick figures on grey.
import { clock, h, setText } from "./dom.js";
import { drawFaces, drawStage, prepare, sized } from "./drawing.js";
import { FaceRow } from "./face-row.js";
import { colours, onTheme } from "./theme.js";
import { Timeline } from "./timeline.js";

const SPEAK_MS = 700;

/** A time that runs by itself, with the same calls as a video element. */
class TimerClock {
  paused = true;
  #at = 0;
  #since = 0;
  constructor(duration) {
    this.duration = duration;
  }
  get currentTime() {
    const time = this.paused ? this.#at : this.#at + (performance.now() - this.#since) / 1000;
    if (time < this.duration) return time;
    this.#at = this.duration;
    this.paused = true;
    return this.duration;
  }
  set currentTime(seconds) {
    this.#at = seconds;
    this.#since = performance.now();
  }
  play() {
    if (this.currentTime >= this.duration) this.#at = 0;
    this.#since = performance.now();
    this.paused = false;
  }
  pause() {
    this.#at = this.currentTime;
    this.paused = true;
  }
}

export class Player {
  #data;
  #clock;
  #video = null;
  #url = null;
  #canvas;
  #timeline;
  #request = 0;
  #spoken = 0;
  #drawn = null;
  #offTheme;
  #resize;
  #time = h("output", { "aria-live": "off" });
  #play = h("button", { type: "button", class: "primary" }, "Play");
  #rows = h("ul", { class: "faces now" });
  #hint = h("span", { class: "muted small" });
  #again = h("button", { type: "button" }, "Choose the file");
  #input = h("input", {
    type: "file",
    accept: "video/*,.mkv,.avi,.ts,.dav",
    class: "visually-hidden",
    tabindex: "-1",
    "aria-label": "The same file, to play it",
  });

  constructor(data, file, onFile) {
    this.#data = data;
    this.#clock = new TimerClock(data.duration);
    this.#canvas = h("canvas", { role: "img", "aria-label": "Faces at this moment" });
    this.#timeline = new Timeline(data, (seconds) => this.seek(seconds));
    this.stage = h("div", { class: "player figure" }, this.#canvas);
    const jump = (forward) => () => {
      const time = data.change(this.#clock.currentTime, forward);
      if (time !== null) this.seek(time);
    };
    this.#play.addEventListener("click", () => this.toggle());
    const transport = h(
      "div",
      { class: "transport" },
      this.#play,
      h("button", { type: "button", onclick: jump(false) }, "Previous change"),
      h("button", { type: "button", onclick: jump(true) }, "Next change"),
      this.#time,
    );
    this.#again.addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => {
      if (this.#input.files[0]) {
        onFile(this.#input.files[0]);
        this.attach(this.#input.files[0]);
      }
    });
    this.element = h(
      "div",
      {},
      this.stage,
      h("div", { class: "hint" }, this.#hint, this.#again, this.#input),
      transport,
      this.#timeline.element,
      this.#rows,
    );
    this.#offTheme = onTheme(() => {
      this.#timeline.draw();
      this.#drawn = null;
    });
    this.#resize = new ResizeObserver(() => {
      this.#drawn = null;
    });
    this.#resize.observe(this.stage);
    this.attach(file);
    this.#loop();
  }

  close() {
    cancelAnimationFrame(this.#request);
    this.#offTheme();
    this.#resize.disconnect();
    this.#timeline.close();
    this.#detach();
  }

  /** Play this local file under the boxes; it never leaves the browser. Null: stick figures only. */
  attach(file) {
    this.#detach();
    this.#again.hidden = Boolean(file);
    if (!file) return setText(this.#hint, "Stick figures: choose the same file again to see it under the boxes. It stays in your browser.");
    this.#url = URL.createObjectURL(file);
    const video = h("video", { muted: true, playsinline: true, preload: "auto", tabindex: "-1", "aria-label": file.name });
    video.muted = true;
    video.addEventListener(
      "error",
      () => {
        this.#detach();
        this.#again.hidden = false;
        setText(this.#hint, "This browser cannot play this format: stick figures instead. The timeline is complete.");
      },
      { once: true },
    );
    video.addEventListener("loadeddata", () => this.#playable(video), { once: true });
    video.src = this.#url;
    setText(this.#hint, "");
  }

  #playable(video) {
    if (!this.#url || !video.videoWidth) return;
    video.currentTime = this.#clock.currentTime;
    this.#clock.pause();
    this.#clock = this.#video = video;
    this.stage.classList.remove("figure");
    this.stage.prepend(video);
    this.#drawn = null;
    setText(this.#hint, "Your own file, played in your browser; the daemon sent the boxes only.");
  }

  #detach() {
    if (this.#video) {
      const time = this.#video.currentTime;
      this.#video.remove();
      this.#video = null;
      this.#clock = new TimerClock(this.#data.duration);
      this.#clock.currentTime = time;
    }
    this.stage.classList.add("figure");
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
    this.#drawn = null;
  }

  toggle() {
    if (this.#clock.paused) this.#clock.play()?.catch?.(() => {});
    else this.#clock.pause();
  }

  seek(seconds) {
    this.#clock.currentTime = Math.min(seconds, this.#data.duration);
  }

  #loop() {
    this.#request = requestAnimationFrame(() => this.#loop());
    const time = this.#clock.currentTime;
    setText(this.#play, this.#clock.paused ? "Play" : "Pause");
    if (time === this.#drawn || !this.stage.isConnected) return;
    this.#drawn = time;
    setText(this.#time, `${clock(time)} / ${clock(this.#data.duration)}`);
    const faces = this.#data.at(time);
    this.#draw(faces);
    this.#timeline.time = time;
    if (performance.now() - this.#spoken < SPEAK_MS && !this.#clock.paused) return;
    this.#spoken = performance.now();
    this.#timeline.speak(faces);
    this.#canvas.setAttribute("aria-label", faces.map((face) => `track ${face.number} ${face.label}`).join(", ") || "no face");
    this.#list(faces);
  }

  #draw(faces) {
    const source = { width: this.#data.width, height: this.#data.height };
    const view = this.#video
      ? sized(this.#canvas, this.stage.clientWidth, this.stage.clientHeight)
      : prepare(this.#canvas, source.width / source.height);
    view.context.clearRect(0, 0, view.width, view.height);
    if (!this.#video) drawStage(view.context, view.width, view.height, colours());
    drawFaces(view, source, faces, { onPicture: this.#video !== null });
  }

  #list(faces) {
    this.#rows.replaceChildren(
      ...faces.slice(0, 8).map((face) => {
        const row = new FaceRow(`track #${face.number}`);
        row.set(face);
        return row.element;
      }),
    );
  }
}
