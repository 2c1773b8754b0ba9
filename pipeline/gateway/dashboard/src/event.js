// One event: clip, picture, score, terms, and its annotations.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ADMIN_ONLY, get, isAdmin, query as queryText } from "./api.js";
import { ScoreChart } from "./chart.js";
import { change, neighbours } from "./event_store.js";
import { cameraNamed } from "./live.js";
import { go } from "./route.js";
import { Chip, copy, Problem, say, Terms, useAction, useLoaded } from "./ui.js";
import { because, exactTime, fullTime, LABELS, notice, span, TERMS } from "./words.js";

const AROUND_SECONDS = 8;

export function EventPage({ id }) {
  const { value, problem, reload } = useLoaded((abort) => get(`/events/${id}`, abort), id, 10);
  const [event, setEvent] = useState(null);
  const [beside, setBeside] = useState({});
  const [marker, setMarker] = useState(null);
  const record = useLoaded((abort) => get("/system", abort), "record").value?.storage.record;
  const video = useRef(null);
  useEffect(() => {
    document.title = "Event · Vedette";
  }, []);
  useEffect(() => value && setEvent(value), [value]);
  useEffect(() => {
    if (value) neighbours(value).then(setBeside, () => setBeside({}));
  }, [value?.id]);
  const [save, saving] = useAction(async (patch, words) => {
    setEvent(await change(id, patch));
    say(words);
  });

  const keys = (pressed) => {
    if (pressed.target.closest("input, textarea, select, video") || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
    const to = { ArrowLeft: beside.newer, k: beside.newer, ArrowRight: beside.older, j: beside.older }[pressed.key];
    if (to) go(`#/events/${to}`);
    else if (pressed.key === "a" && isAdmin() && event) save({ acknowledged: !event.acknowledged_at }, event.acknowledged_at ? "No longer acknowledged" : "Acknowledged");
    else if (pressed.key === "Escape") go("#/events");
    else return;
    pressed.preventDefault();
  };
  useEffect(() => {
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });

  if (!event) return html`<main class="page"><${Problem} text=${problem} again=${reload} />${!problem && html`<p class="muted loading">Loading …</p>`}</main>`;
  const active = event.ended_at === null;
  return html`<main class="page wide event-page">
    <header class="bar">
      <a class="back" href="#/events">‹ Events</a>
      <h1><a href=${`#/cameras/${event.camera}`}>${event.camera}</a> <small>${fullTime(event.started_at)}</small></h1>
      <${Chip} tone=${event.suppressed ? "off" : active ? "alarm" : "notified"}>${active ? "Active" : event.suppressed ? notice(event) : "Notification sent"}<//>
      <span class="grow"></span>
      <nav class="pair" aria-label="Other events">
        <button disabled=${!beside.newer} onClick=${() => go(`#/events/${beside.newer}`)} title="Also by ← or k">‹ Newer</button>
        <button disabled=${!beside.older} onClick=${() => go(`#/events/${beside.older}`)} title="Also by → or j">Older ›</button>
      </nav>
    </header>
    <div class="columns">
      <div class="main-column">
        <${Media} event=${event} video=${video} onTime=${(shown) => setMarker(clipBegin(shown, event, record) + shown.currentTime)} />
        <${Curve} event=${event} around=${AROUND_SECONDS} marker=${marker} onPick=${(at) => video.current && (video.current.currentTime = Math.max(0, at - clipBegin(video.current, event, record)))} />
      </div>
      <aside class="side">
        <section class="card">
          <h2>Why${because(event.terms) && html`: ${because(event.terms).toLowerCase()}`}</h2>
          <${Terms} terms=${event.terms} names=${TERMS} empty="Not known for this event." />
          <dl class="facts-list">
            <div><dt>Highest score</dt><dd>${event.peak_score.toFixed(2)} at ${exactTime(event.peak_at)}</dd></div>
            <div><dt>Duration</dt><dd>${active ? "still active" : span(event.duration_seconds)}</dd></div>
            ${event.zones.length > 0 && html`<div><dt>Zones</dt><dd dir="auto">${event.zones.join(", ")}</dd></div>`}
            <div><dt>Notification</dt><dd>${notice(event)}</dd></div>
          </dl>
        </section>
        <${Annotations} event=${event} save=${save} saving=${saving} />
        <section class="card">
          <h2>Files and link</h2>
          <p class="row">
            ${["clip", "snapshot", "heatmap"].filter((kind) => event[kind]).map((kind) => html`<a class="button" href=${event[kind].slice(1)} download=${`${event.id}.${kind === "clip" ? "mp4" : `${kind}.jpg`}`}>Download ${kind}</a>`)}
            <button onClick=${() => copy(location.href, "Link copied")}>Copy link</button>
            <a class="button" href=${`#/cameras/${event.camera}${queryText({ at: Math.round(event.started_at) })}`}>Show in the chart of the camera</a>
          </p>
        </section>
      </aside>
    </div>
  </main>`;
}

// When a clip begins: its end is known, and it begins at a key frame before the event.
function clipBegin(video, event, record) {
  const ended = event.ended_at ?? event.started_at + event.duration_seconds;
  const end = Math.min(ended, event.started_at + (record?.longest ?? 60)) + (record?.post_capture ?? 5);
  return Math.min(event.started_at, Number.isFinite(video.duration) ? end - video.duration : event.started_at);
}

function Media({ event, video, onTime }) {
  const choices = [event.clip && "clip", (event.snapshot || event.heatmap) && "picture"].filter(Boolean);
  const [chosen, choose] = useState(null);
  const [mix, setMix] = useState(1);
  const [broken, setBroken] = useState(false);
  const now = chosen ?? choices[0];
  return html`<section class="media">
    ${choices.length > 1 && html`<div class="switch" role="group" aria-label="Shown">
      ${choices.map((one) => html`<button aria-pressed=${now === one} onClick=${() => choose(one)}>${one === "clip" ? "Clip" : "Highest score"}</button>`)}
    </div>`}
    ${now === "clip" && !broken && html`<video ref=${video} src=${event.clip.slice(1)} controls playsinline muted autoplay preload="metadata" poster=${event.snapshot?.slice(1)} onError=${() => setBroken(true)}
        onTimeUpdate=${(shown) => onTime(shown.target)}></video>`}
    ${now === "clip" && broken && html`<div class="veil-box"><p>This browser cannot play the clip: it is stored as the camera sent it, for example as H.265. Download it and use another player.</p><a class="button primary" href=${event.clip.slice(1)} download>Download the clip</a></div>`}
    ${now === "picture" && html`<div class="mix">
        ${event.snapshot && html`<img src=${event.snapshot.slice(1)} alt="The frame with the highest score" />`}
        ${event.heatmap && html`<img class=${event.snapshot ? "over" : ""} style=${{ opacity: event.snapshot ? mix : 1 }} src=${event.heatmap.slice(1)} alt="The same frame with the anomaly map" />`}
      </div>
      ${event.snapshot && event.heatmap && html`<label class="slider"><span>Heatmap</span><input type="range" min="0" max="1" step="0.05" value=${mix} onInput=${(input) => setMix(Number(input.target.value))} /></label>`}`}
    ${!now && html`<div class="veil-box"><p>${event.ended_at === null ? "Pictures are stored when the event has ended." : "No pictures of this event are stored."}</p></div>`}
  </section>`;
}

function Curve({ event, around, marker, onPick }) {
  const begin = event.started_at - around;
  const end = (event.ended_at ?? Math.min(Date.now() / 1000, event.started_at + 600)) + around;
  const { value, problem } = useLoaded(async (abort) => {
    const { frames } = await get(`/cameras/${event.camera}/frames${queryText({ begin, end: Math.min(end, begin + 3600) })}`, abort);
    if (frames.length) return frames.map((one) => [one.captured_at, one.score]);
    const { scores } = await get(`/cameras/${event.camera}/scores${queryText({ begin: Math.floor(begin), end: Math.ceil(end) })}`, abort);
    return scores.map((one) => [one.begins_at, one.highest]);
  }, `${event.id} ${event.ended_at}`);
  const bands = [{ from: event.started_at, to: event.ended_at ?? end, tone: event.suppressed ? "quiet" : "notified" }];
  return html`<section class="card">
    <h2>Score</h2>
    ${problem ? html`<p class="muted">${problem}</p>` : value && !value.length ? html`<p class="muted">The scores of that time are no longer stored.</p>` : html`<${ScoreChart} points=${value ?? []} bands=${bands} threshold=${cameraNamed(event.camera)?.settings?.alert?.enter ?? 1} begin=${begin} end=${end} height=${160} marker=${marker} onPick=${onPick} label="Score during the event" />`}
  </section>`;
}

const NORMAL = {
  undefined: "What it shows is accepted as normal in this scene from the next frame on: the same again raises no event. Any other label revokes this exactly.",
  normal: "The scene accepts what it shows as normal.",
};

function Annotations({ event, save, saving }) {
  const [note, setNote] = useState(event.note ?? "");
  useEffect(() => setNote(event.note ?? ""), [event.id]);
  const admin = isAdmin();
  const title = admin ? undefined : ADMIN_ONLY;
  const off = !admin || saving;
  const label = (to) => save({ label: event.label === to ? null : to }, event.label === to ? "Label removed" : to === "normal" ? "Accepted as normal" : "Labelled as a real anomaly");
  return html`<section class="card">
    <h2>Annotations</h2>
    <p class="row">
      <button aria-pressed=${Boolean(event.acknowledged_at)} disabled=${off} title=${title} onClick=${() => save({ acknowledged: !event.acknowledged_at }, event.acknowledged_at ? "No longer acknowledged" : "Acknowledged")}>${event.acknowledged_at ? "Acknowledged ✓" : "Acknowledge"}</button>
      <button aria-pressed=${event.label === "normal"} disabled=${off} title=${title} onClick=${() => label("normal")}>This is normal</button>
      <button aria-pressed=${event.label === "anomaly"} disabled=${off} title=${title} onClick=${() => label("anomaly")}>Real anomaly</button>
    </p>
    <p class="muted small">${event.label === "normal" ? (event.accepted_as_normal ? NORMAL.normal : "Labelled normal, but no samples of it are stored that the scene could accept.") : NORMAL.undefined}</p>
    <label>Note<textarea rows="2" maxlength="2000" dir="auto" disabled=${!admin} value=${note} onInput=${(input) => setNote(input.target.value)}></textarea></label>
    ${note !== (event.note ?? "") && html`<p class="row"><button class="primary" disabled=${off} onClick=${() => save({ note: note || null }, "Note saved")}>Save the note</button></p>`}
    ${event.label && html`<p class="small">Labelled: <b>${LABELS[event.label]}</b></p>`}
  </section>`;
}
