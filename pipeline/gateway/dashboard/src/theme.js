// Light, dark, or as the system sets it; the resolved theme is an attribute of the document.
import { computed, signal } from "@preact/signals";

const KEY = "vedette-theme";
const stored = localStorage.getItem(KEY);
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = signal(systemDark.matches ? "dark" : "light");
systemDark.addEventListener("change", () => (systemTheme.value = systemDark.matches ? "dark" : "light"));

export const choice = signal(stored === "light" || stored === "dark" ? stored : "system");
export const theme = computed(() => (choice.value === "system" ? systemTheme.value : choice.value));

choice.subscribe((value) => {
  if (value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, value);
});
theme.subscribe((value) => (document.documentElement.dataset.theme = value));

export const nextTheme = () => {
  const order = ["system", "light", "dark"];
  choice.value = order[(order.indexOf(choice.value) + 1) % 3];
};
