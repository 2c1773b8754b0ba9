// A score over time (uPlot): threshold line, events as bands, cursor.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { theme } from "./theme.js";

const two = (n) => String(n).padStart(2, "0");
const stamp = (seconds, exact) => {
  const at = new Date(seconds * 1000);
  return `${two(at.getHours())}:${two(at.getMinutes())}${exact ? `:${two(at.getSeconds())}` : ""}`;
};
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function ticks(_chart, splits, _axis, _space, step) {
  return splits.map((seconds) => {
    const at = new Date(seconds * 1000);
    if (step >= 86400 || (at.getHours() === 0 && at.getMinutes() === 0 && step >= 3600)) return `${at.getDate()} ${MONTHS[at.getMonth()]}`;
    return stamp(seconds, step < 60);
  });
}

// points: [[time, score or null], …]; bands: [{from, to, tone, id}].
export function ScoreChart({ points, bands = [], threshold = 1, begin, end, height = 220, onCursor, onPick, marker, label }) {
  const box = useRef(null);
  const chart = useRef(null);
  const current = useRef({});
  current.current = { bands, threshold, begin, end, onCursor, onPick, marker };

  useEffect(() => {
    const place = box.current;
    const style = getComputedStyle(place);
    const colour = (name) => style.getPropertyValue(name).trim();
    const options = {
      width: place.clientWidth,
      height,
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: {
        x: { time: true, range: () => [current.current.begin, current.current.end] },
        y: { range: (_, _low, high) => [0, Math.max(1.6 * current.current.threshold, Math.min(1.1 * (high ?? 0), 12))] },
      },
      axes: [
        { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, size: 28, values: ticks, font: "12px system-ui, sans-serif" },
        { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, size: 40, font: "12px system-ui, sans-serif" },
      ],
      series: [{}, { stroke: colour("--score"), width: 1.5, points: { show: false }, fill: colour("--score-fill") }],
      hooks: {
        drawClear: [(plot) => drawBands(plot, current.current.bands, colour)],
        draw: [(plot) => drawLines(plot, current.current, colour)],
        setCursor: [(plot) => current.current.onCursor?.(plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null)],
      },
    };
    chart.current = new uPlot(options, [[], []], place);
    const click = () => {
      const plot = chart.current;
      if (plot.cursor.left < 0) return;
      const at = plot.posToVal(plot.cursor.left, "x");
      const reach = plot.posToVal(6, "x") - plot.posToVal(0, "x");
      const hit = current.current.bands.find((band) => band.from - reach <= at && at <= band.to + reach);
      current.current.onPick?.(at, hit);
    };
    chart.current.over.addEventListener("click", click);
    const resized = new ResizeObserver(() => place.clientWidth && chart.current.setSize({ width: place.clientWidth, height }));
    resized.observe(place);
    return () => {
      resized.disconnect();
      chart.current.destroy();
    };
  }, [theme.value, height]);

  useEffect(() => {
    chart.current.setData([points.map((point) => point[0]), points.map((point) => point[1])]);
  }, [points, begin, end, threshold, theme.value]);
  useEffect(() => chart.current.redraw(false), [bands, marker]);

  return html`<div class="chart" ref=${box} role="img" aria-label=${label}></div>`;
}

function drawBands(plot, bands, colour) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const band of bands) {
    const from = plot.valToPos(band.from, "x", true);
    const to = plot.valToPos(band.to, "x", true);
    ctx.fillStyle = colour(band.tone === "notified" ? "--band" : "--band-quiet");
    ctx.fillRect(from, bbox.top, Math.max(2 * devicePixelRatio, to - from), bbox.height);
  }
  ctx.restore();
}

function drawLines(plot, { threshold, marker }, colour) {
  const { ctx, bbox } = plot;
  const y = plot.valToPos(threshold, "y", true);
  ctx.save();
  ctx.strokeStyle = colour("--alarm");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  if (marker != null) {
    const x = plot.valToPos(marker, "x", true);
    ctx.setLineDash([]);
    ctx.strokeStyle = colour("--text");
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

// Seconds or minutes of the API as points, with a gap where there are none.
export function withGaps(scores, step) {
  const points = [];
  let last = null;
  for (const one of scores) {
    if (last !== null && one.begins_at - last > 3 * step) points.push([last + step, null]);
    points.push([one.begins_at, one.highest]);
    last = one.begins_at;
  }
  return points;
}
