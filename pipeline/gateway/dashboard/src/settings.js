// The settings of a camera as a form, from the JSON schema of the configuration.
import { html } from "htm/preact";
import { useEffect, useState } from "preact/hooks";
import { ADMIN_ONLY, ask, get, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { Problem, say, useAction, useLoaded } from "./ui.js";

const SECTIONS = { alert: "Alerts", adapt: "Adaptation", detect: "Pictures" };
const HIDDEN = { alert: ["enter", "target_false_alarms_per_day"] }; // on the tab Sensitivity

let schemaAnswer = null;
const schema = () => (schemaAnswer ??= get("/config/schema.json"));

export function Settings({ camera }) {
  const { value, problem } = useLoaded(schema, "schema");
  const [edits, setEdits] = useState({});
  useEffect(() => setEdits({}), [camera.name]);
  const [save, saving] = useAction(async () => {
    await ask("PATCH", `/cameras/${camera.name}`, edits);
    setEdits({});
    await loadCameras();
    say("Saved.");
  });
  if (problem) return html`<${Problem} text=${problem} />`;
  if (!value || !camera.settings) return html`<p class="muted">${camera.settings ? "Loading …" : "The settings of this camera cannot be used."}</p>`;
  const fromFile = camera.origin === "file";
  const off = fromFile || !isAdmin();
  const set = (section, key, next) => setEdits({ ...edits, [section]: { ...edits[section], [key]: next } });
  return html`<form class="settings" onSubmit=${(event) => { event.preventDefault(); save(); }}>
    <p class="small"><b>Source</b> <code class="address">${camera.settings.source?.url}</code></p>
    ${fromFile && html`<p class="small muted">This camera is defined in the configuration file: change it there, then reload it. Here it can be disabled, and its sensitivity changed.</p>`}
    ${!fromFile && !isAdmin() && html`<p class="small muted">${ADMIN_ONLY}</p>`}
    ${Object.entries(SECTIONS).map(([section, title]) => html`<details key=${section}>
      <summary>${title}</summary>
      ${fields(value, section).map(([key, field]) => html`<${Field} key=${key} name=${key} field=${field} off=${off} value=${edits[section]?.[key] ?? camera.settings[section]?.[key]} change=${(next) => set(section, key, next)} />`)}
    </details>`)}
    ${Object.keys(edits).length > 0 && html`<p class="row"><button class="primary" disabled=${saving}>Save</button><button type="button" onClick=${() => setEdits({})}>Discard</button></p>`}
  </form>`;
}

function fields(whole, section) {
  const follow = (one) => (one.$ref ? whole.$defs[one.$ref.split("/").pop()] : one.allOf ? follow(one.allOf[0]) : one);
  const found = follow(whole.properties[section]);
  return Object.entries(found.properties ?? {})
    .map(([key, field]) => [key, { ...follow(field), description: field.description, default: field.default }])
    .filter(([key, field]) => !HIDDEN[section]?.includes(key) && (field.enum || ["number", "integer", "boolean"].includes(field.type)));
}

function Field({ name, field, value, change, off }) {
  const words = name.replaceAll("_", " ");
  let control;
  if (field.type === "boolean") control = html`<input type="checkbox" disabled=${off} checked=${value} onChange=${(event) => change(event.target.checked)} />`;
  else if (field.enum) control = html`<select disabled=${off} value=${value} onChange=${(event) => change(event.target.value)}>${field.enum.map((one) => html`<option>${one}</option>`)}</select>`;
  else control = html`<input type="number" disabled=${off} value=${value} min=${field.minimum ?? field.exclusiveMinimum} max=${field.maximum} step=${field.type === "integer" ? 1 : "any"} required onChange=${(event) => event.target.value !== "" && change(Number(event.target.value))} />`;
  return html`<label class="field"><span>${words}<small>${field.description}</small></span>${control}</label>`;
}
