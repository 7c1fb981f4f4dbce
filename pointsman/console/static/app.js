// The frame around the pages: who is logged in, which page is shown, what every page says at the top.

import { ask, get, isOperator, person, post, remember } from "./api.js";
import { byId, fill, h, setText } from "./dom.js";
import { live } from "./live.js";
import { acting, confirmed, failed, loading, toast } from "./parts.js";
import { clock } from "./words.js";
import { showAgent } from "./pages/agent.js";
import { showAgents } from "./pages/agents.js";
import { showBoard } from "./pages/board.js";
import { showLetters } from "./pages/letters.js";
import { showLogin } from "./pages/login.js";
import { showWaiting } from "./pages/waiting.js";
import { showWorkflow } from "./pages/workflow.js";

const PAGES = [
  [/^\/$/, "Board", showBoard],
  [/^\/workflows\/([^/]+)$/, "Workflow", showWorkflow],
  [/^\/waiting$/, "For you", showWaiting],
  [/^\/dead-letters$/, "Dead letters", showLetters],
  [/^\/agents$/, "Agents", showAgents],
  [/^\/agents\/([^/]+)$/, "Agent", showAgent],
];

let leave = null;
let shown = 0;

export function go(path) {
  history.pushState(null, "", path);
  open();
}

async function open() {
  const mine = ++shown;
  leave?.();
  leave = null;
  const main = byId("main");
  if (!person()) return login(main);
  const [pattern, title, show] = PAGES.find(([pattern]) => pattern.test(location.pathname)) || [/^/, "Not found", notFound];
  document.title = `${title} · Pointsman`;
  for (const link of byId("nav").children) {
    const path = new URL(link.href).pathname;
    const here = path === location.pathname || (path !== "/" && location.pathname.startsWith(`${path}/`));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  // A place of its own: a page that was left while it loaded draws where nobody looks.
  const place = h("div", {}, loading());
  fill(main, place);
  try {
    const parameters = (pattern.exec(location.pathname) || []).slice(1).map(decodeURIComponent);
    const cleanup = await show(place, ...parameters);
    if (mine === shown) leave = cleanup || null;
    else cleanup?.();
  } catch (error) {
    fill(place, failed(error, open));
  }
  if (mine === shown && mine > 1) (main.querySelector("h1") || main).focus({ preventScroll: true });
}

function login(main) {
  live.stop();
  byId("top").hidden = true;
  byId("banners").replaceChildren();
  document.title = "Log in · Pointsman";
  showLogin(main, () => {
    if (location.pathname === "/login") history.replaceState(null, "", "/");
    begin();
  });
}

function notFound(main) {
  fill(main, h("div", { class: "empty" }, h("h1", { tabindex: "-1" }, "There is no such page"), h("a", { href: "/" }, "To the board")));
}

function begin() {
  byId("top").hidden = false;
  live.start();
  frame();
  open();
}

// Numbers in the navigation, what is wrong right now, and who is logged in.
function frame() {
  const figures = live.figures();
  badge("count-waiting", figures ? figures.waiting + (figures.unknown_effects || 0) : 0, "to decide");
  badge("count-letters", figures?.dead_letters || 0, "open");
  const unlock = byId("unlock");
  unlock.hidden = !isOperator();
  const until = person()?.unlocked_until;
  unlock.setAttribute("aria-pressed", String(Boolean(until)));
  setText(unlock, until ? "Hide personal data" : "Show personal data");
  byId("logout").title = person() ? `${person().name}, ${person().role}` : "";
  const effects = byId("effects");
  effects.hidden = !isOperator() || !figures;
  if (figures) setText(effects, figures.effects.is_allowed ? "Stop all mails" : "Start mails again");
  banners(figures);
}

function badge(id, count, what) {
  const element = byId(id);
  element.hidden = !count;
  setText(element, count ? String(count) : "");
  if (count) element.setAttribute("aria-label", `${count} ${what}`);
}

function banners(figures) {
  const told = [];
  if (live.state() === "down") told.push(["bad", "The console's server does not answer. What you see may be old; the page tries again by itself."]);
  else if (figures?.kafka === "down") told.push(["bad", "Kafka does not answer. You see what was read before; the page tries again by itself."]);
  if (figures && !figures.effects.is_allowed) {
    const { by, at, reason } = figures.effects;
    told.push(["warn", `All mails are stopped${by ? ` by ${by}, ${clock(at)}` : ""}${reason ? `: ${reason}` : "."}`]);
  }
  if (figures?.job.state && figures.job.state !== "RUNNING") told.push(["bad", `The router job is not running (${figures.job.state.toLowerCase()}): messages wait.`]);
  if (person()?.unlocked_until) told.push(["warn", `Personal data is shown until ${clock(person().unlocked_until)}.`]);
  const print = JSON.stringify(told);
  const place = byId("banners");
  if (place.dataset.print === print) return;
  place.dataset.print = print;
  fill(place, ...told.map(([kind, text]) => h("p", { class: `banner ${kind}` }, text)));
}

async function switchEffects() {
  const stop = live.figures().effects.is_allowed;
  const reason = await confirmed(stop
    ? { title: "Stop all mails?", text: "Within a second no mail leaves any more. Everything else goes on, and what waits is kept. You can start again at any time.", action: "Stop all mails", kind: "danger" }
    : { title: "Start mails again?", text: "What has waited leaves at once, each mail once. The daily cap holds.", action: "Start mails" });
  if (reason === null) return;
  await post("/api/effects/switch", { is_allowed: !stop, reason });
  toast(stop ? "All mails are stopped." : "Mails leave again.");
}

async function switchUnlock() {
  if (person().unlocked_until) remember(await post("/api/session/lock"));
  else {
    const reason = await confirmed({ title: "Show personal data?", text: "Names, addresses and texts are shown in full for 15 minutes. That you did so is recorded.", action: "Show" });
    if (reason === null) return;
    remember(await post("/api/session/unlock", { reason }));
  }
  open();
}

async function logout() {
  await ask("/api/session", { method: "DELETE" });
  remember(null);
  history.replaceState(null, "", "/login");
  open();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  if (!link || link.target || link.download || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !PAGES.some(([pattern]) => pattern.test(url.pathname)) || url.hash) return;
  event.preventDefault();
  go(url.pathname + url.search);
  scrollTo(0, 0);
});
addEventListener("popstate", open);
document.addEventListener("session", () => person() && frame());
document.addEventListener("loggedout", () => {
  if (!person()) return;
  remember(null);
  open();
});
document.addEventListener("cutoff", async () => {
  // The stream was refused: either the login is over, or the server is away for longer.
  try {
    remember(await get("/api/session"));
    live.start();
  } catch (error) {
    if (error.status !== 401) setTimeout(() => document.dispatchEvent(new CustomEvent("cutoff")), 2000);
  }
});
byId("effects").addEventListener("click", (event) => acting(event.currentTarget, switchEffects));
byId("unlock").addEventListener("click", (event) => acting(event.currentTarget, switchUnlock));
byId("logout").addEventListener("click", (event) => acting(event.currentTarget, logout));
live.listen(frame);
setInterval(() => {
  const until = person()?.unlocked_until;
  if (until && new Date(until) < new Date()) {
    remember({ ...person(), unlocked_until: null });
    open();
  }
}, 5000);

try {
  remember(await get("/api/session"));
  if (location.pathname === "/login") history.replaceState(null, "", "/");
  begin();
} catch (error) {
  if (error.status === 401) open();
  else fill(byId("main"), failed(error, () => location.reload()));
}
