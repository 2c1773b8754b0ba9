// The service: processes, cameras, receivers, storage, versions, log, tokens.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ask, get, isAdmin, session } from "./api.js";
import { Chip, copy, Dialog, Problem, say, useAction, useLoaded } from "./ui.js";
import { plural, size, span, whenever } from "./words.js";

const PHASES = { running: "ok", starting: "busy", waiting: "warn", draining: "busy", finished: "off", failed: "bad" };

export function System() {
  useEffect(() => {
    document.title = "System · Vedette";
  }, []);
  const { value, problem, reload } = useLoaded((abort) => get("/system", abort), "system", 4);
  if (!value) return html`<main class="page"><h1>System</h1><${Problem} text=${problem} again=${reload} />${!problem && html`<p class="muted loading">Loading …</p>`}</main>`;
  return html`<main class="page wide">
    <header class="bar"><h1>System</h1><p class="summary">Running since ${whenever(value.started_at)}</p><span class="grow"></span>${isAdmin() && html`<${Reload} />`}</header>
    <${Problem} text=${problem} />
    <div class="columns">
      <div class="main-column">
        <${Processes} processes=${value.processes} />
        <${CameraTable} cameras=${value.cameras} />
        <${Stages} stages=${value.stages} />
        ${isAdmin() && html`<${Log} />`}
      </div>
      <aside class="side">
        <${Storage} storage=${value.storage} />
        <${Receivers} />
        ${isAdmin() && html`<${Tokens} />`}
        <section class="card"><h2>Versions</h2><dl class="facts-list">${Object.entries(value.versions).map(([name, version]) => html`<div key=${name}><dt>${name}</dt><dd>${version}</dd></div>`)}</dl></section>
      </aside>
    </div>
  </main>`;
}

function Reload() {
  const [reload, busy] = useAction(async () => {
    const answer = await ask("POST", "/config/reload");
    const parts = ["added", "removed", "changed"].filter((key) => answer[key].length).map((key) => `${key} ${answer[key].join(", ")}`);
    say(parts.join("; ") || "Nothing has changed in the file.");
    if (answer.needs_restart.length) say(`Restart the service for ${answer.needs_restart.join(", ")}.`, "warn");
  });
  return html`<button disabled=${busy} onClick=${reload}>Reload the configuration</button>`;
}

function Processes({ processes }) {
  return html`<section class="card"><h2>Processes</h2><div class="table-box"><table>
    <thead><tr><th scope="col">Process</th><th scope="col">State</th><th scope="col" class="number">Restarts</th><th scope="col" class="number">CPU</th><th scope="col" class="number">Memory</th></tr></thead>
    <tbody>${processes.map((one) => html`<tr key=${one.name}>
      <th scope="row">${one.name}</th>
      <td><${Chip} tone=${Object.keys(one.degraded).length ? "warn" : PHASES[one.phase]}>${one.phase}<//> <small dir="auto">${[one.reason, ...Object.entries(one.degraded).map(([part, why]) => `${part}: ${why}`)].filter(Boolean).join("; ")}</small></td>
      <td class="number">${one.restarts}</td>
      <td class="number">${one.cpu_percent == null ? "–" : `${one.cpu_percent.toFixed(0)} %`}</td>
      <td class="number">${one.memory_bytes == null ? "–" : size(one.memory_bytes)}</td>
    </tr>`)}</tbody></table></div><p class="small muted">CPU in percent of one core. Memory counts shared pages in every process.</p></section>`;
}

