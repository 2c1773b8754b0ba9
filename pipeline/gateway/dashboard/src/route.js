// The address: #/events?camera=yard → {path: ["events"], query: {camera: "yard"}}.
import { signal } from "@preact/signals";

function read() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const decode = (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return { path: path.split("/").filter(Boolean).map(decode), query: Object.fromEntries(new URLSearchParams(query)) };
}

export const route = signal(read());
addEventListener("hashchange", () => (route.value = read()));

export const go = (hash) => (location.hash = hash);

// Changes the address without a new history entry, as filters do.
export function replace(hash) {
  history.replaceState(null, "", hash);
  route.value = read();
}
