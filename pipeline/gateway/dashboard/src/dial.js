// The dial: the target rate of false alarms, and the events that it would have raised in a day.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ADMIN_ONLY, ask, get, isAdmin, query as queryText } from "./api.js";
import { loadCameras } from "./live.js";
import { Problem, say, useAction, useLoaded } from "./ui.js";
import { clockLength, exactTime, plural, rateText, span, whenever } from "./words.js";

const SHOWN = 6;

export function Dial({ camera }) {
  const { enter = 1, target_false_alarms_per_day: target } = camera.settings?.alert ?? {};
  const { value, problem, loading, reload } = useLoaded(async (abort) => {
    const alarms = await get(`/cameras/${camera.name}/alarms`, abort);
    const page = await get(`/events${queryText({ camera: camera.name, begin: Date.now() / 1000 - 86400, limit: 500 })}`, abort);
    return { ...alarms, events: page.events };
  }, `${camera.name} ${enter} ${target}`, 300);
  const [chosen, choose] = useState(null);
  useEffect(() => choose(null), [camera.name, target]);
  const [save, saving] = useAction(async (rate) => {
    await ask("PUT", `/cameras/${camera.name}/sensitivity`, { false_alarms_per_day: rate });
    await loadCameras();
    say(`Target: ${rateText(rate)}.`);
  });
  if (problem) return html`<${Problem} text=${problem} again=${reload} />`;
  if (!value) return html`<p class="muted">${loading ? "Loading …" : ""}</p>`;
  if (!value.calibrated) {
    return html`<div><p>Target: <b>${rateText(value.false_alarms_per_day)}</b>.</p><p class="muted">The scene is not calibrated yet. Then the target can be changed here, with a preview of the events.</p><p><button onClick=${reload}>Try again</button></p></div>`;
  }
  const { levels } = value;
  const current = levels.findIndex((level) => level.false_alarms_per_day === value.false_alarms_per_day);
  const place = chosen ?? current;
  const level = levels[place];
  const text = rateText(level.false_alarms_per_day);
  const real = level.alarms.filter((alarm) => value.events.some((event) => event.label === "anomaly" && overlaps(event, alarm))).length;
  const period = value.watched_seconds > 82800 ? "last day" : `last ${span(value.watched_seconds)} watched`;
  return html`<div class="dial">
    <p class="big"><span>${text}</span> <small>target of false alarms</small></p>
    <label class="dial-label"><span>Fewer alarms</span><span>More alarms</span>
      <input type="range" min="0" max=${levels.length - 1} step="1" value=${place} onInput=${(event) => choose(Number(event.target.value))} aria-label="False alarms a day" aria-valuetext=${`${text}; ${plural(level.count, "event")} in the ${period}`} /></label>
    <p class="small muted">Events ${place === current ? "begin" : "would begin"} at a score of ${level.threshold.toFixed(2)} ${place === current ? "(current setting)" : "on the present scale"}.${value.zones ? " Counted over the whole picture; with zones there are fewer events." : ""}</p>
    ${place !== current && html`<p class="row"><button class="primary" disabled=${saving || !isAdmin()} title=${isAdmin() ? undefined : ADMIN_ONLY} onClick=${() => save(level.false_alarms_per_day)}>Use this</button><button onClick=${() => choose(null)}>Cancel</button></p>`}
    <h3>In the ${period} it would have raised ${level.count ? plural(level.count, "event") : "no events"}${real ? `, ${real} of them labelled as real` : ""}</h3>
    <ul class="alarms">${level.alarms.slice(-SHOWN).reverse().map((alarm) => html`<${AlarmRow} key=${alarm.begins_at} alarm=${alarm} events=${value.events} camera=${camera.name} />`)}</ul>
    ${level.count > SHOWN && html`<p class="small muted">and ${level.count - SHOWN} earlier ones</p>`}
  </div>`;
}

const overlaps = (event, alarm) => event.started_at <= alarm.ends_at + 2 && (event.ended_at ?? 1e11) >= alarm.begins_at - 2;

function AlarmRow({ alarm, events, camera }) {
  const event = events.find((one) => overlaps(one, alarm));
  const text = html`<span>${whenever(alarm.begins_at)}:${exactTime(alarm.begins_at).slice(-2)}</span><span class="muted">${clockLength(alarm.ends_at - alarm.begins_at)}</span><b>${alarm.peak.toFixed(2)}</b>`;
  if (!event) return html`<li><a href=${`#/cameras/${camera}?at=${Math.round(alarm.begins_at)}`}><span class="no-picture">new</span>${text}</a></li>`;
  return html`<li><a href=${`#/events/${event.id}`}>${event.heatmap ? html`<img src=${event.heatmap.slice(1)} alt="" loading="lazy" />` : html`<span class="no-picture"></span>`}${text}</a></li>`;
}
