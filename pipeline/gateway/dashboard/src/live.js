// The one WebSocket of the tab: newest state, score and picture of every camera, and events.
import { batch, signal } from "@preact/signals";
import { get, session } from "./api.js";

export const connection = signal("connecting"); // connecting, live, waiting, crowded
export const cameras = signal(null); // as GET /cameras answers, null before the first answer
export const camerasProblem = signal("");
export const now = signal(Date.now()); // ticks once a second

const HISTORY_SECONDS = 120;
const known = new Map();
const eventListeners = new Set();
const views = new Map(); // component → {camera, detail}
let socket = null;
let retrySeconds = 1;
let retryTimer = 0;
let sentView = "";

// Live state of one camera; each part is a separate signal, so that an update redraws little.
export function live(name) {
  if (!known.has(name)) {
    known.set(name, {
      score: signal(null),
      state: signal(null),
      picture: signal(null),
      event: signal(null),
      history: [],
      lostAt: signal(null),
    });
  }
  return known.get(name);
}

export function onEvents(listener) {
  eventListeners.add(listener);
  return () => eventListeners.delete(listener);
}

export async function loadCameras() {
  try {
    const found = (await get("/cameras")).cameras;
    batch(() => {
      cameras.value = found;
      camerasProblem.value = "";
      for (const camera of found) takeState({ camera: camera.name, state: camera.state, reason: camera.reason });
    });
  } catch (error) {
    camerasProblem.value = error.message;
  }
}

export function cameraNamed(name) {
  return cameras.value?.find((camera) => camera.name === name);
}

// Active events: live updates contain only changes.
async function loadActive() {
  try {
    const { events } = await get("/events?active=true&limit=100");
    const byCamera = new Map(events.map((event) => [event.camera, event]));
    for (const [name, one] of known) one.event.value = byCamera.get(name) ?? null;
    for (const [name, event] of byCamera) live(name).event.value = event;
  } catch {
    // The next connection tries again.
  }
}

export function connect() {
  clearTimeout(retryTimer);
  if (socket || !session.value) return;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const base = location.pathname.replace(/[^/]*$/, "");
  socket = new WebSocket(`${scheme}//${location.host}${base}api/v1/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    connection.value = "live";
    retrySeconds = 1;
    sentView = "";
    sendView();
    loadCameras();
    loadActive();
  };
  socket.onmessage = ({ data }) => (typeof data === "string" ? takeUpdates(JSON.parse(data)) : takePicture(data));
  socket.onclose = ({ code }) => {
    socket = null;
    if (code === 4401) session.value = null;
    connection.value = code === 4503 ? "crowded" : "waiting";
    if (session.value) retryTimer = setTimeout(connect, 1000 * retrySeconds * (0.75 + Math.random() / 2));
    retrySeconds = Math.min(15, retrySeconds * 2);
  };
}

export function disconnect() {
  clearTimeout(retryTimer);
  socket?.close();
}

function takeUpdates({ scores, events, states }) {
  batch(() => {
    for (const [name, score] of Object.entries(scores)) takeScore(name, score);
    states.forEach(takeState);
    for (const event of events) {
      const active = event.change !== "end";
      live(event.camera).event.value = active ? event : null;
    }
  });
  if (events.length) for (const listener of eventListeners) listener(events);
}

function takeScore(name, score) {
  const camera = live(name);
  camera.history.push([score.captured_at, score.score]);
  const oldest = score.captured_at - HISTORY_SECONDS;
  while (camera.history.length && camera.history[0][0] < oldest) camera.history.shift();
  camera.score.value = score;
}

function takeState(update) {
  const camera = live(update.camera);
  const before = camera.state.value;
  if (before?.state === update.state && before?.reason === update.reason) return;
  if (update.state !== "offline") camera.lostAt.value = null;
  else if (before && before.state !== "offline") camera.lostAt.value = Date.now() / 1000;
  camera.state.value = { state: update.state, reason: update.reason };
  const isKnown = cameras.value?.some((one) => one.name === update.camera);
  if (cameras.value && (update.state === "removed") === Boolean(isKnown)) loadCameras();
}

// Answers each picture once it is drawn: only then the service sends newer ones.
async function takePicture(data) {
  const from = socket;
  try {
    await drawPicture(data);
  } finally {
    if (from.readyState === WebSocket.OPEN) from.send("drawn");
  }
}

async function drawPicture(data) {
  const length = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const begin = 4 + length;
  const blob = new Blob([new Uint8Array(data, begin, header.jpeg)], { type: "image/jpeg" });
  const received = performance.now() - 1000 * (header.age ?? 0);
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    return; // damaged; the next one follows
  }
  const cells = header.map && new Uint8Array(data, begin + header.jpeg);
  const camera = live(header.camera);
  const before = camera.picture.value;
  if (before && before.received > received + 1) {
    bitmap.close();
    return; // a newer one was decoded first
  }
  camera.picture.value = { ...header, bitmap, cells, received };
  // Views draw a picture at once; a second later the old bitmap is not needed any more.
  if (before) setTimeout(() => before.bitmap.close(), 1000);
}

// Loads the scores of the last two minutes once, before enough live updates have arrived.
export async function preload(name) {
  const camera = live(name);
  if (camera.preloaded) return;
  camera.preloaded = true;
  try {
    const begin = Math.floor(Date.now() / 1000) - HISTORY_SECONDS;
    const { scores } = await get(`/cameras/${name}/scores?begin=${begin}`);
    const first = camera.history[0]?.[0] ?? Infinity;
    camera.history.unshift(...scores.filter((one) => one.begins_at < first).map((one) => [one.begins_at, one.highest]));
  } catch {
    // Live updates fill it.
  }
}

export const pictureAge = (picture) => (performance.now() - picture.received) / 1000;

// Register and remove a picture that is in view.
export function show(key, camera, detail) {
  views.set(key, { camera, detail });
  queueMicrotask(sendView);
}

export function hide(key) {
  views.delete(key);
  queueMicrotask(sendView);
}

function sendView() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const visible = document.hidden ? [] : [...views.values()];
  const small = [...new Set(visible.filter((one) => one.detail === "small").map((one) => one.camera))];
  const full = visible.find((one) => one.detail === "full")?.camera ?? null;
  const text = JSON.stringify({ small, full });
  if (text !== sentView) socket.send((sentView = text));
}

document.addEventListener("visibilitychange", () => {
  sendView();
  if (!document.hidden && !socket) connect();
});
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
setInterval(() => {
  if (!document.hidden && session.value) loadCameras();
}, 30000);
