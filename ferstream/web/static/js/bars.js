// The seven probabilities of one face, as bars with a glyph and a name each.
import { h, percent } from "./dom.js";
import { LABELS, SHORT, glyph } from "./labels.js";

const SPOKEN_MS = 1000; // the text alternative changes at most this often

export class Bars {
  #fills = [];
  #columns = [];
  #spoken = -Infinity;

  constructor() {
    this.element = h("div", { class: "bars", role: "img", "aria-label": "no probabilities yet" });
    for (const label of LABELS) {
      const fill = h("i");
      const column = h(
        "div",
        { class: `bar-column ${label}` },
        h("div", { class: "bar" }, fill),
        glyph(label),
        h("div", { class: "bar-name" }, SHORT[label]),
      );
      this.#fills.push(fill);
      this.#columns.push(column);
      this.element.append(column);
    }
  }

  /** Show probabilities by label; null empties the bars. */
  set(probabilities) {
    const values = LABELS.map((label) => probabilities?.[label] ?? 0);
    const top = probabilities ? values.indexOf(Math.max(...values)) : -1;
    values.forEach((value, index) => {
      this.#fills[index].style.transform = `scaleY(${value.toFixed(3)})`;
      this.#columns[index].classList.toggle("top-class", index === top);
    });
    const now = performance.now();
    if (now - this.#spoken < SPOKEN_MS) return;
    this.#spoken = now;
    this.element.setAttribute("aria-label", describe(probabilities));
  }
}

/** "happy 93 %, neutral 5 %, ..." without those below one percent. */
export function describe(probabilities) {
  if (!probabilities) return "not classified";
  const shown = LABELS.filter((label) => probabilities[label] >= 0.01).sort((a, b) => probabilities[b] - probabilities[a]);
  return shown.map((label) => `${label} ${percent(probabilities[label])}`).join(", ") || "no probabilities";
}

/** The bar of a share in a list of counts. */
export function setShare(element, share) {
  element.style.transform = `scaleX(${Math.max(0, Math.min(1, share)).toFixed(3)})`;
}

export function showLabel(element, label) {
  if (element.dataset.label === label) return;
  element.dataset.label = label;
  element.className = `label ${label}`;
  element.replaceChildren(glyph(label), label);
}
