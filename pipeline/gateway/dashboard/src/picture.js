// A live picture: fetched only while it is in view, and marked once it is no longer live.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { useSignal, useSignalEffect } from "@preact/signals";
import { drawHeat, heat } from "./heat.js";
import { hide, live, now, pictureAge, show } from "./live.js";
import { span, whenever } from "./words.js";

const NO_PICTURE = { offline: "No picture: the camera is offline", disabled: "Disabled", error: "No picture", ended: "The recording has ended" };
const LATE_SECONDS = 3;
const FROZEN_SECONDS = 10;

export function LivePicture({ camera, detail = "small", ratio, children, label }) {
  const box = useRef(null);
  const canvas = useRef(null);
  const overlay = useRef(null);
  const shape = useSignal(ratio ?? 16 / 9);
  const one = live(camera);

  useEffect(() => {
    const key = {};
    const observer = new IntersectionObserver(
      ([entry]) => (entry.isIntersecting ? show(key, camera, detail) : hide(key)),
      { rootMargin: "100px" },
    );
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      hide(key);
    };
  }, [camera, detail]);

  useSignalEffect(() => {
    const picture = one.picture.value;
    if (!picture || !canvas.current) return;
    const [width, height] = picture.size;
    shape.value = width / height;
    const target = canvas.current;
    if (target.width !== picture.bitmap.width) target.width = picture.bitmap.width;
    if (target.height !== picture.bitmap.height) target.height = picture.bitmap.height;
    target.getContext("2d").drawImage(picture.bitmap, 0, 0);
    drawHeat(overlay.current, picture);
    target.dataset.capturedAt = picture.captured_at;
  });

  return html`<div class="picture" ref=${box} style=${{ aspectRatio: String(shape.value) }}>
    <canvas ref=${canvas} role="img" aria-label=${label ?? `Live picture of ${camera}`}></canvas>
    <canvas ref=${overlay} class="heat" aria-hidden="true" width="1" height="1" style=${{ opacity: heat.value }}></canvas>
    <${Age} one=${one} />
    ${children}
  </div>`;
}

function Age({ one }) {
  now.value; // once a second
  const picture = one.picture.value;
  if (!picture) return html`<span class="veil waiting">${NO_PICTURE[one.state.value?.state] ?? "Waiting for a picture"}</span>`;
  const age = pictureAge(picture);
  if (age > FROZEN_SECONDS) {
    return html`<span class="veil">Not live. Last picture ${age < 5400 ? `${span(age)} ago` : whenever(picture.captured_at)}</span>`;
  }
  if (age > LATE_SECONDS) return html`<span class="age late">${span(age)} old</span>`;
  return html`<span class="age">Live</span>`;
}

export function HeatSlider() {
  return html`<label class="slider">
    <span>Heatmap</span>
    <input type="range" min="0" max="1" step="0.05" value=${heat.value} onInput=${(event) => (heat.value = Number(event.target.value))} aria-valuetext=${`${Math.round(100 * heat.value)} %`} />
  </label>`;
}
