// The timeline of a recording as the daemon sends it, and what is on it at one moment.
import { LABELS, known } from "./labels.js";

const HOLD_S = 0.5; // a face stays shown this long after its last point; longer where the daemon left points out of a long recording

export class TimelineData {
  constructor({ duration_s, width, height, tracks }) {
    this.duration = duration_s;
    this.width = width;
    this.height = height;
    this.tracks = tracks.map((track, index) => ({
      ...track,
      number: index + 1,
      hold: hold(track),
      spans: track.spans.map((span) => ({ label: known(span.label), from: span.from_s, to: span.to_s })),
    }));
    const changes = this.tracks.flatMap((track) => [...track.spans.map((span) => span.from), track.to_s]);
    this.changes = [...new Set(changes)].sort((a, b) => a - b);
  }

  /** The faces at a time: [{number, id, box, label, confidence, probabilities}]. */
  at(seconds) {
    const faces = [];
    for (const track of this.tracks) {
      if (seconds < track.from_s - 0.001 || seconds > track.to_s + track.hold) continue;
      const point = latest(track.points, seconds);
      if (point && seconds - point[0] <= track.hold) faces.push(face(track, point, seconds));
    }
    return faces;
  }

  /** The next change of any label after (or before) a time; null where none is left. */
  change(seconds, forward) {
    if (forward) return this.changes.find((time) => time > seconds + 0.01) ?? null;
    return this.changes.findLast((time) => time < seconds - 0.01) ?? null;
  }
}

/** One face: the label is that of the track at this time, the bars are those of the frame. */
function face(track, [, x, y, w, h, label, ...values], seconds) {
  const span = track.spans.findLast(({ from }) => from <= seconds + 0.001);
  const name = span ? span.label : known(label);
  const probabilities =
    values.length >= LABELS.length && values[0] !== null ? Object.fromEntries(LABELS.map((key, index) => [key, values[index]])) : null;
  return { number: track.number, id: track.id, box: [x, y, w, h], label: name, probabilities, confidence: probabilities?.[name] };
}

/** The last point at or before a time, by halving; the points are in order of time. */
function latest(points, seconds) {
  let low = 0,
    high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= seconds + 0.001) low = middle + 1;
    else high = middle;
  }
  return low ? points[low - 1] : null;
}

/** Seconds for which a point stays valid: two and a half times the usual step from point to point. */
function hold({ from_s, to_s, points }) {
  return Math.max(HOLD_S, points.length > 1 ? (2.5 * (to_s - from_s)) / (points.length - 1) : 0);
}
