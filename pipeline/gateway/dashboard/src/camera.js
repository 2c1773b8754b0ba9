// One camera: live picture, score over time with its terms, and settings.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { useSignal } from "@preact/signals";
import { ADMIN_ONLY, ask, isAdmin, query as queryText } from "./api.js";
import { cameraNamed, cameras, camerasProblem, live, loadCameras, now } from "./live.js";
import { HeatSlider, LivePicture } from "./picture.js";
import { go, replace } from "./route.js";
import { Chip, Dialog, Problem, say, Terms, useAction } from "./ui.js";
import { because, clockLength, scoreText, span, TERMS } from "./words.js";
import { AreaList, AreaOverlay, useAreas } from "./areas.js";
import { CameraChart } from "./camera_chart.js";
import { Dial } from "./dial.js";
import { AdaptDialog, Scenes } from "./scenes.js";
import { Schedule } from "./schedule.js";
import { Settings } from "./settings.js";
import { describeLive } from "./wall.js";

const TABS = { dial: "Sensitivity", areas: "Areas", scenes: "Scenes", schedule: "Schedule", settings: "Settings" };

export function CameraPage({ name, query }) {
  useEffect(() => {
    document.title = `${name} · Vedette`;
  }, [name]);
  const camera = cameraNamed(name);
  if (cameras.value === null) return html`<main class="page"><${Problem} text=${camerasProblem.value} again=${loadCameras} /><p class="muted loading">Loading the camera …</p></main>`;
  if (!camera) {
    return html`<main class="page"><h1>${name}</h1><p>There is no such camera. If it was removed, its <a href=${`#/events${queryText({ camera: name })}`}>events</a> are still stored.</p></main>`;
  }
  return html`<${Shown} camera=${camera} query=${query} />`;
}

function Shown({ camera, query }) {
  const { name } = camera;
  const one = live(name);
  const about = describeLive(camera);
  const tab = query.tab in TABS ? query.tab : "dial";
  const cursor = useSignal(null);
  const areas = useAreas(camera);
  const threshold = camera.settings?.alert?.enter ?? 1;
  const setTab = (next) => replace(`#/cameras/${name}${queryText({ ...query, tab: next })}`);
  return html`<main class="page wide camera-page">
    <header class="bar">
      <a class="back" href="#/">‹ Wall</a>
      <h1>${name}</h1>
      <${Chip} tone=${about.tone}>${about.words}<//>
      ${about.detail && html`<span class="muted" dir="auto">${about.detail}</span>`}
      <span class="grow"></span>
      <${HeatSlider} />
      <${Actions} camera=${camera} />
    </header>
    <div class="columns">
      <div class="main-column">
        <${LivePicture} camera=${name} detail="full" label=${`Live picture of ${name}, large`}>
          <${AreaOverlay} areas=${areas} editing=${tab === "areas" && isAdmin()} />
        <//>
        <${CameraChart} camera=${camera} at=${Number(query.at) || null} cursor=${cursor} />
      </div>
      <aside class="side">
        <${Now} one=${one} camera=${camera} threshold=${threshold} cursor=${cursor} />
        <section class="card tabs-card">
          <div class="tabs" role="tablist" aria-label="Settings of the camera">
            ${Object.entries(TABS).map(([key, text]) => html`<button role="tab" id=${`tab-${key}`} aria-selected=${tab === key} aria-controls="tab-panel" onClick=${() => setTab(key)}>${text}</button>`)}
          </div>
          <div role="tabpanel" id="tab-panel" aria-labelledby=${`tab-${tab}`}>
            ${tab === "dial" && html`<${Dial} camera=${camera} />`}
            ${tab === "areas" && html`<${AreaList} areas=${areas} camera=${camera} />`}
            ${tab === "scenes" && html`<${Scenes} camera=${camera} />`}
            ${tab === "schedule" && html`<${Schedule} camera=${camera} />`}
            ${tab === "settings" && html`<${Settings} camera=${camera} />`}
          </div>
        </section>
      </aside>
    </div>
  </main>`;
}

// The score now or at the cursor of the chart, and why.
function Now({ one, camera, threshold, cursor }) {
  const at = cursor.value;
  const score = at?.score !== undefined ? at.score : one.score.value?.score;
  const terms = at ? at.terms : one.score.value?.terms;
  const learning = one.score.value?.learning ?? camera.learning;
  const when = at ? at.words : "now";
  const word = score == null ? "no score" : score >= threshold ? "over the threshold" : score >= 0.7 * threshold ? "near the threshold" : "normal";
  return html`<section class="card now" aria-live="off">
    <h2>Score ${when}</h2>
    <p class="big"><span class=${score >= threshold ? "over" : ""}>${scoreText(score)}</span> <small>${word}; events begin at ${threshold.toFixed(2)}</small></p>
    <h3>Why${because(terms) && score >= 0.5 ? `: ${because(terms).toLowerCase()}` : ""}</h3>
    <${Terms} terms=${terms} names=${TERMS} empty=${at?.loading ? "Loading …" : at ? "Not stored for that time." : "Available with the first score."} />
    ${learning && html`<${Learning} learning=${learning} />`}
    <${Flow} one=${one} />
  </section>`;
}

function Learning({ learning }) {
  if (!learning.trusted) {
    return html`<p class="small">Calibrating${learning.trusted_in_seconds ? `, ${clockLength(learning.trusted_in_seconds)} left` : ""}. Until then events are stored, but no notifications are sent.</p>`;
  }
  if (learning.enough) return html`<p class="small muted">The threshold was estimated from ${span(learning.normal_seconds)} of normal time.</p>`;
  return html`<p class="small muted">The threshold was estimated from ${span(learning.normal_seconds)} of normal time; it is extrapolated until ${span(learning.wanted_seconds)} have been observed.</p>`;
}

function Flow({ one }) {
  const score = one.score.value;
  now.value;
  if (!score) return null;
  return html`<p class="small muted">${Math.round(1000 * Math.max(0, score.scored_at - score.captured_at))} ms from frame to score. ${score.dropped ? `${score.dropped} frames dropped in this connection.` : "No frame dropped in this connection."}</p>`;
}

function Actions({ camera }) {
  const { name } = camera;
  const [asking, setAsking] = useState(null);
  const [run, busy] = useAction(async (method, path, words) => {
    await ask(method, path);
    say(words);
    await loadCameras();
  });
  const off = busy || !isAdmin();
  const title = isAdmin() ? undefined : ADMIN_ONLY;
  const close = () => setAsking(null);
  return html`<button disabled=${off} title=${title} onClick=${() => setAsking("adapt")}>Adapt again</button>
    <button disabled=${off} title=${title} onClick=${() => run("POST", `/cameras/${name}/${camera.enabled ? "disable" : "enable"}`, camera.enabled ? "Disabled" : "Enabled")}>${camera.enabled ? "Disable" : "Enable"}</button>
    ${camera.origin === "attached" && html`<button class="danger" disabled=${off} title=${title} onClick=${() => setAsking("remove")}>Remove</button>`}
    ${asking === "adapt" && html`<${AdaptDialog} camera=${camera} close=${close} />`}
    ${asking === "remove" && html`<${Dialog} title=${`Remove ${name}?`} close=${close}>
      <p>It is no longer watched. Its events and scenes stay stored.</p>
      <p class="row"><button class="danger" onClick=${async () => { close(); await run("DELETE", `/cameras/${name}`, `${name} was removed`); go("#/"); }}>Remove</button><button onClick=${close}>Cancel</button></p>
    <//>`}`;
}
