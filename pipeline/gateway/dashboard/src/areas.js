// Zones and masks: drawn on the live picture by mouse, touch or keyboard, saved through the API.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { signal, useSignal } from "@preact/signals";
import { ADMIN_ONLY, ask, isAdmin } from "./api.js";
import { loadCameras } from "./live.js";
import { copy, say, useAction } from "./ui.js";

const W = 1000; // coordinates of the overlay: 1000 × 1000, independent of the aspect ratio
const SNAP = 0.015;
const STEP = 0.01;
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

const read = (text) => {
  const numbers = text.split(",").map(Number);
  return Array.from({ length: numbers.length / 2 }, (_, n) => [numbers[2 * n], numbers[2 * n + 1]]);
};
const write = (points) => points.flat().map((n) => Number(n.toFixed(4))).join(",");
const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
const clamp = (n) => Math.min(1, Math.max(0, n));

function fromCamera(camera) {
  const found = [];
  for (const kind of ["zones", "masks"]) {
    for (const [name, area] of Object.entries(camera.settings?.[kind] ?? {})) {
      found.push({ kind, name, points: read(area.coordinates), rest: area });
    }
  }
  return found;
}

// The areas of a camera while they are edited; every change can be undone.
export function useAreas(camera) {
  const state = useRef(null);
  if (state.current === null) {
    state.current = { shapes: signal([]), chosen: signal(null), corner: signal(null), drawing: signal(null), past: signal([]), saved: signal("[]") };
  }
  const areas = state.current;
  const text = JSON.stringify(fromCamera(camera));
  useEffect(() => {
    // Take over what was saved elsewhere, unless there are changes here.
    if (JSON.stringify(areas.shapes.value) === areas.saved.value) areas.shapes.value = JSON.parse(text);
    areas.saved.value = text;
  }, [text]);
  return areas;
}

function alter(areas, change) {
  areas.past.value = [...areas.past.value.slice(-49), JSON.stringify(areas.shapes.value)];
  areas.shapes.value = change(structuredClone(areas.shapes.value));
}

function undo(areas) {
  if (areas.drawing.value?.points.length) {
    areas.drawing.value = { ...areas.drawing.value, points: areas.drawing.value.points.slice(0, -1) };
    return;
  }
  const past = areas.past.value;
  if (!past.length) return;
  areas.shapes.value = JSON.parse(past.at(-1));
  areas.past.value = past.slice(0, -1);
  areas.chosen.value = areas.corner.value = null;
}

function finish(areas) {
  const drawing = areas.drawing.value;
  if (drawing?.points.length < 3) return say("An area needs at least three corners.", "bad");
  alter(areas, (shapes) => [...shapes, { kind: drawing.kind, name: drawing.name, points: drawing.points, rest: {} }]);
  areas.chosen.value = areas.shapes.value.length - 1;
  areas.drawing.value = null;
}

// Corners snap to the edges of the picture and to other corners.
function snap([x, y], shapes) {
  const stick = (n) => (n < SNAP ? 0 : n > 1 - SNAP ? 1 : n);
  const other = shapes.flatMap((shape) => shape.points).find(([a, b]) => Math.hypot(a - x, b - y) < SNAP && (a !== x || b !== y));
  return other ? [...other] : [stick(clamp(x)), stick(clamp(y))];
}

