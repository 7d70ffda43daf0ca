// The curve of a trial: the accuracies after each of its epochs.
import { short } from "./tables.js";

const [WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP] = [640, 280, 52, 115, 40, 12]; // in its own units
const LINES = [["train_accuracy", "train"], ["val_accuracy", "validation"]];

function drawn(name, attributes, ...inside) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...inside);
  return made;
}

export function curve(epochs) {
  const last = Math.max(...epochs.map(({ epoch }) => epoch));
  const x = (epoch) => LEFT + (WIDTH - LEFT - RIGHT) * (last > 1 ? (epoch - 1) / (last - 1) : 0.5);
  const y = (value) => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value;
  const parts = [], words = [];
  for (const value of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }), drawn("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, String(value)));
  }
  for (const epoch of new Set([1, last])) parts.push(drawn("text", { x: x(epoch), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, String(epoch)));
  parts.push(drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, "epoch"));
  const ends = [];
  for (const [column, title] of LINES) {
    const points = epochs.filter((row) => Number.isFinite(row[column]));
    if (!points.length) continue;
    const end = points[points.length - 1];
    let height = y(end[column]) + 4;
    if (ends.some((other) => Math.abs(other - height) < 18)) height = ends[0] + (height < ends[0] ? -18 : 18); // names do not lie on each other
    ends.push(height);
    parts.push(drawn("polyline", { points: points.map((row) => `${x(row.epoch)},${y(row[column])}`).join(" "), class: title }));
    if (points.length === 1) parts.push(drawn("circle", { cx: x(end.epoch), cy: y(end[column]), r: 3, class: title }));
    parts.push(drawn("text", { x: x(end.epoch) + 8, y: height }, title));
    words.push(`${title} from ${short(points[0][column])} to ${short(end[column])}`);
  }
  return drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", class: "curve", "aria-label": `Accuracy by epoch, ${epochs.length} epochs: ${words.join(", ") || "none measured"}` }, ...parts);
}
