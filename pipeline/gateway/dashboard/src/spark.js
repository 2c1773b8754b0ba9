// The score of the last two minutes against the threshold.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { useSignalEffect } from "@preact/signals";
import { live, now, preload } from "./live.js";
import { theme } from "./theme.js";

const SECONDS = 120;
const TOP = 2.2;

export function Spark({ camera, threshold }) {
  const canvas = useRef(null);
  const one = live(camera);
  useEffect(() => {
    preload(camera);
  }, [camera]);
  useSignalEffect(() => {
    theme.value;
    const score = one.score.value;
    if (canvas.current) draw(canvas.current, one.history, score?.captured_at ?? now.value / 1000, threshold);
  });
  return html`<canvas class="spark" ref=${canvas} aria-hidden="true"></canvas>`;
}

function draw(canvas, history, end, threshold) {
  const scale = Math.min(2, devicePixelRatio);
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  if (!width) return;
  if (canvas.width !== Math.round(width)) canvas.width = Math.round(width);
  if (canvas.height !== Math.round(height)) canvas.height = Math.round(height);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const x = (at) => width * (1 - (end - at) / SECONDS);
  const y = (score) => height - 2 - (height - 4) * (Math.min(Math.max(score / threshold, 0), TOP) / TOP);
  context.clearRect(0, 0, width, height);
  context.lineWidth = scale;
  context.strokeStyle = style.getPropertyValue("--line");
  context.setLineDash([3 * scale, 3 * scale]);
  context.beginPath();
  context.moveTo(0, y(threshold));
  context.lineTo(width, y(threshold));
  context.stroke();
  context.setLineDash([]);
  context.lineWidth = 1.5 * scale;
  context.lineJoin = "round";
  const colours = [style.getPropertyValue("--score"), style.getPropertyValue("--alarm")];
  let last = null;
  for (const [at, score] of history) {
    if (score !== null && last && at - last[0] < 3) {
      context.strokeStyle = colours[Number(Math.max(score, last[1]) >= threshold)];
      context.beginPath();
      context.moveTo(x(last[0]), y(last[1]));
      context.lineTo(x(at), y(score));
      context.stroke();
    }
    last = score === null ? null : [at, score];
  }
}
