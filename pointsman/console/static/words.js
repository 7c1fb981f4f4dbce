// How times, amounts and states are said.

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function clock(text) {
  if (!text) return "";
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return "";
  const today = new Date().toDateString() === time.toDateString();
  return today ? clockFormat.format(time) : `${dayFormat.format(time)}, ${clockFormat.format(time)}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "unknown";
  if (seconds < 1) return `${Math.round(seconds * 1000)}\u00a0ms`;
  if (seconds < 60) return `${seconds.toFixed(1)}\u00a0s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
}

export const between = (from, to) => (from && to ? (new Date(to) - new Date(from)) / 1000 : null);

export function dollars(amount) {
  if (amount === null || amount === undefined) return "unknown";
  return amount >= 0.995 || amount === 0 ? `$${amount.toFixed(2)}` : `$${amount.toPrecision(2)}`;
}

export const many = (count, one, more) => `${count} ${count === 1 ? one : more}`;

// Names are written with underscores and dots; people read words.
export const spoken = (name) => (name || "").replace(/_/g, " ");

export const STATUS = {
  running: "in progress",
  completed: "done",
  waiting_for_person: "for you",
  dead_letter: "dead letter",
  cancelled: "ended",
};

export const HOW = {
  override: "a person chose",
  rule: "strict rule of the sender",
  single_candidate: "the only agent that fits",
  model: "the model chose",
  fallback_model: "a stand-in model chose",
  contract: "decided by contract",
};

export const stageName = (name) => (name === "router" ? "router" : spoken(name));
