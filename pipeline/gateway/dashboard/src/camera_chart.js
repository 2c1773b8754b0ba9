// The score of a camera over minutes, hours or days with its events; the cursor shows the terms.
import { html } from "htm/preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, query as queryText } from "./api.js";
import { ScoreChart, withGaps } from "./chart.js";
import { now } from "./live.js";
import { go } from "./route.js";
import { useLoaded } from "./ui.js";
import { exactTime, plural, whenever } from "./words.js";

const RANGES = { "10 min": 600, "1 h": 3600, "6 h": 21600, "24 h": 86400, "7 d": 604800, "30 d": 2592000 };
const SECONDS_UNTIL = 7200; // longer ranges are requested by minutes
const SETTLE_MS = 150;

export function CameraChart({ camera, at, cursor }) {
  const [range, setRange] = useState("10 min");
  const [middle, setMiddle] = useState(at); // null: up to now
  useEffect(() => setMiddle(at), [at]);
  const seconds = RANGES[range];
  const step = seconds <= SECONDS_UNTIL ? 1 : 60;
  const follow = middle === null;
  const refresh = Math.max(2, seconds / 300);
  const tick = follow ? Math.floor(now.value / 1000 / refresh) : 0;
  const end = follow ? Date.now() / 1000 : middle + seconds / 2;
  const begin = end - seconds;
  const window_ = { begin: Math.floor(begin), end: Math.ceil(end) };
  const { value, problem } = useLoaded(async (abort) => {
    const [course, page] = await Promise.all([
      get(`/cameras/${camera.name}/scores${queryText({ ...window_, minutes: step === 60 ? true : undefined })}`, abort),
      get(`/events${queryText({ camera: camera.name, begin: begin - 3600, end, limit: 1000 })}`, abort),
    ]);
    const bands = page.events
      .map((one) => ({ from: one.started_at, to: one.ended_at ?? end, id: one.id, tone: one.suppressed ? "quiet" : "notified" }))
      .filter((band) => band.to >= begin);
    return { points: withGaps(course.scores, step), bands };
  }, `${camera.name} ${range} ${middle} ${tick}`);
  useCursor(camera.name, cursor, value?.points, step);
  const move = (way) => {
    const next = (middle ?? Date.now() / 1000 - seconds / 2) + (way * seconds) / 2;
    setMiddle(next + seconds / 2 >= Date.now() / 1000 ? null : next);
  };
  const shown = value ?? { points: [], bands: [] };
  return html`<section class="card chart-card">
    <header class="row">
      <h2>Score</h2>
      <span class="muted small">${plural(shown.bands.length, "event")} in ${follow ? "the last" : ""} ${range}${follow ? "" : ` around ${whenever(middle)}`}</span>
      <span class="grow"></span>
      <button class="quiet" aria-label="Earlier" onClick=${() => move(-1)}>‹</button>
      <button class="quiet" aria-label="Later" disabled=${follow} onClick=${() => move(1)}>›</button>
      ${!follow && html`<button onClick=${() => setMiddle(null)}>Now</button>`}
      <div class="switch" role="group" aria-label="Range">
        ${Object.keys(RANGES).map((name) => html`<button aria-pressed=${range === name} onClick=${() => setRange(name)}>${name}</button>`)}
      </div>
    </header>
    ${problem && html`<p class="muted">${problem}</p>`}
    <${ScoreChart} points=${shown.points} bands=${shown.bands} threshold=${camera.settings?.alert?.enter ?? 1} begin=${begin} end=${end}
      onCursor=${(at) => (cursor.value = at === null ? null : { ...cursor.value, at, words: `at ${seconds > 86400 ? whenever(at) : exactTime(at)}` })}
      onPick=${(at, band) => (band ? go(`#/events/${band.id}`) : (setMiddle(at), setRange("10 min")))}
      label=${`Score of ${camera.name} over ${range}; its events are listed under Events`} />
    <p class="small muted">Dashed: the threshold. Shaded: events. Click an event to open it, or another place to zoom in.</p>
  </section>`;
}

// Fetches the terms for the time under the cursor once it stops moving.
function useCursor(camera, cursor, points, step) {
  const timer = useRef(0);
  const at = cursor.value?.at;
  useEffect(() => {
    clearTimeout(timer.current);
    if (at === undefined || at === null) return;
    const near = points?.findLast((point) => point[0] <= at + step);
    cursor.value = { ...cursor.value, score: near?.[1] ?? null, terms: null, loading: true };
    const abort = new AbortController();
    timer.current = setTimeout(async () => {
      const reach = step === 60 ? 30 : 1;
      try {
        const { frames } = await get(`/cameras/${camera}/frames${queryText({ begin: at - reach, end: at + reach })}`, abort.signal);
        if (cursor.value?.at !== at) return;
        const best = frames.filter((one) => one.score !== null).sort((a, b) => b.score - a.score)[0];
        cursor.value = { ...cursor.value, terms: best?.terms ?? null, loading: false };
      } catch {
        if (cursor.value?.at === at) cursor.value = { ...cursor.value, loading: false };
      }
    }, SETTLE_MS);
    return () => abort.abort();
  }, [at]);
}

