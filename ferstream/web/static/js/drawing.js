// Draws faces on a canvas: the picture or a grey stage, boxes, five points, label, and a bar of the probabilities.
import { GLYPHS, LABELS, known } from "./labels.js";
import { percent } from "./dom.js";
import { colours as pageColours, pictureColours } from "./theme.js";

const paths = Object.fromEntries(Object.entries(GLYPHS).map(([label, path]) => [label, new Path2D(path)]));
const FONT = '600 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const PILL = 22;
const NARROW = 480; // on a canvas narrower than this, labels get NARROW_PILL pixels
const NARROW_PILL = 110;
const CROWD = 6; // with more faces than this, a label may be CROWD_SHARE times as wide as its box
const CROWD_SHARE = 1.5;

/** Fit the canvas to its width on the screen; returns its context in CSS pixels, with the size. */
export function prepare(canvas, aspect) {
  const width = Math.max(1, Math.round(canvas.clientWidth || canvas.parentElement?.clientWidth || 1));
  const height = Math.max(1, Math.round(width / aspect));
  return sized(canvas, width, height);
}

export function sized(canvas, width, height) {
  const ratio = Math.min(devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}

/** The background of a camera that sends no picture: grey with faint dots. */
export function drawStage(context, width, height, colours) {
  context.fillStyle = colours.stage;
  context.fillRect(0, 0, width, height);
  context.fillStyle = colours["stage-dots"];
  for (let y = 12; y < height; y += 24) for (let x = 12; x < width; x += 24) context.fillRect(x, y, 1.5, 1.5);
}

/**
 * Draw faces over what is on the canvas.
 * faces: [{box: [x, y, w, h], landmarks, label, confidence, probabilities, note, faded}] in source pixels.
 * source: {width, height} in the same pixels; view: {context, width, height} in CSS pixels.
 */
export function drawFaces(view, source, faces, { onPicture }) {
  const colours = onPicture ? pictureColours() : pageColours();
  const sx = view.width / source.width,
    sy = view.height / source.height;
  const taken = [];
  for (const face of faces) {
    const colour = colours[known(face.label)];
    const [x, y, w, h] = [face.box[0] * sx, face.box[1] * sy, face.box[2] * sx, face.box[3] * sy];
    view.context.globalAlpha = face.faded ? 0.45 : 1;
    drawBox(view.context, { x, y, w, h }, colour, onPicture, known(face.label) === "unknown");
    if (face.landmarks)
      drawLandmarks(
        view.context,
        face.landmarks.map(([px, py]) => [px * sx, py * sy]),
        onPicture ? colour : colours.figure,
        w,
        onPicture,
      );
    if (face.probabilities) drawShares(view.context, { x, y, w, h }, face.probabilities, colours);
    drawPill(view, { x, y, w, h }, face, colour, colours.surface, taken, faces.length > CROWD);
  }
  view.context.globalAlpha = 1;
}

function drawBox(context, { x, y, w, h }, colour, onPicture, dashed) {
  context.lineJoin = "round";
  context.beginPath();
  context.roundRect(x, y, w, h, Math.min(10, w / 6));
  if (onPicture) {
    context.strokeStyle = "rgb(0 0 0 / .55)";
    context.lineWidth = 4.5;
    context.stroke();
  }
  context.setLineDash(dashed ? [6, 5] : []);
  context.strokeStyle = colour;
  context.lineWidth = 2.5;
  context.stroke();
  context.setLineDash([]);
}

/** Right eye, left eye, nose, corners of the mouth: dots, joined to a figure where no picture is under them. */
function drawLandmarks(context, points, colour, boxWidth, onPicture) {
  const radius = Math.max(1.6, Math.min(4, boxWidth / 26));
  const [right, left, nose, mouthRight, mouthLeft] = points;
  if (!onPicture) {
    context.strokeStyle = colour;
    context.lineWidth = Math.max(1, radius * 0.6);
    context.lineCap = "round";
    context.globalAlpha *= 0.55;
    const brow = [(right[0] + left[0]) / 2, (right[1] + left[1]) / 2];
    context.beginPath();
    for (const line of [
      [right, left],
      [brow, nose],
      [mouthRight, mouthLeft],
    ]) {
      context.moveTo(...line[0]);
      context.lineTo(...line[1]);
    }
    context.stroke();
    context.globalAlpha /= 0.55;
  }
  for (const [x, y] of points) {
    context.beginPath();
    context.arc(x, y, radius, 0, 7);
    if (onPicture) {
      context.lineWidth = 2;
      context.strokeStyle = "rgb(0 0 0 / .6)";
      context.stroke();
    }
    context.fillStyle = onPicture ? "#fff" : colour;
    context.fill();
  }
}

/** The seven probabilities as one bar along the lower edge of the box. */
function drawShares(context, { x, y, w, h }, probabilities, colours) {
  const top = y + h + 4,
    height = 5;
  let at = x;
  for (const label of LABELS) {
    const part = w * (probabilities[label] ?? 0);
    context.fillStyle = colours[label];
    if (part > 0.5) context.fillRect(at, top, Math.max(0.5, part - 0.75), height);
    at += part;
  }
}

/** Glyph, label and confidence above the box, or inside it at the upper edge; moved down where another label is. */
function drawPill({ context, width, height }, { x, y, w: boxWidth }, face, colour, ink, taken, crowd) {
  const label = known(face.label);
  context.font = FONT;
  const room = crowd ? boxWidth * CROWD_SHARE : width < NARROW ? NARROW_PILL : width;
  const text = texts(label, face).find((candidate) => pillWidth(context, candidate) <= room) ?? "";
  const w = pillWidth(context, text);
  const left = Math.max(2, Math.min(x, width - w - 2));
  let top = Math.max(2, y - PILL - 5);
  while (
    taken.some((other) => left < other.left + other.w && other.left < left + w && Math.abs(other.top - top) < PILL) &&
    top + 2 * PILL < height
  )
    top += PILL + 2;
  taken.push({ left, top, w });
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(left, top, w, PILL, 6);
  context.fill();
  context.save();
  context.translate(left + 5, top + 3);
  context.strokeStyle = ink;
  context.lineWidth = 1.7;
  context.lineCap = "round";
  context.stroke(paths[label]);
  context.restore();
  context.fillStyle = ink;
  context.textBaseline = "middle";
  context.fillText(text, left + 26, top + PILL / 2 + 0.5);
}

/** What a label may say, the longest first. */
function texts(label, { note, confidence }) {
  const sure = label === "unknown" || confidence === undefined ? "" : ` ${percent(confidence)}`;
  return [(note ? `${label}: ${note}` : label) + sure, label];
}

const pillWidth = (context, text) => (text ? context.measureText(text).width + 34 : 26);

/** Spans of labels over time: [{label, from, to}] on a line; long ones carry their name, short ones their glyph. */
export function drawSpans(context, spans, { x, y, w, h, from, to }, colours) {
  const scale = w / (to - from);
  context.font = `600 ${Math.min(11, h - 3)}px system-ui, "DejaVu Sans", sans-serif`;
  context.textBaseline = "middle";
  for (const span of spans) {
    const left = x + Math.max(0, (span.from - from) * scale);
    const right = Math.max(left + 1, x + Math.min(w, (span.to - from) * scale)); // one frame alone is visible too
    if (span.to < from || span.from > to) continue;
    const label = known(span.label);
    context.fillStyle = colours[label];
    context.fillRect(left, y, Math.max(1, right - left - 1), h);
    const room = right - left - 6;
    if (h < 11 || room < 12) continue;
    context.fillStyle = colours.surface;
    const width = context.measureText(label).width;
    if (width <= room) context.fillText(label, left + 4, y + h / 2 + 0.5);
    else drawGlyph(context, label, left + 2, y + (h - 12) / 2, 12, colours.surface);
  }
}

function drawGlyph(context, label, x, y, size, colour) {
  context.save();
  context.translate(x, y);
  context.scale(size / 16, size / 16);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.lineCap = "round";
  context.stroke(paths[label]);
  context.restore();
}
