// Without cameras: the two ways to a first camera.
import { html } from "htm/preact";
import { ask, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { go } from "./route.js";
import { say, useAction } from "./ui.js";

const SYNTHETIC = { source: { url: "synthetic:street?seed=7" } };

export async function trySynthetic() {
  await ask("POST", "/cameras", { name: "street", camera: SYNTHETIC });
  await loadCameras();
  say("A synthetic street was attached. It adapts within 15 seconds.");
  go("#/cameras/street");
}

export function FirstRun() {
  const [run, busy] = useAction(trySynthetic);
  return html`<main class="page">
    <section class="first-run">
      <h1>No camera yet</h1>
      <p>Vedette adapts to the scene of a camera within a minute, then reports anomalies in it.</p>
      ${isAdmin()
        ? html`<div class="choices">
            <a class="choice" href="#/attach"><b>Attach your first camera</b><span>Paste its address, or select one that was found in the network. It takes less than a minute.</span></a>
            <button class="choice" disabled=${busy} onClick=${run}><b>Try a synthetic camera</b><span>A rendered street with people and cars. No hardware needed.</span></button>
          </div>`
        : html`<p class="muted">Ask an admin to attach a camera.</p>`}
    </section>
  </main>`;
}
