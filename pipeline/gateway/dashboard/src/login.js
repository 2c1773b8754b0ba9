// Log in with a token.
import { html } from "htm/preact";
import { useEffect, useRef } from "preact/hooks";
import { logIn } from "./api.js";
import { useAction } from "./ui.js";

export function Login() {
  const field = useRef(null);
  const [run, busy] = useAction(async (event) => {
    await logIn(field.current.value.trim());
  });
  useEffect(() => {
    document.title = "Log in · Vedette";
    field.current.focus();
  }, []);
  const submit = (event) => {
    event.preventDefault();
    run();
  };
  return html`<main class="login">
    <form onSubmit=${submit}>
      <img src="static/icon.svg" alt="" width="56" height="56" />
      <h1>Vedette</h1>
      <label>Token<input ref=${field} type="password" name="token" autocomplete="current-password" required maxlength="256" placeholder="vedette_…" /></label>
      <button class="primary" disabled=${busy}>Log in</button>
      <p class="muted">An admin creates one with <code>vedette token create NAME</code>.</p>
    </form>
  </main>`;
}
