// One face in words and bars: its label, how sure, the seven probabilities; live ones with the last seconds as a strip.
import { Bars, showLabel } from "./bars.js";
import { h, percent, setText, shortId } from "./dom.js";
import { drawSpans, sized } from "./drawing.js";
import { ABSTAINED, known } from "./labels.js";
import { colours } from "./theme.js";

export const STRIP_S = 30;

export class FaceRow {
  #label = h("span", { class: "label unknown" });
  #confidence = h("div", { class: "confidence" });
  #bars = new Bars();

  constructor(name) {
    this.element = h(
      "li",
      { class: "face" },
      h("div", {}, h("div", { class: "who" }, name), this.#label, this.#confidence),
      this.#bars.element,
    );
  }

  set({ label, confidence, abstained, probabilities }) {
    const reason = abstained ? (ABSTAINED[abstained] ?? abstained) : "";
    showLabel(this.#label, known(label));
    setText(this.#confidence, known(label) === "unknown" ? reason || "no label yet" : `${percent(confidence)} sure`);
    this.#bars.set(probabilities);
  }

  /** Show a remark in place of the confidence. */
  note(text) {
    setText(this.#confidence, text);
  }
}

/** The row of a track: what it was in the last seconds stays visible. Times in seconds of the page's clock. */
export class TrackRow {
  #row;
  #strip;
  #spans = [];
  #left = false;

  constructor(id) {
    this.id = id;
    this.#row = new FaceRow(`track ${shortId(id)}`);
    this.element = this.#row.element;
    this.#strip = h("canvas", { class: "strip", "aria-hidden": "true" });
    this.element.append(
      this.#strip,
      h("div", { class: "strip-name", "aria-hidden": "true" }, h("span", {}, `${STRIP_S} s ago`), h("span", {}, "now")),
    );
    this.seen = 0;
  }

  /** Take the face of one frame. */
  observe({ track, emotion }, now) {
    const { label, confidence } = emotion.smoothed;
    this.seen = now;
    this.#row.set({
      label,
      confidence,
      abstained: emotion.abstained,
      probabilities: emotion.probabilities,
    });
    this.#setLeft(track.state === "left");
    const last = this.#spans.at(-1);
    if (last && last.label === label && now - last.to < 1.5) last.to = now;
    else this.#spans.push({ label, from: last && now - last.to < 1.5 ? last.to : now, to: now });
    while (this.#spans.length && this.#spans[0].to < now - STRIP_S) this.#spans.shift();
  }

  leave() {
    this.#setLeft(true);
  }

  /** Whether the face is not in the present frame, though its track may go on. */
  set away(away) {
    this.element.classList.toggle("left", away || this.#left);
    if (away && !this.#left) this.#row.note("not in the picture");
  }

  #setLeft(left) {
    this.#left = left;
    this.element.classList.toggle("left", left);
    if (left) this.#row.note("left");
  }

  draw(now) {
    const { context, width, height } = sized(this.#strip, this.#strip.clientWidth || 1, 14);
    context.clearRect(0, 0, width, height);
    drawSpans(context, this.#spans, { x: 0, y: 0, w: width, h: height, from: now - STRIP_S, to: now }, colours());
  }
}
