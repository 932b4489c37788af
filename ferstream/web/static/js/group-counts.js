// What a camera shows with privacy.aggregate_only: counts of groups, at the end of each interval.
import { setShare } from "./bars.js";
import { h, moment, number } from "./dom.js";
import { ALL, labelElement } from "./labels.js";

/** The elements for the last summary; without one, or while the camera is not online, the reason. */
export function groupCounts(summary, { status, reason }) {
  if (status !== "online") return [h("p", { class: "muted" }, [status, reason].filter(Boolean).join(": "))];
  if (!summary) return [h("p", { class: "muted" }, "The first counts come at the end of the interval.")];
  const total = Object.values(summary.counts).reduce((sum, count) => sum + count, 0);
  const until = summary.at ? `, until ${moment(summary.at)}` : "";
  const note = total ? "" : ": no group that is large enough";
  return [
    h("p", {}, h("span", { class: "big" }, number(summary.faces_now)), " faces now"),
    h("p", { class: "muted small" }, `observations in ${number(summary.interval_s)} s${until}${note}`),
    h(
      "dl",
      { class: "counts" },
      ALL.filter((label) => label in summary.counts).flatMap((label) => line(label, summary.counts[label], total)),
    ),
  ];
}

function line(label, count, total) {
  const fill = h("i");
  setShare(fill, total ? count / total : 0);
  return [h("dt", {}, labelElement(label)), h("dd", { class: `track ${label}` }, fill), h("dd", {}, number(count))];
}