function CameraTable({ cameras }) {
  const ms = (seconds) => `${Math.round(1000 * seconds)} ms`;
  return html`<section class="card"><h2>Cameras</h2>${!cameras.length && html`<p class="muted">No camera sends frames now.</p>`}${cameras.length > 0 && html`<div class="table-box"><table>
    <thead><tr><th scope="col">Camera</th><th scope="col" class="number">Scores a second</th><th scope="col" class="number">Dropped</th><th scope="col" class="number">Frame to score</th><th scope="col" class="number">95 %</th></tr></thead>
    <tbody>${cameras.map((one) => html`<tr key=${one.camera}><th scope="row"><a href=${`#/cameras/${one.camera}`}>${one.camera}</a></th><td class="number">${one.frames_per_second.toFixed(1)}</td><td class="number">${one.dropped}</td><td class="number">${ms(one.latency_seconds)}</td><td class="number">${ms(one.latency_95_seconds)}</td></tr>`)}</tbody></table></div>`}</section>`;
}

const STAGES = {
  prepare: "Resize a frame",
  queue: "Wait for scoring",
  score: "Score a batch",
  sink: "Store a score",
  adapt: "Build a scene",
  refit: "Refit a scene",
};

function Stages({ stages }) {
  const place = (one) => Object.keys(STAGES).indexOf(one.stage);
  const order = [...stages].sort((a, b) => place(a) - place(b));
  const ms = (seconds) => (seconds < 10 ? `${(1000 * seconds).toFixed(seconds < 0.1 ? 1 : 0)} ms` : `${seconds.toFixed(1)} s`);
  return html`<section class="card"><h2>Latency per stage</h2>${!stages.length && html`<p class="muted">Nothing was measured yet.</p>`}${stages.length > 0 && html`<div class="table-box"><table>
    <thead><tr><th scope="col">Stage</th><th scope="col" class="number">Median</th><th scope="col" class="number">95 %</th><th scope="col" class="number">Mean</th><th scope="col" class="number">Measurements</th></tr></thead>
    <tbody>${order.map((one) => html`<tr key=${one.stage}><th scope="row">${STAGES[one.stage] ?? one.stage}</th><td class="number">${ms(one.median_seconds)}</td><td class="number">${ms(one.percentile_95_seconds)}</td><td class="number">${ms(one.mean_seconds)}</td><td class="number">${one.count}</td></tr>`)}</tbody></table></div><p class="small muted">Since the start of the service; median and 95 % are interpolated between the bounds of a histogram.</p>`}</section>`;
}

function Receivers() {
  const { value, problem } = useLoaded((abort) => get("/outbox", abort), "outbox", 5);
  const state = (sink) => {
    if (!sink.waiting) return html`<${Chip} tone="ok">nothing waits<//>`;
    return html`<${Chip} tone=${Date.now() / 1000 - sink.oldest_at > 60 ? "warn" : "busy"}>${plural(sink.waiting, "message")} (${size(sink.waiting_bytes)}), the oldest of ${whenever(sink.oldest_at)}<//>`;
  };
  return html`<section class="card"><h2>Receivers of notifications</h2>
    ${!value && html`<p class="muted">${problem || "Loading …"}</p>`}
    ${value && !value.sinks.length && html`<p class="muted">None is configured.</p>`}
    <ul class="plain">${value?.sinks.map((sink) => html`<li key=${sink.sink}><b>${sink.sink}</b> ${state(sink)}
      ${sink.refused > 0 && html`<p class="small warn-text">${plural(sink.refused, "message")} refused</p><ul class="plain small">${sink.refusals.map((one) => html`<li key=${one.event}><a href=${`#/events/${one.event}`}>${whenever(one.created_at)}</a> <span class="muted" dir="auto">${one.reason}</span></li>`)}</ul>`}
    </li>`)}</ul></section>`;
}

function Storage({ storage }) {
  const used = storage.folders.reduce((sum, one) => sum + one.bytes, 0);
  const perDay = storage.folders.reduce((sum, one) => sum + one.last_day_bytes, 0);
  const kinds = grouped(storage.folders);
  const most = Math.max(1, ...kinds.map(([, bytes]) => bytes));
  const days = perDay ? storage.free_bytes / perDay : Infinity;
  const retain = storage.record?.retain ?? {};
  return html`<section class="card"><h2>Storage</h2>
    <p><b>${size(used)}</b> used, <b>${size(storage.free_bytes)}</b> free on that disk.</p>
    <dl class="bars">${kinds.map(([name, bytes]) => html`<div key=${name}><dt>${name}</dt><dd><meter min="0" max=${most} value=${bytes} aria-label=${name}></meter>${size(bytes)}</dd></div>`)}</dl>
    <p class="small muted">${perDay ? `${size(perDay)} were written in the last day${days < 3650 ? `: at that rate the disk lasts ${span(days * 86400)} without deleting` : ""}.` : "Nothing was written in the last day."} ${retain.days ? `Events are stored for ${plural(retain.days, "day")}${retain.max_size_gb ? `, ${retain.max_size_gb} GB at most` : ""}.` : ""}</p>
    <p class="small muted"><code class="address">${storage.folder}</code></p></section>`;
}

// Folders grouped for people.
const KINDS = [["Clips, pictures", /^events$/], ["Database", /\.sqlite/], ["Scores", /^scores$/], ["Scenes", /^scenes$/], ["Logs", /^logs$/]];

function grouped(folders) {
  const sums = new Map();
  for (const one of folders) {
    const kind = KINDS.find(([, pattern]) => pattern.test(one.name))?.[0] ?? "Other";
    sums.set(kind, (sums.get(kind) ?? 0) + one.bytes);
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}

function Tokens() {
  const { value, problem, reload } = useLoaded((abort) => get("/tokens", abort), "tokens");
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [created, setCreated] = useState(null);
  const [asking, setAsking] = useState(false);
  const [create, creating] = useAction(async () => {
    setAsking(false);
    setCreated(await ask("POST", "/tokens", { name, role }));
    setName("");
    if (!session.value.open) reload();
  });
  const [revoke] = useAction(async (token) => {
    await ask("DELETE", `/tokens/${token.name}`);
    say(`${token.name} has no access any more.`);
    reload();
  });
  const first = value && !value.tokens.length;
  const submit = (event) => {
    event.preventDefault();
    if (first) setAsking(true);
    else create();
  };
  return html`<section class="card"><h2>Tokens</h2>
    <${Problem} text=${problem} again=${reload} />
    ${first && html`<p>There is no token: every user of this machine is an admin.</p>`}
    <ul class="plain">${value?.tokens.map((token) => html`<li class="row" key=${token.name}><b>${token.name}</b> <span class="tag">${token.role}</span><span class="grow"></span>${token.origin === "file" ? html`<small class="muted">in the configuration file</small>` : html`<button class="quiet" onClick=${() => revoke(token)}>Revoke</button>`}</li>`)}</ul>
    <form class="row" onSubmit=${submit}>
      <input aria-label="Name of a new token" placeholder="Name" required pattern="[A-Za-z0-9_\\-]+" maxlength="64" value=${name} onInput=${(event) => setName(event.target.value)} />
      <select aria-label="Role" value=${role} onChange=${(event) => setRole(event.target.value)}><option value="viewer">viewer: reads</option><option value="admin">admin: changes</option></select>
      <button disabled=${creating}>Create a token</button>
    </form>
    ${asking && html`<${Dialog} title="Require tokens?" close=${() => setAsking(false)}><p>With the first token every user needs one, including you, also on this machine.${role === "viewer" ? " A viewer cannot change anything: create an admin token first." : ""}</p><p class="row"><button class="primary" disabled=${role === "viewer"} onClick=${create}>Create</button><button onClick=${() => setAsking(false)}>Cancel</button></p><//>`}
    ${created && html`<${Dialog} title=${`Token of ${created.name}`} close=${() => { setCreated(null); if (session.value?.open) location.reload(); }}><p>It is shown only once.</p><pre class="token">${created.token}</pre><p class="row"><button class="primary" onClick=${() => copy(created.token)}>Copy</button></p><//>`}
  </section>`;
}

function Log() {
  const [open, setOpen] = useState(false);
  return html`<section class="card"><details onToggle=${(event) => setOpen(event.target.open)}><summary><h2>Log</h2></summary>${open && html`<${LogLines} />`}</details></section>`;
}

function LogLines() {
  const { value, problem } = useLoaded((abort) => get("/log?lines=150", abort), "log", 5);
  if (!value) return html`<p class="muted">${problem || "Loading …"}</p>`;
  return html`<pre class="log" tabindex="0" aria-label="Newest lines of the log">${value.lines.map((line) => html`<span class=${/ (WARNING|ERROR|CRITICAL) /.exec(line)?.[1].toLowerCase() ?? ""}>${line}\n</span>`)}</pre>`;
}
