// The seven expressions: their order, their glyphs (so that colour is never alone), and their elements.
import { h } from "./dom.js";

export const LABELS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];
export const UNKNOWN = "unknown";
export const ALL = [...LABELS, UNKNOWN];
export const SHORT = { angry: "angry", disgust: "disg.", fear: "fear", happy: "happy", sad: "sad", surprise: "surp.", neutral: "neut." };

/** Strokes in a square of 16 x 16: brows, eyes and mouth of each expression. */
export const GLYPHS = {
  angry: "M3 3.8l3.2 1.7M13 3.8l-3.2 1.7M5 7.6h.01M11 7.6h.01M4.8 12.2q3.2-2.2 6.4 0",
  disgust: "M3.2 6.4h3.2M9.6 6.4h3.2M4.2 12.6q1.8-3 3.8-1.4t3.8-1.8",
  fear: "M3 4.4l3-1.6M13 4.4l-3-1.6M5 7.2h.01M11 7.2h.01M3.8 12.4l2.1-1.8 2.1 1.8 2.1-1.8 2.1 1.8",
  happy: "M5 5.6h.01M11 5.6h.01M3.6 9.2q4.4 6 8.8 0",
  sad: "M5 5.8h.01M11 5.8h.01M4 13q4-5 8 0",
  surprise: "M3.4 3.2q1.6-1.4 3.2 0M9.4 3.2q1.6-1.4 3.2 0M5 6.4h.01M11 6.4h.01M8 9.6a2.2 2.2 0 1 0 .01 0",
  neutral: "M5 6h.01M11 6h.01M4.6 11.4h6.8",
  unknown: "M5.6 5.6a2.5 2.5 0 1 1 3.7 2.2q-1.3.7-1.3 2M8 13h.01",
};

/** Why a label is "unknown", in words. */
export const ABSTAINED = {
  small: "too small",
  blurred: "blurred",
  occluded: "covered",
  dark: "too dark",
  turned: "turned away",
  low_confidence: "not sure",
};

export const known = (label) => (label in GLYPHS ? label : UNKNOWN);

export function glyph(label) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "glyph");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", GLYPHS[known(label)]);
  svg.append(path);
  return svg;
}

/** Glyph and name in the label's colour. */
export const labelElement = (label) => h("span", { class: `label ${known(label)}` }, glyph(label), label);

export const legend = () => h("div", { class: "legend", role: "group", "aria-label": "Expressions" }, ALL.map(labelElement));
