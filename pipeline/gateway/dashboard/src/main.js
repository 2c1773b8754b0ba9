// The page: the session, the navigation, and the view that the address names.
import { html } from "htm/preact";
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { effect, signal } from "@preact/signals";
import { isAdmin, logOut, session, whoAmI } from "./api.js";
import { connect, connection, disconnect } from "./live.js";
import { route } from "./route.js";
import { choice, nextTheme } from "./theme.js";
import { Problem, Toasts, useAction } from "./ui.js";
import { Attach } from "./attach.js";
import { CameraPage } from "./camera.js";
import { EventPage } from "./event.js";
import { Events } from "./events.js";
import { Login } from "./login.js";
import { System } from "./system.js";
import { Wall } from "./wall.js";

const startProblem = signal("");

async function start() {
  startProblem.value = "";
  try {
    await whoAmI();
  } catch (error) {
    startProblem.value = error.message;
    setTimeout(start, 3000);
  }
}

effect(() => {
  if (session.value) connect();
  else disconnect();
});

function Page() {
  const { path, query } = route.value;
  const [room, id] = path;
  if (room === "events" && id) return html`<${EventPage} key=${id} id=${id} query=${query} />`;
  if (room === "events") return html`<${Events} query=${query} />`;
  if (room === "cameras" && id) return html`<${CameraPage} key=${id} name=${id} query=${query} />`;
  if (room === "attach") return html`<${Attach} />`;
  if (room === "system") return html`<${System} />`;
  return html`<${Wall} />`;
}

const CONNECTION = {
  live: ["ok", "Live"],
  connecting: ["busy", "Connecting"],
  waiting: ["bad", "Connection lost, trying again"],
  crowded: ["warn", "Too many viewers, trying again"],
};

function Frame() {
  const [out] = useAction(logOut);
  const room = route.value.path[0] ?? "wall";
  const at = (name) => (room === name || (name === "wall" && room === "cameras") ? "page" : undefined);
  const [tone, words] = CONNECTION[connection.value];
  return html`
    <a class="skip" href="#content" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/" aria-label="Vedette, to the wall"><img src="static/icon.svg" alt="" width="28" height="28" /><b>Vedette</b></a>
      <nav aria-label="Main">
        <a href="#/" aria-current=${at("wall")}>Wall</a>
        <a href="#/events" aria-current=${at("events")}>Events</a>
        <a href="#/system" aria-current=${at("system")}>System</a>
        ${isAdmin() && html`<a href="#/attach" aria-current=${at("attach")}>Add camera</a>`}
      </nav>
      <span class="grow"></span>
      <span class="link ${tone}" role="status"><i aria-hidden="true"></i><span>${words}</span></span>
      <button class="quiet" onClick=${nextTheme} title="Light, dark, or as the system sets it"><span aria-hidden="true">◐</span><span class="unseen">Colours: </span>${{ system: "Auto", light: "Light", dark: "Dark" }[choice.value]}</button>
      ${!session.value.open && html`<button class="quiet" onClick=${out} title=${`${session.value.name}, ${session.value.role}`}>Log out</button>`}
    </header>
    ${connection.value === "waiting" && html`<p class="broken" role="alert">The connection to the service is lost. What you see is not live. Trying again …</p>`}
    <div id="content" tabindex="-1"><${Page} /></div>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function App() {
  useEffect(() => {
    start();
  }, []);
  let body;
  if (session.value === undefined) body = html`<main class="page"><${Problem} text=${startProblem.value} />${!startProblem.value && html`<p class="muted loading">Loading …</p>`}</main>`;
  else if (session.value === null) body = html`<${Login} />`;
  else body = html`<${Frame} />`;
  return html`${body}<${Toasts} />`;
}

render(html`<${App} />`, document.getElementById("app"));
