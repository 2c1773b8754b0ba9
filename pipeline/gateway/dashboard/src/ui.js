// Components that all pages use.
import { html } from "htm/preact";
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";

const toasts = signal([]);
let toastNumber = 0;

export function say(text, tone = "ok") {
  const one = { id: ++toastNumber, text, tone };
  toasts.value = [...toasts.value, one].slice(-4);
  setTimeout(() => (toasts.value = toasts.value.filter((other) => other.id !== one.id)), tone === "bad" ? 9000 : 4000);
}

export const Toasts = () => html`<div class="toasts" role="status" aria-live="polite">
  ${toasts.value.map((one) => html`<p key=${one.id} class="toast ${one.tone}">${one.text}</p>`)}
</div>`;

// Runs an action, reports its error, and disables its button meanwhile.
export function useAction(action) {
  const [busy, setBusy] = useState(false);
  const mounted = useRef(true);
  useEffect(() => () => (mounted.current = false), []);
  const run = async (...given) => {
    setBusy(true);
    try {
      return await action(...given);
    } catch (error) {
      say(error.message, "bad");
    } finally {
      if (mounted.current) setBusy(false);
    }
  };
  return [run, busy];
}

// Loads a value now and whenever the key changes; late answers for an old key are ignored.
export function useLoaded(load, key, everySeconds) {
  const [found, setFound] = useState({ value: null, problem: "", loading: true });
  const again = useRef(() => {});
  useEffect(() => {
    const abort = new AbortController();
    let over = false;
    const run = async () => {
      try {
        const value = await load(abort.signal);
        if (!over) setFound({ value, problem: "", loading: false });
      } catch (error) {
        if (!over && error.name !== "AbortError") setFound((old) => ({ ...old, problem: error.message, loading: false }));
      }
    };
    again.current = run;
    setFound((old) => ({ ...old, loading: true }));
    run();
    const timer = everySeconds && setInterval(() => document.hidden || run(), 1000 * everySeconds);
    return () => {
      over = true;
      abort.abort();
      clearInterval(timer);
    };
  }, [key]);
  return { ...found, reload: () => again.current() };
}

export const Chip = ({ tone, children, title }) => html`<span class="chip ${tone}" title=${title}><i aria-hidden="true"></i>${children}</span>`;

export const Problem = ({ text, again }) =>
  text
    ? html`<div class="problem" role="alert"><p>${text}</p>${again && html`<button onClick=${again}>Try again</button>`}</div>`
    : null;

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2>${children}</div>`;

export function Dialog({ title, close, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} onClose=${close} aria-labelledby="dialog-title">
    <header><h2 id="dialog-title">${title}</h2><button class="quiet" aria-label="Close" onClick=${() => dialog.current.close()}>✕</button></header>
    ${children}
  </dialog>`;
}

// Bars for the contributions of the terms to a score.
export function Terms({ terms, names, empty }) {
  const entries = Object.entries(terms ?? {});
  if (!entries.length) return html`<p class="muted">${empty}</p>`;
  const most = Math.max(1, ...entries.map(([, value]) => value));
  return html`<dl class="terms">
    ${entries.map(([term, value]) => {
      const [name, meaning] = names[term] ?? [term, ""];
      return html`<div key=${term}>
        <dt>${name} <small>${meaning}</small></dt>
        <dd><meter min="0" max=${most} value=${Math.max(0, value)} aria-label=${name}></meter><b>${value.toFixed(2).replace("-", "−")}</b></dd>
      </div>`;
    })}
  </dl>`;
}

export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export async function copy(text, what = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
    say(what);
  } catch {
    // The clipboard API requires HTTPS or localhost.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    say(done ? what : "Cannot copy here; select the text and copy it.", done ? "ok" : "bad");
  }
}
