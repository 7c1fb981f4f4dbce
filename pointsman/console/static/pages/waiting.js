// What waits for a person: decide here. The decision goes back in as a message with your name.

import { get, post } from "../api.js";
import { fill, h, reconcile } from "../dom.js";
import { live } from "../live.js";
import { actionButton, confirmed, empty, heading, json, needsUnlock, toast } from "../parts.js";
import { clock, many, spoken } from "../words.js";

const KIND = {
  approval: ["Needs your approval", "An agent is marked so that a person says yes first."],
  limit: ["A limit was hit", "The workflow went further than it may on its own."],
  undecided: ["Nobody fits", "The router found no agent that it would give this to."],
};

export async function showWaiting(main) {
  const places = { top: h("div"), list: h("ul", { class: "cards" }), rest: h("div") };

  async function load() {
    const { messages, effects, agents, is_unlocked, left_out } = await get("/api/waiting");
    const count = messages.length + effects.length;
    fill(places.top,
      heading("For you", count ? h("p", { class: "hint" }, many(count, "decision", "decisions")) : null),
      count ? null : empty("Nothing waits for you", "When the router is not sure, a limit is hit or a mail's fate is unknown, it appears here."),
      count && !is_unlocked ? needsUnlock() : null);
    // What somebody is looking at or choosing in stays as it is while other cards come and go.
    const cards = [...messages.map((message) => ({ message, agents })), ...effects.map((effect) => ({ effect }))];
    reconcile(places.list, cards, ({ message, effect }) => message?.message_id || effect.effect_id, ({ message, effect }) => (message ? drawMessage(message, agents, load) : drawEffect(effect, load)));
    fill(places.rest, left_out ? h("p", { class: "hint" }, `and ${left_out} more`) : null);
  }

  await load();
  fill(main, Object.values(places));
  let heard = "";
  return live.listen(() => {
    const figures = live.figures();
    const now = `${figures?.waiting} ${figures?.unknown_effects}`;
    if (now === heard) return;
    heard = now;
    load().catch((error) => toast(error.message, "bad"));
  });
}

function drawMessage(one, agents, load) {
  const [title, text] = KIND[one.kind];
  const others = agents.filter((name) => !one.candidates.includes(name));
  const id = `agent-${one.message_id}`;
  const choose = h("select", { id },
    one.kind === "approval" ? null : h("option", { value: "" }, "Let the router decide again"),
    one.candidates.length ? h("optgroup", { label: "Their contract takes it" }, one.candidates.map((name) => h("option", { value: name }, spoken(name)))) : null,
    others.length ? h("optgroup", { label: "Other agents" }, others.map((name) => h("option", { value: name }, spoken(name)))) : null);
  // The one that was proposed may have been removed meanwhile.
  const first = [one.proposed, ...one.candidates].find((name) => [...choose.options].some((option) => option.value === name));
  if (first) choose.value = first;
  const path = `/api/workflows/${encodeURIComponent(one.key)}`;
  const send = async () => {
    await post(`${path}/resume`, { message_id: one.message_id, agent: choose.value || null });
    toast(choose.value ? `Sent on to ${spoken(choose.value)}.` : "Sent back to the router.");
    await settled(load);
  };
  const end = async () => {
    const reason = await confirmed({ title: "End this workflow?", text: "Nothing of it is routed any more, for good.", action: "End it", kind: "danger" });
    if (reason === null) return;
    await post(`${path}/cancel`, { reason });
    toast("The workflow is ended.");
    await settled(load);
  };
  return h("li", { class: "card", "data-kind": one.kind },
    h("div", { class: "row" }, h("h2", {}, title), h("span", { class: "when" }, clock(one.at))),
    h("p", {}, h("a", { href: `/workflows/${encodeURIComponent(one.key)}` }, one.title || one.key), " · ", h("span", { class: "type" }, one.event_type), h("span", { class: "hint" }, ` from ${one.from}`)),
    h("p", { class: "why" }, one.reason || text),
    h("details", {}, h("summary", {}, "What it says"), json(one.payload)),
    h("div", { class: "row actions" }, h("label", { class: "field inline", for: id }, h("span", {}, one.kind === "approval" ? "Approve for" : "Send on to"), choose),
      actionButton(one.kind === "approval" ? "Approve" : "Send on", send, "primary"), actionButton("End the workflow", end, "quiet danger")));
}

function drawEffect(one, load) {
  const say = (verdict, text) => async () => {
    await post(`/api/effects/${encodeURIComponent(one.effect_id)}/resolve`, { verdict });
    toast(text);
    await settled(load);
  };
  return h("li", { class: "card", "data-kind": "unknown" },
    h("div", { class: "row" }, h("h2", {}, "Was this mail sent?"), h("span", { class: "when" }, clock(one.at))),
    h("p", { class: "why" }, "The connection broke before the mail server answered. Look for the Message-ID at your mail provider, then say what you found. It is not sent again either way."),
    h("p", {}, h("span", { class: "hint" }, "Message-ID "), h("code", {}, one.message_id || "none")),
    h("details", {}, h("summary", {}, "What the ledger says"), json(one.facts)),
    h("div", { class: "row actions" }, actionButton("It was sent", say("sent", "Noted: sent."), "primary"), actionButton("It was not sent", say("rejected", "Noted: not sent."))));
}

// What was decided comes back over Kafka within moments: look until it has.
async function settled(load) {
  for (const wait of [300, 700, 1500]) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    await load();
  }
}
