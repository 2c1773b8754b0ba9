// The wizard: address, probe, name, adaptation.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ADMIN_ONLY, ask, isAdmin } from "./api.js";
import { cameras, live, loadCameras } from "./live.js";
import { LivePicture } from "./picture.js";
import { go } from "./route.js";
import { Chip, Problem, say, useAction } from "./ui.js";
import { clockLength, describe, SOURCE_PROBLEMS } from "./words.js";
import { trySynthetic } from "./first_run.js";

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const STEPS = ["Address", "Check", "Adapt"];

export function Attach() {
  const [step, setStep] = useState(0);
  const [source, setSource] = useState({ url: "", transport: "tcp" });
  const [probed, setProbed] = useState(null);
  const [name, setName] = useState("");
  useEffect(() => {
    document.title = "Add a camera · Vedette";
  }, []);
  if (!isAdmin()) return html`<main class="page"><h1>Add a camera</h1><p>${ADMIN_ONLY}</p></main>`;
  return html`<main class="page narrow">
    <h1>Add a camera</h1>
    <ol class="steps">${STEPS.map((text, n) => html`<li aria-current=${step === n ? "step" : undefined} class=${n < step ? "done" : ""}>${text}</li>`)}</ol>
    ${step === 0 && html`<${Address} source=${source} setSource=${setSource} found=${(answer) => { setProbed(answer); setName(suggest(source.url)); setStep(1); }} />`}
    ${step === 1 && html`<${Found} probed=${probed} source=${source} name=${name} setName=${setName} back=${() => setStep(0)} done=${() => setStep(2)} />`}
    ${step === 2 && html`<${Progress} name=${name} />`}
  </main>`;
}

function suggest(url) {
  const taken = new Set((cameras.value ?? []).map((camera) => camera.name));
  const host = /^[a-z]+:\/\/(?:[^@/]*@)?([^/:]+)/.exec(url)?.[1] ?? url.split(/[:?]/)[1] ?? "";
  const base = host.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "").slice(0, 40);
  const start = /^[\d_]*$/.test(base) ? "camera" : base;
  for (let n = 1; ; n++) {
    const name = n === 1 && start !== "camera" ? start : `${start}_${n}`;
    if (!taken.has(name)) return name;
  }
}

function Address({ source, setSource, found }) {
  const [problem, setProblem] = useState(null);
  const [devices, setDevices] = useState(null);
  const [probe, probing] = useAction(async () => {
    setProblem(null);
    const answer = await ask("POST", "/probe", source);
    if (answer.problem) setProblem(answer.problem);
    else found(answer);
  });
  const [discover, discovering] = useAction(async () => {
    setDevices((await ask("POST", "/discover", {})).devices);
  });
  const [synthetic, attaching] = useAction(trySynthetic);
  return html`<form class="card" onSubmit=${(event) => { event.preventDefault(); probe(); }}>
    <label>Address of its stream<input required type="text" inputmode="url" autocomplete="off" spellcheck=${false} value=${source.url} placeholder="rtsp://user:password@192.168.1.20/stream2" onInput=${(event) => setSource({ ...source, url: event.target.value.trim() })} /></label>
    <p class="small muted">RTSP, HTTP or MJPEG; the smaller sub-stream is enough. For a password, write <code>{VEDETTE_CAMERA_NAME}</code>: the service reads it from this environment variable.</p>
    <label class="inline">Transport<select value=${source.transport} onChange=${(event) => setSource({ ...source, transport: event.target.value })}><option value="tcp">TCP</option><option value="udp">UDP</option></select></label>
    <p class="row"><button class="primary" disabled=${probing || !source.url}>${probing ? "Checking …" : "Check"}</button>
      <button type="button" disabled=${discovering} onClick=${discover}>${discovering ? "Searching …" : "Find cameras"}</button>
      <button type="button" disabled=${attaching || cameras.value?.some((one) => one.name === "street")} onClick=${synthetic}>Try a synthetic camera</button></p>
    ${problem && html`<${SourceProblem} problem=${problem} />`}
    ${devices && html`<${Devices} devices=${devices} pick=${(url) => setSource({ ...source, url })} />`}
  </form>`;
}

function SourceProblem({ problem }) {
  const [what, todo] = SOURCE_PROBLEMS[problem.code] ?? ["It cannot be used.", ""];
  return html`<div class="problem" role="alert"><p><b>${what}</b> ${todo}</p><p class="small muted" dir="auto">${problem.message}</p></div>`;
}

function Devices({ devices, pick }) {
  if (!devices.length) return html`<p role="status">No camera answered. ONVIF must be enabled in the camera, and it must be in the same network.</p>`;
  return html`<ul class="devices">${devices.map((device) => html`<li key=${device.service}>
    <b dir="auto">${device.name || device.maker || device.service}</b> <small class="muted" dir="auto">${device.maker}</small>
    ${device.problem && html`<p class="small muted" dir="auto">${device.problem}</p>`}
    ${device.needs_login && html`<p class="small muted">It lists its streams only after a login: write user and password into the address.</p>`}
    ${device.streams.map((stream) => html`<button type="button" onClick=${() => pick(stream.url)}>${stream.name || "Stream"}${stream.size_hw ? ` ${stream.size_hw[1]}×${stream.size_hw[0]}` : ""}</button>`)}
  </li>`)}</ul>`;
}

