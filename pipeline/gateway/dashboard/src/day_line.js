// Time-line of one day with its events; a click opens one.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { get, query as queryText } from "./api.js";
import { parameters } from "./event_store.js";
import { go } from "./route.js";
import { useLoaded } from "./ui.js";
import { dayOf, exactTime, plural } from "./words.js";

const DAY = 86400;

function midnight(daysBack) {
  const at = new Date();
  at.setHours(0, 0, 0, 0);
  at.setDate(at.getDate() - daysBack);
  return at.getTime() / 1000;
}

export function DayLine({ query }) {
  const [back, setBack] = useState(0);
  const begin = midnight(back);
  const end = midnight(back - 1);
  const filter = { ...parameters(query), begin, end };
  const { value } = useLoaded((abort) => get(`/events${queryText({ ...filter, limit: 1000 })}`, abort), JSON.stringify(filter), 30);
  const events = value?.events ?? [];
  const now = Date.now() / 1000;
  return html`<section class="day-line" aria-label="Time-line of a day">
    <button class="quiet" aria-label="Previous day" onClick=${() => setBack(back + 1)}>‹</button>
    <b>${dayOf(begin)}</b>
    <button class="quiet" aria-label="Next day" disabled=${back === 0} onClick=${() => setBack(back - 1)}>›</button>
    <span class="muted">${plural(events.length, "event")}${value?.next_cursor ? " and more" : ""}</span>
    <div class="line-box">
      <svg viewBox="0 0 1440 40" preserveAspectRatio="none" aria-hidden="true">
        ${now < end && html`<rect class="future" x=${(1440 * (now - begin)) / DAY} y="0" width=${1440} height="40" />`}
        ${events.map((event) => html`<rect key=${event.id} class=${event.suppressed ? "mark quiet" : "mark"} x=${(1440 * (event.started_at - begin)) / (end - begin)} width=${Math.max(3, (1440 * event.duration_seconds) / DAY)} y=${40 - 40 * Math.min(1, event.peak_score / 3)} height="40" onClick=${() => go(`#/events/${event.id}`)}><title>${`${event.camera} ${exactTime(event.started_at)}`}</title></rect>`)}
      </svg>
      <div class="hours" aria-hidden="true">${[0, 3, 6, 9, 12, 15, 18, 21].map((hour) => html`<span>${String(hour).padStart(2, "0")}</span>`)}</div>
    </div>
  </section>`;
}
