// Light, dark, or as the system has it.
import { signal } from "@preact/signals";

const KEY = "vedette-theme";
const stored = localStorage.getItem(KEY);
export const theme = signal(stored === "light" || stored === "dark" ? stored : "system");

theme.subscribe((value) => {
  if (value === "system") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, value);
  document.documentElement.dataset.theme = value;
});

export const nextTheme = () => {
  const order = ["system", "light", "dark"];
  theme.value = order[(order.indexOf(theme.value) + 1) % 3];
};
