// The hours of the week in which notifications are sent, as rows of weekdays and times.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ADMIN_ONLY, ask, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { copy, say, useAction } from "./ui.js";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const NAMES = { mon: "Mo", tue: "Tu", wed: "We", thu: "Th", fri: "Fr", sat: "Sa", sun: "Su" };
const SPAN = /^(?:([a-z][a-z,-]*))?(?: *(\d\d?:\d\d)-(\d\d?:\d\d))?$/;

// "mon-fri 18:00-07:00" → {days: ["mon", …], from: "18:00", to: "07:00"}; whole days: 00:00 to 24:00.
export function readSpan(text) {
  const [, days, from, to] = SPAN.exec(text.trim().toLowerCase()) ?? [];
  const chosen = new Set(days ? [] : DAYS);
  for (const part of days?.split(",") ?? []) {
    const [first, last = first] = part.split("-").map((day) => DAYS.indexOf(day));
    for (let n = 0; n <= (last - first + 7) % 7; n++) chosen.add(DAYS[(first + n) % 7]);
  }
  const two = (time) => time.padStart(5, "0");
  return { days: DAYS.filter((day) => chosen.has(day)), from: two(from ?? "0:00"), to: two(to ?? "24:00") };
}

export function writeSpan({ days, from, to }) {
  const names = days.length === 7 ? "" : days.join(",");
  const hours = from === "00:00" && to === "24:00" ? "" : `${from}-${to}`;
  return [names, hours].filter(Boolean).join(" ") || DAYS.join(",");
}

export function Schedule({ camera }) {
  const saved = camera.settings?.alert?.schedule ?? null;
  const key = JSON.stringify(saved);
  const [zone, setZone] = useState("");
  const [rows, setRows] = useState([]);
  const reset = () => {
    setZone(saved?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
    setRows((saved?.active ?? []).map(readSpan));
  };
  useEffect(reset, [camera.name, key]);
  const schedule = rows.length ? { timezone: zone, active: rows.map(writeSpan) } : null;
  const before = saved && { timezone: saved.timezone, active: saved.active.map((text) => writeSpan(readSpan(text))) };
  const changed = JSON.stringify(schedule) !== JSON.stringify(before);
  const valid = rows.every((row) => row.days.length && row.from && row.to && row.from !== row.to);
  const [save, saving] = useAction(async () => {
    await ask("PATCH", `/cameras/${camera.name}`, { alert: { schedule } });
    await loadCameras();
    say("Saved.");
  });
  const fromFile = camera.origin === "file";
  const off = !isAdmin();
  const change = (n, part) => setRows(rows.map((row, other) => (other === n ? { ...row, ...part } : row)));
  const lines = schedule ? `    alert:\n      schedule:\n        timezone: ${schedule.timezone}\n        active: [${schedule.active.map((text) => `"${text}"`).join(", ")}]` : "    alert: {schedule: null}";
  return html`<div class="schedule">
    <p class="small muted">Hours in which notifications are sent. Outside of them events are stored without a notification.</p>
    ${!rows.length && html`<p>Always.</p>`}
    <ul>${rows.map((row, n) => html`<li key=${n}>
      <span class="days" role="group" aria-label="Weekdays">${DAYS.map((day) => html`<label title=${day}><input type="checkbox" disabled=${off} checked=${row.days.includes(day)} onChange=${() => change(n, { days: DAYS.filter((one) => (one === day) !== row.days.includes(one)) })} />${NAMES[day]}</label>`)}</span>
      <span class="row"><label class="inline">from<input type="time" required disabled=${off} value=${row.from} onChange=${(event) => change(n, { from: event.target.value })} /></label>
        <label class="inline">to<input type="time" required disabled=${off} value=${row.to === "24:00" ? "00:00" : row.to} onChange=${(event) => change(n, { to: event.target.value === "00:00" ? "24:00" : event.target.value })} /></label>
        ${row.to < row.from && html`<small class="muted">next day</small>`}
        ${!off && html`<button class="quiet" aria-label="Remove these hours" onClick=${() => setRows(rows.filter((_, other) => other !== n))}>Remove</button>`}</span>
    </li>`)}</ul>
    ${off && html`<p class="muted">${ADMIN_ONLY}</p>`}
    ${!off && html`<p class="row"><button onClick=${() => setRows([...rows, { days: DAYS.slice(0, 5), from: "18:00", to: "07:00" }])}>Add hours</button></p>`}
    ${rows.length > 0 && html`<label>Time zone<input type="text" disabled=${off} value=${zone} onInput=${(event) => setZone(event.target.value.trim())} /></label>`}
    ${!valid && html`<p class="small warn-text">Each row needs a weekday and two different times.</p>`}
    ${!off && changed && !fromFile && html`<p class="row"><button class="primary" disabled=${saving || !valid} onClick=${save}>Save</button><button onClick=${reset}>Discard</button></p>`}
    ${!off && changed && fromFile && valid && html`<p>This camera is defined in the configuration file. Copy these lines into it, then reload it.</p><pre>${lines}</pre><p class="row"><button onClick=${() => copy(lines)}>Copy</button></p>`}
  </div>`;
}