function Found({ probed, source, name, setName, back, done }) {
  const { report } = probed;
  const [height, width] = report.size_hw;
  const [attach, attaching] = useAction(async () => {
    const settings = { url: source.url };
    if (/^rtsp/.test(source.url) && source.transport !== "tcp") settings.transport = source.transport;
    await ask("POST", "/cameras", { name, camera: { source: settings } });
    await loadCameras();
    done();
  });
  const good = NAME.test(name);
  const taken = cameras.value?.some((camera) => camera.name === name);
  return html`<form class="card" onSubmit=${(event) => { event.preventDefault(); attach(); }}>
    ${probed.picture && html`<img class="preview" src=${`data:image/jpeg;base64,${probed.picture}`} alt="What the camera sees" />`}
    <dl class="facts-list">
      <div><dt>Stream</dt><dd>${report.codec}, ${width}×${height}${report.measured_fps ? `, ${report.measured_fps.toFixed(1)} frames a second` : ""}</dd></div>
      ${report.bits_per_second && html`<div><dt>Bit rate</dt><dd>${(report.bits_per_second / 1e6).toFixed(1)} Mbit/s</dd></div>`}
      <div><dt>Cost</dt><dd>${cost(report)}</dd></div>
    </dl>
    ${remarks(report).map((remark) => html`<p class="remark">${remark}</p>`)}
    <label>Name<input required value=${name} maxlength="64" aria-invalid=${!good || taken} onInput=${(event) => setName(event.target.value)} /></label>
    ${!good && html`<p class="small warn-text">Letters, digits, "_" and "-".</p>`}
    ${taken && html`<p class="small warn-text">This name is in use.</p>`}
    <p class="row"><button class="primary" disabled=${!good || taken || attaching}>Watch it</button><button type="button" onClick=${back}>Back</button></p>
  </form>`;
}

function cost(report) {
  const share = ((report.decode_ms / 1000) * (report.measured_fps ?? 10) * 100).toFixed(0);
  return `about ${share} % of a core to decode, ${report.decode_ms.toFixed(1)} ms a frame`;
}

function remarks(report) {
  const found = [];
  const [height, width] = report.size_hw;
  if (height * width > 1280 * 720) found.push("This is larger than needed: the camera's sub-stream costs less and detects the same.");
  if (report.keyframe_interval_seconds > 4) found.push(`Key frames arrive every ${report.keyframe_interval_seconds.toFixed(0)} s: after a loss there are no frames for as long. Set 1 or 2 s in the camera.`);
  if (report.measured_fps && report.measured_fps < 9) found.push("Ten frames a second are best; set this in the camera if possible.");
  if (report.decode_errors) found.push(`${report.decode_errors} frames arrived damaged.`);
  return found;
}

const PHASES = [
  ["starting", "Connecting"],
  ["adapting", "Adapting to the normal scene"],
  ["learning", "Calibrating: events are stored, no notifications are sent"],
  ["watching", "Watching"],
];

function Progress({ name }) {
  const one = live(name);
  const camera = cameras.value?.find((other) => other.name === name) ?? { name, state: "starting", reason: "" };
  const state = one.state.value;
  const score = one.score.value;
  const about = describe(camera, state, score, null, one.lostAt.value);
  const learning = score?.learning ?? camera.learning;
  const broken = ["error", "offline"].includes(state?.state ?? camera.state);
  let phase = 0;
  if (score) phase = score.score === null ? 1 : learning?.trusted ? 3 : 2;
  const [done, all] = (/(\d+)\/(\d+)/.exec(score?.progress ?? "") ?? []).slice(1).map(Number);
  return html`<section class="card" aria-live="polite">
    <p class="row"><b>${name}</b> <${Chip} tone=${about.tone}>${about.words}<//></p>
    <${LivePicture} camera=${name} />
    <ol class="phases">${PHASES.map(([key, text], n) => html`<li key=${key} class=${n < phase ? "done" : n === phase ? "current" : ""}>${text}${n === 1 && phase === 1 && all ? html` <progress max=${all} value=${done} aria-label="Adaptation"></progress> ${done}/${all}` : ""}${n === 2 && phase === 2 && learning?.trusted_in_seconds ? ` (${clockLength(learning.trusted_in_seconds)} left)` : ""}</li>`)}</ol>
    ${broken && html`<${Problem} text=${`${about.words}. ${about.detail ?? ""}`} /><p class="row"><button onClick=${async () => { await ask("DELETE", `/cameras/${name}`).catch((error) => say(error.message, "bad")); await loadCameras(); go("#/attach"); location.reload(); }}>Remove it and start again</button></p>`}
    <p class="row"><a class="button primary" href=${`#/cameras/${name}`}>Open the camera</a><a class="button" href=${`#/cameras/${name}?tab=areas`}>Draw a zone</a></p>
  </section>`;
}
