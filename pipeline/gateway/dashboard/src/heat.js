// The anomaly map as an overlay: transparent where normal, red to white by score.
import { signal } from "@preact/signals";

const KEY = "vedette-heat";
export const heat = signal(Number(localStorage.getItem(KEY) ?? 0.8));
heat.subscribe((value) => localStorage.setItem(KEY, value));

const LOWEST = 0.5; // score from which a cell is coloured
const HIGHEST = 2; // score of the brightest colour
const STOPS = [
  [0, 190, 50, 120],
  [0.35, 239, 83, 60],
  [0.7, 253, 176, 40],
  [1, 255, 246, 190],
];

// Lookup table: one RGBA for each of the 256 values of a cell.
const TABLE = new Map();
function table(scale) {
  if (!TABLE.has(scale)) {
    const colours = new Uint8ClampedArray(256 * 4);
    for (let value = 0; value < 256; value++) {
      const strength = Math.min(1, Math.max(0, (value / scale - LOWEST) / (HIGHEST - LOWEST)));
      const next = STOPS.findIndex(([at]) => at >= strength) || 1;
      const [a, b] = [STOPS[next - 1], STOPS[next]];
      const share = (strength - a[0]) / (b[0] - a[0]);
      for (let channel = 0; channel < 3; channel++) {
        colours[4 * value + channel] = a[channel + 1] + share * (b[channel + 1] - a[channel + 1]);
      }
      colours[4 * value + 3] = 225 * Math.sqrt(strength);
    }
    TABLE.set(scale, colours);
  }
  return TABLE.get(scale);
}

// Draws a map into a canvas of the size of the map; the browser scales it smoothly.
export function drawHeat(canvas, picture) {
  const context = canvas.getContext("2d");
  if (!picture?.cells || !picture.map) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  const [width, height] = picture.map;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const colours = table(picture.map_scale);
  const image = context.createImageData(width, height);
  for (let n = 0; n < width * height; n++) {
    const from = 4 * picture.cells[n];
    for (let channel = 0; channel < 4; channel++) image.data[4 * n + channel] = colours[from + channel];
  }
  context.putImageData(image, 0, 0);
}
