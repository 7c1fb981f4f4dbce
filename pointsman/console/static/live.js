// What moves: one stream for all pages. The browser resumes it by itself with the last id that it heard.

const cards = new Map();
let figures = null;
let source = null;
let state = "connecting";
let waiting = false;
const listeners = new Set();

export const live = {
  cards: () => [...cards.values()].sort((a, b) => (b.touched_at || "").localeCompare(a.touched_at || "")),
  figures: () => figures,
  state: () => state,
  // Calls `listener` after every change, until the returned function is called.
  listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  start() {
    if (source) return;
    source = new EventSource("/api/events");
    source.addEventListener("cards", (event) => take(JSON.parse(event.data)));
    source.addEventListener("figures", (event) => {
      figures = JSON.parse(event.data);
      change("up");
    });
    source.onopen = () => change("up");
    source.onerror = () => {
      change("down");
      if (source.readyState === EventSource.CLOSED) {
        live.stop();
        document.dispatchEvent(new CustomEvent("cutoff"));
      }
    };
  },
  stop() {
    source?.close();
    source = null;
  },
};

function take({ is_all, cards: changed }) {
  if (is_all) cards.clear();
  for (const card of changed) cards.set(card.key, card);
  change("up");
}

// Many changes within one frame are drawn once.
function change(next) {
  state = next;
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    for (const listener of listeners) listener();
  }, 60);
}
