// The last ten minutes as charts. uPlot is loaded when the first chart is made.
import { h, number, setText } from "./dom.js";
import { colours, onTheme } from "./theme.js";

let loading = null;

function loadPlot() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(
      h("link", { rel: "stylesheet", href: "/static/vendor/uplot/uPlot.min.css" }),
      h("script", { src: "/static/vendor/uplot/uPlot.iife.min.js", onload: () => resolve(globalThis.uPlot), onerror: reject }),
    );
  });
  return loading;
}

/** One chart: `series` is [{key, name, colour, unit, digits, dash}]; `set(points)` takes the history's points. */
export class Chart {
  #plot = null;
  #series;
  #box;
  #summary;
  #points = [];
  #closed = false;
  #resize;
  #offTheme;

  constructor(title, series) {
    this.#series = series;
    this.#box = h("div", { class: "plot", role: "img", "aria-label": title });
    this.#summary = h(
      "p",
      { class: "key" },
      series.map(({ colour }) => h("span", { class: colour }, h("i"), h("b", { class: "key-text" }))),
    );
    this.title = title;
    this.aboutFaces = series.some(({ key }) => key === "faces_per_s");
    this.element = h("div", { class: "chart" }, h("h3", {}, title), this.#box, this.#summary);
    this.#resize = new ResizeObserver(() => this.#plot?.setSize(this.#size()));
    this.#resize.observe(this.#box);
    this.#offTheme = onTheme(() => {
      this.#plot?.destroy();
      this.#plot = null;
      this.set(this.#points);
    });
  }

  close() {
    this.#closed = true;
    this.#resize.disconnect();
    this.#offTheme();
    this.#plot?.destroy();
  }

  async set(points) {
    this.#points = points;
    const text = this.#series
      .map(
        (series) =>
          `${series.name} ${describe(
            points.map((point) => point[series.key]),
            series,
          )}`,
      )
      .join("; ");
    this.#box.setAttribute("aria-label", `${this.title}, last ten minutes: ${text}`);
    this.#series.forEach((series, index) =>
      setText(
        this.#summary.children[index].lastChild,
        `${series.name} ${describe(
          points.map((point) => point[series.key]),
          series,
        )}`,
      ),
    );
    const uPlot = await loadPlot();
    if (this.#closed || !this.#box.isConnected) return;
    const data = [points.map((point) => point.at), ...this.#series.map((series) => points.map((point) => point[series.key] ?? null))];
    if (this.#plot) this.#plot.setData(data);
    else this.#plot = new uPlot(this.#options(), data, this.#box);
  }

  #size() {
    return { width: Math.max(120, this.#box.clientWidth), height: 170 };
  }

  #options() {
    const palette = colours();
    const axis = {
      stroke: palette.muted,
      grid: { stroke: palette.line, width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
    };
    return {
      ...this.#size(),
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, low ?? 0, 1) * 1.1] } },
      axes: [
        {
          ...axis,
          space: 70,
          values: [
            [60, "{HH}:{mm}", null, null, null, null, null, null, 1],
            [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1],
          ],
          size: 26,
          gap: 4,
        },
        { ...axis, size: 40, gap: 4 },
      ],
      series: [
        {},
        ...this.#series.map(({ name, colour, dash }) => ({
          label: name,
          stroke: palette[colour],
          width: 2,
          dash,
          points: { show: false },
          spanGaps: false,
        })),
      ],
    };
  }
}

/** "now 21 ms, 19 to 40 ms" of the numbers that are known. */
function describe(values, { unit, digits = 0 }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (!known.length) return "not measured yet";
  const low = Math.min(...known),
    high = Math.max(...known);
  return `now ${number(known.at(-1), digits)}${unit}, ${number(low, digits)} to ${number(high, digits)}${unit}`;
}
