// All cameras, the most urgent first.
import { html } from "htm/preact";
import { useEffect } from "preact/hooks";
import { signal, useComputed } from "@preact/signals";
import { cameras, camerasProblem, live, loadCameras, now } from "./live.js";
import { HeatSlider, LivePicture } from "./picture.js";
import { Spark } from "./spark.js";
import { Chip, Problem } from "./ui.js";
import { clockLength, describe, plural, scoreText } from "./words.js";
import { FirstRun } from "./first_run.js";

const onlyUrgent = signal(false);

export function describeLive(camera) {
  const one = live(camera.name);
  const lostAt = one.lostAt.value ?? one.picture.peek()?.captured_at;
  return describe(camera, one.state.value, one.score.value, one.event.value, lostAt);
}

export function Wall() {
  useEffect(() => {
    document.title = "Wall · Vedette";
  }, []);
  // The order changes with the ranks only, not with every score.
  const ranks = useComputed(() => (cameras.value ?? []).map((camera) => describeLive(camera).rank).join());
  if (cameras.value === null) {
    return html`<main class="page"><${Problem} text=${camerasProblem.value} again=${loadCameras} />${!camerasProblem.value && html`<p class="muted loading">Loading the cameras …</p>`}</main>`;
  }
  if (!cameras.value.length) return html`<${FirstRun} />`;
  const rank = ranks.value.split(",").map(Number);
  const order = cameras.value.map((camera, n) => ({ camera, rank: rank[n] ?? 9 })).sort((a, b) => a.rank - b.rank);
  const urgent = order.filter((one) => one.rank <= 3).length;
  const shown = onlyUrgent.value ? order.filter((one) => one.rank <= 3) : order;
  return html`<main class="page wide">
    <header class="bar">
      <h1>Wall</h1>
      <p class="summary" aria-live="polite">${plural(order.length, "camera")}, ${urgent ? html`<b class="warn-text">${urgent} ${urgent === 1 ? "needs" : "need"} attention</b>` : "no anomalies"}</p>
      <span class="grow"></span>
      <label class="check"><input type="checkbox" checked=${onlyUrgent.value} onChange=${(event) => (onlyUrgent.value = event.target.checked)} />Only cameras that need attention</label>
      <${HeatSlider} />
      <button class="quiet wide-only" onClick=${() => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen())}>Full screen</button>
    </header>
    ${!shown.length && html`<p class="muted quiet-wall">No camera needs attention now.</p>`}
    <ul class="wall">
      ${shown.map(({ camera }) => html`<${Tile} key=${camera.name} camera=${camera} />`)}
    </ul>
  </main>`;
}

function Tile({ camera }) {
  const one = live(camera.name);
  const about = describeLive(camera);
  const threshold = camera.settings?.alert?.enter ?? 1;
  const event = one.event.value;
  const active = about.rank === 0 && event;
  if (active) now.value;
  return html`<li class="tile ${about.tone}">
    <a href=${`#/cameras/${camera.name}`}>
      <${LivePicture} camera=${camera.name} />
      <div class="caption">
        <b class="name">${camera.name}</b>
        <${Chip} tone=${about.tone}>${about.words}${active ? ` · ${clockLength(now.value / 1000 - event.started_at)}` : ""}<//>
      </div>
      <${Score} one=${one} camera=${camera.name} threshold=${threshold} detail=${about.detail} />
    </a>
  </li>`;
}

function Score({ one, camera, threshold, detail }) {
  const score = one.score.value?.score;
  return html`<div class="score-row">
    <${Spark} camera=${camera} threshold=${threshold} />
    <span class="score ${score >= threshold ? "over" : ""}" title="Score; 1 is the threshold">${scoreText(score)}</span>
    ${detail && html`<small class="detail" dir="auto">${detail}</small>`}
  </div>`;
}

