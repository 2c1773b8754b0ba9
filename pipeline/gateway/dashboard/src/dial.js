// The dial: how many alarms a day a camera may raise, and what that would have meant yesterday.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ADMIN_ONLY, ask, get, isAdmin, query as queryText } from "./api.js";
import { loadCameras } from "./live.js";
import { Problem, say, useAction, useLoaded } from "./ui.js";
import { clockLength, exactTime, plural, span, whenever } from "./words.js";

const SHOWN = 6;

export function Dial({ camera }) {
  const enter = camera.settings?.alert?.enter ?? 1;
  const { value, problem, loading, reload } = useLoaded(async (abort) => {
    const alarms = await get(`/cameras/${camera.name}/alarms`, abort);
    const page = await get(`/events${queryText({ camera: camera.name, begin: Date.now() / 1000 - 86400, limit: 500 })}`, abort);
    return { ...alarms, events: page.events };
  }, `${camera.name} ${enter}`, 300);
  const [chosen, choose] = useState(null);
  useEffect(() => choose(null), [camera.name, enter]);
  const [save, saving] = useAction(async (threshold) => {
    await ask("PUT", `/cameras/${camera.name}/threshold`, { threshold });
    await loadCameras();
    say(`Events begin at ${threshold.toFixed(2)} from now on.`);
  });
  if (problem) return html`<${Problem} text=${problem} again=${reload} />`;
  if (!value) return html`<p class="muted">${loading ? "Counting …" : ""}</p>`;
  const levels = [...value.levels].reverse(); // the strictest first: to the right there are more alarms
  const current = levels.findIndex((level) => level.threshold === value.threshold);
  const place = chosen ?? current;
  const level = levels[place];
  const real = (alarm) => value.events.find((event) => event.label === "anomaly" && overlaps(event, alarm));
  const reals = level.alarms.filter(real).length;
  return html`<div class="dial">
    <p class="big"><span>${level.count}</span> <small>${level.count === 1 ? "alarm" : "alarms"} in the ${value.watched_seconds > 82800 ? "last day" : `last ${span(value.watched_seconds)} watched`}${reals ? `, of which ${reals} real` : ""}</small></p>
    <label class="dial-label"><span>Fewer alarms</span><span>More alarms</span>
      <input type="range" min="0" max=${levels.length - 1} step="1" value=${place} onInput=${(event) => choose(Number(event.target.value))} aria-label="False alarms a day" aria-valuetext=${`${plural(level.count, "alarm")}, threshold ${level.threshold}`} /></label>
    <p class="small muted">${perDay(level)} Events begin at a score of ${level.threshold.toFixed(2)}${place === current ? ", as now" : `; now at ${value.threshold.toFixed(2)}`}.${value.zones ? " Counted over the whole picture; with its zones there are fewer." : ""}</p>
    ${place !== current && html`<p class="row"><button class="primary" disabled=${saving || !isAdmin()} title=${isAdmin() ? undefined : ADMIN_ONLY} onClick=${() => save(level.threshold)}>Use this</button><button onClick=${() => choose(null)}>As now</button></p>`}
    <h3>${level.count ? "It would have raised" : "It would have raised nothing"}</h3>
    <ul class="alarms">${level.alarms.slice(-SHOWN).reverse().map((alarm) => html`<${AlarmRow} key=${alarm.begins_at} alarm=${alarm} events=${value.events} camera=${camera.name} />`)}</ul>
    ${level.count > SHOWN && html`<p class="small muted">and ${level.count - SHOWN} earlier ones</p>`}
  </div>`;
}

const overlaps = (event, alarm) => event.started_at <= alarm.ends_at + 2 && (event.ended_at ?? 1e11) >= alarm.begins_at - 2;

function perDay(level) {
  if (level.per_day === null) return "Too little was watched to say how many that is a day.";
  if (level.per_day === 0) return "None a day at that rate.";
  return `About ${level.per_day < 10 ? level.per_day.toFixed(1) : Math.round(level.per_day)} a day at that rate.`;
}

function AlarmRow({ alarm, events, camera }) {
  const event = events.find((one) => overlaps(one, alarm));
  const text = html`<span>${whenever(alarm.begins_at)}:${exactTime(alarm.begins_at).slice(-2)}</span><span class="muted">${clockLength(alarm.ends_at - alarm.begins_at)}</span><b>${alarm.peak.toFixed(2)}</b>`;
  if (!event) return html`<li><a href=${`#/cameras/${camera}?at=${Math.round(alarm.begins_at)}`}><span class="no-picture">new</span>${text}</a></li>`;
  return html`<li><a href=${`#/events/${event.id}`}>${event.heatmap ? html`<img src=${event.heatmap.slice(1)} alt="" loading="lazy" />` : html`<span class="no-picture"></span>`}${text}</a></li>`;
}
