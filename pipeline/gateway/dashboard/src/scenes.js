// The stored scenes of a camera, with the frames they were adapted to; earlier ones can be restored.
import { html } from "htm/preact";
import { useState } from "preact/hooks";
import { ADMIN_ONLY, ask, get, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { Dialog, Problem, say, useAction, useLoaded } from "./ui.js";
import { plural, span, whenever } from "./words.js";

export function Scenes({ camera }) {
  const { value, problem, reload } = useLoaded((abort) => get(`/cameras/${camera.name}/scenes`, abort), camera.name, 15);
  const [shown, show] = useState(null);
  const [restore, busy] = useAction(async (scene) => {
    await ask("POST", `/cameras/${camera.name}/scenes/${scene.id}/restore`);
    say("The scene is in use again.");
    await Promise.all([reload(), loadCameras()]);
  });
  if (problem) return html`<${Problem} text=${problem} again=${reload} />`;
  if (!value) return html`<p class="muted">Loading …</p>`;
  if (!value.scenes.length) return html`<p>None: the camera is adapting to its first scene.</p>`;
  return html`<div>
    <ul class="scenes">${value.scenes.map((scene) => html`<li key=${scene.id} class=${scene.current ? "chosen" : ""}>
      <${Thumbnail} camera=${camera.name} scene=${scene} open=${() => show(scene)} />
      <span class="grow"><b>${whenever(scene.adapted_at)}</b> <small dir="auto">${scene.reason || "adapted"}</small></span>
      ${scene.current ? html`<span class="tag">in use</span>` : html`<button disabled=${busy || !isAdmin()} title=${isAdmin() ? undefined : ADMIN_ONLY} onClick=${() => restore(scene)}>Restore</button>`}
    </li>`)}</ul>
    <p class="small muted">A scene is a model of what is normal in front of the camera. Restoring one undoes an adaptation.</p>
    ${shown && html`<${Dialog} title=${`Scene of ${whenever(shown.adapted_at)}`} close=${() => show(null)}><p>The frames that it was adapted to:</p><${Support} camera=${camera.name} scene=${shown} /><//>`}
  </div>`;
}

function Thumbnail({ camera, scene, open }) {
  if (!scene.has_support) return html`<i class="light" style=${{ background: lightOf(scene) }} title="Light of the scene" aria-hidden="true"></i>`;
  return html`<button class="thumbnail" aria-label=${`Frames of the scene of ${whenever(scene.adapted_at)}`} onClick=${open}><img src=${`api/v1/cameras/${camera}/scenes/${scene.id}/support/0.jpg`} alt="" loading="lazy" /></button>`;
}

// The frames of a scene; with `toggle` each can be selected.
function Support({ camera, scene, selected, toggle }) {
  const { value, problem } = useLoaded((abort) => get(`/cameras/${camera}/scenes/${scene.id}/support`, abort), scene.id);
  if (!value) return html`<p class="muted">${problem || "Loading …"}</p>`;
  return html`<ul class="support">${value.pictures.map((path, n) => {
    const picture = html`<img src=${path.slice(1)} alt=${`Frame ${n + 1} of ${value.pictures.length}`} loading="lazy" />`;
    return html`<li key=${n}>${toggle ? html`<button aria-pressed=${selected.has(n)} onClick=${() => toggle(n)}>${picture}</button>` : picture}</li>`;
  })}</ul>`;
}

// Adapt again: to new frames only, or with new frames in place of the selected ones.
export function AdaptDialog({ camera, close }) {
  const { name, settings } = camera;
  const { value } = useLoaded((abort) => get(`/cameras/${name}/scenes`, abort), name);
  const [selected, setSelected] = useState(new Set());
  const current = value?.scenes.find((scene) => scene.current && scene.has_support);
  const interval = settings?.adapt?.interval ?? 1;
  const [adapt, busy] = useAction(async (replace) => {
    await ask("POST", `/cameras/${name}/adapt`, { replace });
    close();
    say("Adapting again");
    await loadCameras();
  });
  const toggle = (n) => {
    const next = new Set(selected);
    if (!next.delete(n)) next.add(n);
    setSelected(next);
  };
  return html`<${Dialog} title="Adapt again?" close=${close}>
    <p>The camera collects new frames of its scene for about ${span((settings?.adapt?.frames ?? 10) * interval * 1.6)} and accepts what they show as normal, so the scene should be normal meanwhile. The current scene stays stored and can be restored.</p>
    ${current && html`<p class="small">Frames of the current scene. To replace only some of them, select these.</p><${Support} camera=${name} scene=${current} selected=${selected} toggle=${toggle} />`}
    <p class="row">
      ${selected.size > 0 && html`<button class="primary" disabled=${busy} onClick=${() => adapt([...selected])}>Replace ${plural(selected.size, "frame")}</button>`}
      <button class=${selected.size ? "" : "primary"} disabled=${busy} onClick=${() => adapt([])}>${selected.size ? "Replace all" : "Adapt again"}</button>
      <button onClick=${close}>Cancel</button>
    </p>
  <//>`;
}

// Without a picture: a colour of the brightness and colourfulness of the scene.
function lightOf(scene) {
  const luma = scene.light?.luma ?? 128;
  const chroma = scene.light?.chroma ?? 0;
  return `hsl(40 ${Math.min(60, 2 * chroma)}% ${Math.round((100 * luma) / 255)}%)`;
}
