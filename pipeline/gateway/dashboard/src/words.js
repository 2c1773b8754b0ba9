// Texts for states, reasons and times.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const clockSeconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", hour12: false });

export const timeOf = (seconds) => clock.format(seconds * 1000);
export const exactTime = (seconds) => clockSeconds.format(seconds * 1000);
export const fullTime = (seconds) => full.format(seconds * 1000);
export const dateKey = (seconds) => new Date(seconds * 1000).toDateString();

export function dayOf(seconds) {
  const key = dateKey(seconds);
  if (key === new Date().toDateString()) return "Today";
  if (key === new Date(Date.now() - 86400000).toDateString()) return "Yesterday";
  return day.format(seconds * 1000);
}

export function whenever(seconds) {
  return dateKey(seconds) === new Date().toDateString() ? timeOf(seconds) : `${dayOf(seconds)} ${timeOf(seconds)}`;
}

// 0:42, 12:05, 3:10:00
export function clockLength(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

// 8 s, 12 min, 3 h, 5 days
export function span(seconds) {
  if (seconds < 1) return "under 1 s";
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function size(bytes) {
  if (bytes < 1e6) return `${Math.max(0, Math.round(bytes / 1e3))} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

// A score as text; below 0 it is shown as 0.
export const scoreText = (score) => (score == null ? "–" : Math.max(0, score).toFixed(2));

// 4 a day, 1 in 10 days
export const rateText = (perDay) => (perDay < 1 ? `1 in ${Math.round(1 / perDay)} days` : `${Number(perDay.toFixed(1))} a day`);

export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

// State of a camera: text, tone (colour) and rank (0: most urgent).
export function describe(camera, state, score, event, lostAt) {
  const name = state?.state ?? camera.state;
  const reason = state?.reason ?? camera.reason ?? "";
  if (event && !event.suppressed && event.ended_at == null) {
    const where = event.zones?.length ? ` in ${event.zones.join(", ")}` : "";
    return { words: `Anomaly now${where}`, tone: "alarm", rank: 0 };
  }
  switch (name) {
    case "error":
      return { words: "Error", detail: reason, tone: "bad", rank: 1 };
    case "offline":
      return { words: lostAt ? `Offline since ${whenever(lostAt)}` : "Offline", detail: SOURCE_PROBLEMS[reason]?.[0] ?? reason, tone: "bad", rank: 1 };
    case "stale":
      return { words: "Alerts paused", detail: reason || "the view has changed", tone: "warn", rank: 2 };
    case "disabled":
      return { words: "Switched off", tone: "off", rank: 8 };
    case "ended":
      return { words: "Recording has ended", detail: reason, tone: "off", rank: 7 };
    case "adapting":
      return { words: `Adapting ${/^\d+\/\d+$/.test(reason) ? reason : ""}`.trim(), detail: "collecting frames of the normal scene", tone: "busy", rank: 4 };
    case "starting":
      return { words: "Starting", detail: reason, tone: "busy", rank: 4 };
  }
  if (score?.state === "suppressed") {
    return { words: "Suppressed: light changed", detail: score.progress, tone: "warn", rank: 3 };
  }
  const learning = score?.learning ?? camera.learning;
  if (score?.state === "calibrating" || (learning && !learning.trusted)) {
    const left = learning?.trusted_in_seconds;
    return { words: left ? `Learning, ${clockLength(left)} left` : "Learning", detail: "events are stored, no notifications are sent", tone: "busy", rank: 4 };
  }
  return { words: "Watching", tone: "ok", rank: 5 };
}

const REASONS = {
  cooldown: "not sent: cool-down after another event",
  schedule: "not sent: outside of the schedule",
  calibrating: "not sent: during calibration",
};

export function notice(event) {
  if (!event.suppressed) return "sent";
  return REASONS[event.suppressed_by] ?? "not sent";
}

export const LABELS = { normal: "Normal", anomaly: "Real anomaly" };

// The terms of the energy: name and meaning.
export const TERMS = {
  motion: ["Motion", "more or faster motion than normal at this place"],
  residual: ["Appearance", "appearance unlike the normal scene"],
  still: ["Left behind", "a static object that is not part of the scene"],
};

export function because(terms) {
  const strongest = Object.entries(terms ?? {}).sort((a, b) => b[1] - a[1])[0];
  if (!strongest || strongest[1] <= 0) return "";
  return (TERMS[strongest[0]] ?? [strongest[0]])[0];
}

// Why a source cannot be opened, and what to do.
export const SOURCE_PROBLEMS = {
  refused: ["Nothing listens at that address.", "Check the port, and that RTSP is switched on in the camera."],
  unauthorised: ["The camera refuses this user or password.", "Check both. Write @ as %40, / as %2F and : as %3A in the address."],
  not_found: ["The camera answers, but not for this path; or the host name is unknown.", "Look up the path of the stream in the camera's manual."],
  timeout: ["No picture arrived in time.", "Check that the camera is on and reachable, or try the other transport (UDP instead of TCP)."],
  codec: ["Its stream cannot be decoded.", "Set the camera to H.264, H.265 or Motion JPEG, and check that this is the address of a stream, not of a page."],
  corrupt: ["Too many of its pictures are damaged.", "Use TCP, and check the network between here and the camera."],
  ended: ["The camera closed the connection.", "Check how many viewers it allows."],
  malformed: ["This address cannot be used.", ""],
};
