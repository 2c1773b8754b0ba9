// The scenes that a camera has had; any of them can be brought back.
import { html } from "htm/preact";
import { ADMIN_ONLY, ask, get, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { Problem, say, useAction, useLoaded } from "./ui.js";
import { whenever } from "./words.js";

export function Scenes({ camera }) {
  const { value, problem, reload } = useLoaded((abort) => get(`/cameras/${camera.name}/scenes`, abort), camera.name, 15);
  const [restore, busy] = useAction(async (scene) => {
    await ask("POST", `/cameras/${camera.name}/scenes/${scene.id}/restore`);
    say("That scene is in use again.");
    await Promise.all([reload(), loadCameras()]);
  });
  if (problem) return html`<${Problem} text=${problem} again=${reload} />`;
  if (!value) return html`<p class="muted">Loading …</p>`;
  if (!value.scenes.length) return html`<p>None yet: the camera is adapting to its first one.</p>`;
  return html`<ul class="scenes">${value.scenes.map((scene) => html`<li key=${scene.id} class=${scene.current ? "chosen" : ""}>
    <i class="light" style=${{ background: lightOf(scene) }} title="Light of the scene" aria-hidden="true"></i>
    <span class="grow"><b>${whenever(scene.adapted_at)}</b> <small dir="auto">${scene.reason || "adapted"}</small></span>
    ${scene.current ? html`<span class="tag">in use</span>` : html`<button disabled=${busy || !isAdmin()} title=${isAdmin() ? undefined : ADMIN_ONLY} onClick=${() => restore(scene)}>Bring back</button>`}
  </li>`)}</ul>`;
}

// How bright the scene was, and whether it had colours: a grey of that brightness, or a warm one.
function lightOf(scene) {
  const luma = scene.light?.luma ?? 128;
  const chroma = scene.light?.chroma ?? 0;
  return `hsl(40 ${Math.min(60, 2 * chroma)}% ${Math.round((100 * luma) / 255)}%)`;
}
