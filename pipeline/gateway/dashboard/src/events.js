// All events as a list or a grid, with filters; older ones load while scrolling.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { query as queryText } from "./api.js";
import { fresh, list, loadFirst, loadMore } from "./event_store.js";
import { cameras, onEvents } from "./live.js";
import { replace } from "./route.js";
import { DayLine } from "./day_line.js";
import { Empty, Problem } from "./ui.js";
import { because, clockLength, dateKey, dayOf, exactTime, LABELS, notice, plural } from "./words.js";

const KEY = "vedette-events-view";
const view = signal(localStorage.getItem(KEY) === "list" ? "list" : "grid");
view.subscribe((value) => localStorage.setItem(KEY, value));

export function Events({ query }) {
  const end = useRef(null);
  const key = JSON.stringify(query);
  useEffect(() => {
    document.title = "Events · Vedette";
    loadFirst(query);
  }, [key]);
  useEffect(() => {
    const off = onEvents((updates) => {
      const begun = updates.filter((one) => one.change === "new" || one.change === "suppressed").length;
      if (begun && scrollY < 200) loadFirst(query);
      else fresh.value += begun;
    });
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && loadMore(query), { rootMargin: "800px" });
    observer.observe(end.current);
    return () => {
      off();
      observer.disconnect();
    };
  }, [key]);
  const { events, loading, problem, ended } = list.value;
  useEffect(() => {
    // A page that does not fill the screen cannot be scrolled.
    if (!loading && !ended && !problem && end.current.getBoundingClientRect().top < innerHeight + 800) loadMore(query);
  }, [events.length, loading]);

  return html`<main class="page wide">
    <header class="bar">
      <h1>Events</h1>
      <span class="grow"></span>
      <div class="switch" role="group" aria-label="View">
        ${["grid", "list"].map((name) => html`<button aria-pressed=${view.value === name} onClick=${() => (view.value = name)}>${name === "grid" ? "Grid" : "List"}</button>`)}
      </div>
    </header>
    <${Filters} query=${query} />
    <${DayLine} query=${query} />
    ${fresh.value > 0 && html`<button class="fresh" onClick=${() => { scrollTo(0, 0); loadFirst(query); }}>${plural(fresh.value, "new event")}, show</button>`}
    <${Problem} text=${problem} again=${() => loadFirst(query)} />
    ${!events.length && !loading && !problem && html`<${Empty} title="No events"><p>${Object.keys(query).length ? "No event matches these filters." : "No anomalies so far."}</p><//>`}
    ${days(events).map(([day, some]) => html`<section key=${day} aria-label=${day}>
      <h2 class="day">${day}</h2>
      <ul class=${view.value}>${some.map((event) => html`<${Card} key=${event.id} event=${event} />`)}</ul>
    </section>`)}
    <p ref=${end} class="muted end">${loading ? "Loading …" : ended && events.length ? "No older events." : ""}</p>
  </main>`;
}

function days(events) {
  const found = new Map();
  for (const event of events) {
    const key = dateKey(event.started_at);
    if (!found.has(key)) found.set(key, [dayOf(event.started_at), []]);
    found.get(key)[1].push(event);
  }
  return [...found.values()];
}

function Card({ event }) {
  const active = event.ended_at === null;
  const why = because(event.terms);
  const tone = active && !event.suppressed ? "alarm" : event.suppressed ? "quiet" : "notified";
  return html`<li class="event ${tone} ${event.acknowledged_at ? "acknowledged" : ""}">
    <a href=${`#/events/${event.id}`}>
      <span class="thumb">${event.heatmap || event.snapshot ? html`<img src=${(event.heatmap ?? event.snapshot).slice(1)} alt="" loading="lazy" decoding="async" />` : html`<span class="no-picture">no picture</span>`}
        ${event.clip && html`<span class="badge">▶ ${clockLength(event.duration_seconds)}</span>`}
      </span>
      <span class="facts">
        <span class="line"><b>${event.camera}</b><time datetime=${new Date(event.started_at * 1000).toISOString()}>${exactTime(event.started_at)}</time></span>
        <span class="line muted">${[event.zones.join(", "), why, active ? "active" : `${event.duration_seconds.toFixed(1)} s`].filter(Boolean).join(" · ")}</span>
        <span class="line tags">
          <span class="peak ${event.peak_score >= 1 ? "over" : ""}">${event.peak_score.toFixed(2)}</span>
          ${event.suppressed && html`<span class="tag">${notice(event)}</span>`}
          ${event.label && html`<span class="tag ${event.label}">${LABELS[event.label]}</span>`}
          ${event.acknowledged_at && html`<span class="tag">acknowledged</span>`}
        </span>
      </span>
    </a>
  </li>`;
}

const CHOICES = {
  notified: ["Any notification", { yes: "Sent", no: "Not sent" }],
  label: ["Any label", { none: "No label", normal: "Normal", anomaly: "Real anomaly" }],
  acknowledged: ["Acknowledged or not", { no: "Not acknowledged", yes: "Acknowledged" }],
};

function Filters({ query }) {
  const set = (name, value) => {
    const next = { ...query, [name]: value };
    if (name === "camera") delete next.zone;
    replace(`#/events${queryText(next)}`);
  };
  const zones = Object.keys(cameras.value?.find((one) => one.name === query.camera)?.settings?.zones ?? {});
  const select = (name, any, choices) => html`<select aria-label=${any} value=${query[name] ?? ""} onChange=${(event) => set(name, event.target.value || undefined)}>
    <option value="">${any}</option>
    ${Object.entries(choices).map(([value, text]) => html`<option value=${value}>${text}</option>`)}
  </select>`;
  const names = Object.fromEntries((cameras.value ?? []).map((one) => [one.name, one.name]));
  if (query.camera && !names[query.camera]) names[query.camera] = query.camera;
  return html`<form class="filters" onSubmit=${(event) => event.preventDefault()} aria-label="Filters">
    ${select("camera", "All cameras", names)}
    ${zones.length > 0 && select("zone", "All zones", Object.fromEntries(zones.map((zone) => [zone, zone])))}
    ${Object.entries(CHOICES).map(([name, [any, choices]]) => select(name, any, choices))}
    <label class="inline">From<input type="datetime-local" value=${query.from ?? ""} onChange=${(event) => set("from", event.target.value)} /></label>
    <label class="inline">To<input type="datetime-local" value=${query.to ?? ""} onChange=${(event) => set("to", event.target.value)} /></label>
    ${Object.values(query).some(Boolean) && html`<button class="quiet" type="button" onClick=${() => replace("#/events")}>Clear</button>`}
  </form>`;
}
