// Draws /api/state. Texts come from leads and models: they are only ever set as text, never as markup.
"use strict";

const POLL_MS = 1000;
const HOW = {
  override: "a person named it", rule: "strict rule", single_candidate: "only candidate",
  model: "chosen by the model", fallback_model: "chosen by a fallback model",
  local_model: "chosen by the local model", contract: "by contract",
};
const byId = (id) => document.getElementById(id);
let known = "";
let drawn = false;

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== "") element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function clock(iso) {
  const element = make("time", { datetime: iso, title: iso });
  element.textContent = new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return element;
}

function took(from, to) {
  if (!from || !to) return "";
  const ms = new Date(to) - new Date(from);
  return ms < 1000 ? `${Math.max(0, ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`;
}

// Keeps what did not change: open cards stay open, the keyboard focus stays where it is.
function reconcile(list, items, draw) {
  const old = new Map([...list.children].map((element) => [element.dataset.key, element]));
  let place = list.firstElementChild;
  for (const item of items) {
    const print = JSON.stringify(item);
    let element = old.get(item.id);
    old.delete(item.id);
    if (!element) {
      element = make("li", { "data-key": item.id, id: `${list.id}-${item.id}`, class: drawn ? "fresh" : "" });
    }
    if (element.dataset.print !== print) {
      const was = element.querySelector("details");
      const focused = was && was.querySelector("summary") === document.activeElement;
      element.replaceChildren(draw(item, was ? was.open : isLinked(element)));
      element.dataset.print = print;
      if (focused) element.querySelector("summary").focus();
    }
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  for (const element of old.values()) element.remove();
}

// A link such as /#leads-list-<workflow id> opens that lead.
function isLinked(element) {
  return decodeURIComponent(location.hash.slice(1)) === element.id;
}

function drawJourney(journey, open) {
  const agents = [];
  for (const hop of journey.hops) if (hop.agent && hop.agent !== agents[agents.length - 1]) agents.push(hop.agent);
  const end = journey.lane === "completed" ? journey.hops[journey.hops.length - 1].event_type : null;
  const route = [...agents, end].filter(Boolean).map((name) => make("span", {}, name));
  return make("details", { "data-lane": journey.lane, ...(open ? { open: "open" } : {}) },
    make("summary", {},
      make("span", { class: "head" },
        make("strong", {}, journey.title || journey.id),
        make("span", { class: "stage" }, journey.stage),
        make("span", { class: "when" }, journey.began_at ? clock(journey.began_at) : "",
          journey.began_at && journey.touched_at ? ` · ${took(journey.began_at, journey.touched_at)}` : "")),
      make("div", { class: "sub route" }, ...route)),
    make("ol", { class: "way", "aria-label": `Way of ${journey.title || journey.id}` }, ...journey.hops.map(drawHop)),
    make("p", { class: "facts way" }, "workflow ", make("code", {}, journey.id)));
}

function drawHop(hop) {
  const outcomes = { completed: "workflow complete", abstained: "no agent: waits for a person", rejected: "dead letter", planned: "taken by its plan" };
  const to = hop.outcome === "routed" ? make("strong", {}, hop.agent) : outcomes[hop.outcome] || "waits for the router";
  const facts = [
    HOW[hop.how] || "", hop.model ? `model ${hop.model}` : "", hop.catalog_sequence ? `catalog ${hop.catalog_sequence}` : "",
    hop.decided_at && hop.written_at ? `after ${took(hop.written_at, hop.decided_at)}` : "",
  ].filter(Boolean).join(" · ");
  const looked = hop.candidates.length > 1 || hop.outcome === "abstained" || hop.outcome === "rejected";
  return make("li", { "data-outcome": hop.outcome },
    make("p", {}, make("span", { class: "type" }, hop.event_type || "unknown type"),
      make("span", { class: "sub" }, ` from ${hop.source || "unknown"} `), "→ ", to),
    hop.reason ? make("p", { class: "reason" }, hop.reason) : null,
    looked && hop.candidates.length ? make("ul", { class: "looked", "aria-label": "Agents looked at" },
      ...hop.candidates.map((one) => make("li", {},
        make("b", {}, one.agent === hop.agent ? `${one.agent} ✓` : one.agent), one.fits ? " fits: " : " fell out: ", one.why))) : null,
    make("p", { class: "facts" }, hop.decided_at ? clock(hop.decided_at) : hop.written_at ? clock(hop.written_at) : "",
      facts ? ` · ${facts}` : ""));
}

function drawMail(mail, open) {
  const rows = [["From", mail.from], ["To", mail.to], ["Date", mail.date]].filter(([, value]) => value);
  return make("details", open ? { open: "open" } : {},
    make("summary", {}, make("span", { class: "head" }, make("strong", {}, mail.subject || "(no subject)")),
      make("div", { class: "sub" }, `to ${mail.to || "nobody"}`)),
    make("div", { class: "mail" },
      make("dl", {}, ...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
      make("pre", {}, mail.body)));
}

function drawAgent(agent) {
  const types = (entries) => entries.flatMap((entry) => [make("span", { class: "type" }, entry), " "]);
  return make("div", { class: "agent" },
    make("div", { class: "head" }, make("strong", {}, agent.name), make("span", { class: "sub" }, agent.version)),
    make("p", { class: "sub" }, agent.description),
    make("div", { class: "sub" }, "takes ", ...types(agent.accepts)),
    make("div", { class: "sub" }, "answers ", ...types(agent.emits.map((entry) => entry.terminal ? `${entry.type} ■` : entry.type))));
}

function section(name, items, draw, empty, left) {
  reconcile(byId(`${name}-list`), items, draw);
  const hint = byId(`${name}-empty`);
  hint.hidden = items.length > 0;
  hint.textContent = empty;
  const more = byId(`${name}-more`);
  if (more) {
    more.hidden = !left;
    more.textContent = left ? `and ${left} older` : "";
  }
}

function show(state) {
  const read = state.journeys.length > 0 || state.catalog.agents.length > 0;
  const unknown = !read && state.kafka !== "up";
  const waiting = state.kafka === "down" ? "Not known: Kafka does not answer." : "Connecting to Kafka …";
  const pill = byId("kafka");
  pill.dataset.state = state.kafka;
  pill.textContent = `Kafka: ${{ up: "connected", down: "not reachable", connecting: "connecting" }[state.kafka]}`;
  trouble(state.kafka !== "down" ? "" : read
    ? "Kafka does not answer. You see what was read before; the page tries again by itself."
    : "Kafka does not answer; the page tries again by itself. Is the stack up? pointsman status");
  const counts = { ...state.counts, mails: state.mailbox.count };
  counts.rejected += state.unreadable;
  for (const box of byId("counts").children) {
    box.querySelector("dd").textContent = unknown && box.dataset.lane !== "mails" ? "–" : counts[box.dataset.lane];
  }
  section("leads", state.journeys, drawJourney, unknown ? waiting
    : "No lead yet. Add some: pointsman leads add --file examples/leads.json", state.journeys_left_out);
  section("mailbox", state.mailbox.mails, drawMail, "No mail received yet.", state.mailbox.count - state.mailbox.mails.length);
  section("agents", state.catalog.agents.map((agent) => ({ ...agent, id: agent.name })), drawAgent,
    unknown ? waiting : "No agent is in force. Apply the definitions: pointsman agents apply");
  byId("catalog").textContent = state.catalog.agents.length ? `catalog ${state.catalog.sequence} · ${state.catalog.version}` : "";
  const flink = byId("flink");
  flink.hidden = !state.flink_url;
  if (state.flink_url) flink.href = state.flink_url;
  const news = unknown ? "" : `${counts.working} leads in progress, ${counts.completed} completed, ${counts.mails} mails received`;
  if (byId("news").textContent !== news) byId("news").textContent = news;
  if (!drawn && location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  drawn = true;
}

function trouble(text) {
  const bar = byId("trouble");
  if (bar.textContent !== text) bar.textContent = text;
  bar.hidden = !text;
}

async function poll() {
  if (!document.hidden) {
    try {
      const answer = await fetch(`/api/state?known=${encodeURIComponent(known)}`, { cache: "no-store" });
      if (answer.status === 200) {
        const state = await answer.json();
        show(state);
        known = state.version;
      } else if (answer.status === 204) {
        if (byId("kafka").dataset.state !== "down") trouble("");
      } else {
        trouble(`The page's server answered ${answer.status}. Trying again.`);
      }
    } catch {
      trouble("The page's server does not answer. Start it again with: pointsman up");
    }
  }
  setTimeout(poll, POLL_MS);
}

document.addEventListener("DOMContentLoaded", poll);
