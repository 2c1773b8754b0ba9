// Pages of events, loaded on demand; next and previous follow this list.
import { batch, signal } from "@preact/signals";
import { ask, get, query } from "./api.js";

export const PAGE = 48;
export const list = signal({ key: null, events: [], cursor: null, loading: false, problem: "", ended: false });
export const fresh = signal(0); // events since the list was loaded

export function parameters(filters) {
  const { camera, zone, label, notified, acknowledged, from, to } = filters;
  const at = (text) => (text ? new Date(text).getTime() / 1000 : undefined);
  return {
    camera,
    zone,
    label,
    suppressed: notified === "yes" ? false : notified === "no" ? true : undefined,
    acknowledged: acknowledged === "yes" ? true : acknowledged === "no" ? false : undefined,
    begin: at(from),
    end: at(to),
  };
}

export async function loadFirst(filters) {
  const key = JSON.stringify(filters);
  const before = list.value.key === key ? list.value.events : [];
  list.value = { key, events: before, cursor: null, loading: true, problem: "", ended: false };
  await load(key, filters, null, []);
}

export async function loadMore(filters) {
  const { key, events, cursor, loading, ended } = list.value;
  if (loading || ended || key !== JSON.stringify(filters)) return;
  list.value = { ...list.value, loading: true };
  await load(key, filters, cursor, events);
}

async function load(key, filters, cursor, before) {
  try {
    const page = await get(`/events${query({ ...parameters(filters), limit: PAGE, cursor })}`);
    if (list.value.key !== key) return; // the filters have changed meanwhile
    batch(() => {
      if (cursor === null) fresh.value = 0;
      const events = [...before, ...page.events];
      list.value = { key, events, cursor: page.next_cursor, loading: false, problem: "", ended: page.next_cursor === null };
    });
  } catch (error) {
    if (list.value.key === key) list.value = { ...list.value, loading: false, problem: error.message };
  }
}

export async function change(id, patch) {
  const event = await ask("PATCH", `/events/${id}`, patch);
  const events = list.value.events.map((one) => (one.id === id ? event : one));
  list.value = { ...list.value, events };
  return event;
}

// The newer and the older neighbour of an event, from the list if it contains them.
export async function neighbours(event) {
  const events = list.value.events;
  const place = events.findIndex((one) => one.id === event.id);
  if (place >= 0 && place < events.length - 1) return { newer: events[place - 1]?.id, older: events[place + 1].id };
  const [before, after] = await Promise.all([
    get(`/events${query({ end: event.started_at, limit: 1 })}`),
    get(`/events${query({ begin: event.started_at + 0.001, end: event.started_at + 86400, limit: 1000 })}`),
  ]);
  return { older: before.events[0]?.id, newer: after.events.at(-1)?.id };
}
