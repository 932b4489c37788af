// The theme's colours for canvas drawing, and the button that switches the theme.
import { ALL } from "./labels.js";

const NAMES = ["stage", "stage-dots", "figure", "surface", "raised", "text", "muted", "line", "accent", "bad", "warn", ...ALL];
const ORDER = ["system", "light", "dark"];
const listeners = new Set();
let cached = {};

/** Return {name: css colour} as resolved now; canvas cannot read light-dark() itself. */
export const colours = () => (cached.page ??= resolve(""));

/** The bright colours, which are seen on a picture in both themes. */
export const pictureColours = () => (cached.picture ??= resolve("dark"));

function resolve(scheme) {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  probe.style.colorScheme = scheme;
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

/** Call `listener` after each change of the theme; returns the function that ends it. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function changed() {
  cached = {};
  for (const listener of listeners) listener();
}

function stored() {
  try {
    return localStorage.getItem("ferstream-theme") || "system";
  } catch {
    return "system";
  }
}

function store(theme) {
  try {
    localStorage.setItem("ferstream-theme", theme);
  } catch {
    /* blocked: this page only */
  }
}

export function startTheme(button) {
  let theme = ORDER.includes(stored()) ? stored() : "system";
  const prefix = document.createElement("span");
  prefix.className = "wide-only";
  prefix.textContent = "Theme: ";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.replaceChildren(prefix, theme);
    changed();
  };
  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    store(theme);
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