export function AreaOverlay({ areas, editing }) {
  const svg = useRef(null);
  const drag = useRef(null);
  const place = (event) => {
    const box = svg.current.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  const shapes = areas.shapes.value;
  const drawing = areas.drawing.value;

  // What is under the pointer: a corner or the middle of an edge of the selected shape, or a shape.
  const under = (event) => {
    const box = svg.current.getBoundingClientRect();
    const reach = event.pointerType === "touch" ? 22 : 11;
    const near = ([x, y]) => Math.hypot(box.left + x * box.width - event.clientX, box.top + y * box.height - event.clientY) < reach;
    const n = areas.chosen.value;
    const points = shapes[n]?.points ?? [];
    const corner = points.findIndex(near);
    if (corner >= 0) return { shape: n, corner };
    const between = points.findIndex((point, at) => near(middle(point, points[(at + 1) % points.length])));
    if (between >= 0) return { shape: n, between };
    return { shape: event.target.dataset.shape };
  };

  const down = (event) => {
    if (!editing) return;
    const spot = under(event);
    if (drawing) {
      const at = snap(place(event), shapes);
      const first = drawing.points[0];
      if (first && drawing.points.length > 2 && Math.hypot(first[0] - at[0], first[1] - at[1]) < 2 * SNAP) finish(areas);
      else areas.drawing.value = { ...drawing, points: [...drawing.points, at] };
    } else if (spot.corner !== undefined || spot.between !== undefined || spot.shape !== undefined) {
      const n = Number(spot.shape);
      areas.chosen.value = n;
      let corner = spot.corner === undefined ? null : Number(spot.corner);
      areas.past.value = [...areas.past.value.slice(-49), JSON.stringify(shapes)];
      if (spot.between !== undefined) {
        corner = Number(spot.between) + 1;
        const changed = structuredClone(shapes);
        changed[n].points.splice(corner, 0, place(event));
        areas.shapes.value = changed;
      }
      areas.corner.value = corner;
      drag.current = { n, corner, from: place(event), points: structuredClone(areas.shapes.value[n].points), moved: spot.between !== undefined };
      svg.current.setPointerCapture(event.pointerId);
    } else {
      areas.chosen.value = areas.corner.value = null;
    }
    svg.current.focus();
    event.preventDefault();
  };

  const move = (event) => {
    const dragged = drag.current;
    if (!dragged) return;
    const at = place(event);
    const changed = structuredClone(areas.shapes.value);
    const others = changed.filter((_, n) => n !== dragged.n);
    if (dragged.corner !== null) changed[dragged.n].points[dragged.corner] = snap(at, others);
    else {
      const xs = dragged.points.map((point) => point[0]);
      const ys = dragged.points.map((point) => point[1]);
      const dx = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), at[0] - dragged.from[0]));
      const dy = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), at[1] - dragged.from[1]));
      changed[dragged.n].points = dragged.points.map(([x, y]) => [clamp(x + dx), clamp(y + dy)]);
    }
    dragged.moved = true;
    areas.shapes.value = changed;
  };

  const up = () => {
    if (drag.current && !drag.current.moved) areas.past.value = areas.past.value.slice(0, -1);
    drag.current = null;
  };

  const key = (event) => {
    if (!editing) return;
    const { chosen, corner } = areas;
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if ((event.ctrlKey || event.metaKey) && event.key === "z") undo(areas);
    else if (event.key === "Enter" && drawing) finish(areas);
    else if (event.key === "Escape") drawing ? (areas.drawing.value = null) : (chosen.value = corner.value = null);
    else if (event.key === "Tab" && chosen.value !== null && !drawing) {
      const many = shapes[chosen.value].points.length;
      const next = (corner.value ?? (event.shiftKey ? many : -1)) + (event.shiftKey ? -1 : 1);
      if (next < 0 || next >= many) return; // to the next control of the page
      corner.value = next;
    } else if ((event.key === "Delete" || event.key === "Backspace") && chosen.value !== null) {
      const n = chosen.value;
      if (corner.value !== null && shapes[n].points.length > 3) {
        const at = corner.value;
        alter(areas, (all) => (all[n].points.splice(at, 1), all));
      } else {
        alter(areas, (all) => all.filter((_, other) => other !== n));
        chosen.value = null;
      }
      corner.value = null;
    } else if (way && chosen.value !== null) {
      const [n, at] = [chosen.value, corner.value];
      const step = event.shiftKey ? 5 : 1;
      alter(areas, (all) => {
        all[n].points = all[n].points.map(([x, y], place_) => (at === null || at === place_ ? [clamp(x + step * way[0]), clamp(y + step * way[1])] : [x, y]));
        return all;
      });
    } else return;
    event.preventDefault();
  };

  const path = (points) => points.map(([x, y]) => `${x * W},${y * W}`).join(" ");
  const dot = (point, kind) => html`<line class="dot ${kind}" x1=${point[0] * W} y1=${point[1] * W} x2=${point[0] * W} y2=${point[1] * W} />`;
  return html`<svg ref=${svg} class="areas ${editing ? "editing" : ""} ${drawing ? "drawing" : ""}" viewBox="0 0 ${W} ${W}" preserveAspectRatio="none" tabindex=${editing ? 0 : -1}
      role=${editing ? "application" : "img"} aria-label=${editing ? "Editor of zones and masks. Tab selects the next corner, arrow keys move it, Delete removes it, Control Z undoes." : `${shapes.length} zones and masks`}
      onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} onPointerCancel=${up} onKeyDown=${key}>
    ${shapes.map((shape, n) => html`<polygon key=${n} class="${shape.kind} ${areas.chosen.value === n ? "chosen" : ""}" points=${path(shape.points)} data-shape=${n}><title>${shape.name}</title></polygon>`)}
    ${editing && !drawing && shapes[areas.chosen.value] && html`${shapes[areas.chosen.value].points.map((point, n, all) => dot(middle(point, all[(n + 1) % all.length]), "between"))}${shapes[areas.chosen.value].points.map((point, n) => dot(point, areas.corner.value === n ? "corner held" : "corner"))}`}
    ${drawing && html`<polyline class="${drawing.kind} fresh" points=${path(drawing.points)} />${drawing.points.map((point, n) => dot(point, n === 0 ? "corner first" : "corner"))}`}
  </svg>`;
}

export function AreaList({ areas, camera }) {
  const name = useSignal("");
  const shapes = areas.shapes.value;
  const changed = JSON.stringify(shapes) !== areas.saved.value;
  const fromFile = camera.origin === "file";
  const admin = isAdmin();
  const [save, saving] = useAction(async () => {
    await ask("PATCH", `/cameras/${camera.name}`, patchOf(shapes, camera));
    areas.past.value = [];
    areas.saved.value = JSON.stringify(shapes);
    await loadCameras();
    say("Saved. It takes effect within a few seconds.");
  });
  const begin = (kind) => {
    const base = kind === "zones" ? "zone" : "mask";
    const chosen = name.value.trim() || `${base}_${shapes.filter((shape) => shape.kind === kind).length + 1}`;
    if (!NAME.test(chosen)) return say('Use letters, digits, "_" and "-".', "bad");
    if (shapes.some((shape) => shape.kind === kind && shape.name === chosen)) return say("This name is in use.", "bad");
    areas.chosen.value = areas.corner.value = null;
    areas.drawing.value = { kind, name: chosen, points: [] };
    name.value = "";
    const picture = document.querySelector(".areas");
    picture?.focus({ preventScroll: true });
    picture?.scrollIntoView({ block: "nearest" }); // not under the header
  };
  return html`<div class="area-list">
    <p class="small muted">With zones, only anomalies in a zone raise events. A masked area is blacked out before frames are scored, stored or shown.</p>
    ${!shapes.length && html`<p>None: the whole picture counts.</p>`}
    <ul>${shapes.map((shape, n) => html`<li key=${`${shape.kind} ${shape.name}`} class=${areas.chosen.value === n ? "chosen" : ""}>
      <button class="quiet grow" onClick=${() => { areas.chosen.value = n; areas.corner.value = null; }} aria-pressed=${areas.chosen.value === n}><i class="swatch ${shape.kind}" aria-hidden="true"></i>${shape.name} <small>${shape.kind === "zones" ? "zone" : "mask"}</small></button>
      ${admin && html`<button class="quiet" aria-label=${`Delete ${shape.name}`} onClick=${() => { alter(areas, (all) => all.filter((_, other) => other !== n)); areas.chosen.value = null; }}>Delete</button>`}
    </li>`)}</ul>
    ${!admin && html`<p class="muted">${ADMIN_ONLY}</p>`}
    ${admin && areas.drawing.value && html`<p role="status">Click the corners on the picture. The first corner again, or Enter, closes it; Escape cancels.</p>
      <p class="row"><button class="primary" disabled=${areas.drawing.value.points.length < 3} onClick=${() => finish(areas)}>Close the area</button><button onClick=${() => undo(areas)}>Undo</button><button onClick=${() => (areas.drawing.value = null)}>Cancel</button></p>`}
    ${admin && !areas.drawing.value && html`<label>Name<input value=${name.value} onInput=${(event) => (name.value = event.target.value)} placeholder="such as porch or tree" maxlength="64" /></label>
      <p class="row"><button onClick=${() => begin("zones")}>Draw a zone</button><button onClick=${() => begin("masks")}>Draw a mask</button><button disabled=${!areas.past.value.length} onClick=${() => undo(areas)}>Undo</button></p>`}
    ${admin && changed && !fromFile && html`<p class="row"><button class="primary" disabled=${saving} onClick=${save}>Save</button><button onClick=${() => { areas.shapes.value = JSON.parse(areas.saved.value); areas.past.value = []; areas.chosen.value = null; }}>Discard</button></p>`}
    ${admin && changed && fromFile && html`<p>This camera is defined in the configuration file. Copy these lines into it, then reload it.</p><pre>${yaml(shapes)}</pre><p class="row"><button onClick=${() => copy(yaml(shapes))}>Copy</button></p>`}
  </div>`;
}

// A merge patch: removed areas become null.
function patchOf(shapes, camera) {
  const patch = { zones: {}, masks: {} };
  for (const kind of ["zones", "masks"]) {
    for (const old of Object.keys(camera.settings?.[kind] ?? {})) patch[kind][old] = null;
  }
  for (const shape of shapes) patch[shape.kind][shape.name] = { ...shape.rest, coordinates: write(shape.points) };
  return patch;
}

function yaml(shapes) {
  const lines = [];
  for (const kind of ["zones", "masks"]) {
    const some = shapes.filter((shape) => shape.kind === kind);
    if (some.length) lines.push(`    ${kind}:`, ...some.map((shape) => `      ${shape.name}: {coordinates: "${write(shape.points)}"}`));
  }
  return lines.join("\n") || "    zones: {}\n    masks: {}";
}
