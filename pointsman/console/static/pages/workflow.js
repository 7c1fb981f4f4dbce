// One workflow: why it went the way it did, a row per hop, and the mails as they were sent.

import { get, post } from "../api.js";
import { fill, h } from "../dom.js";
import { live } from "../live.js";
import { actionButton, confirmed, heading, json, needsUnlock, status, toast } from "../parts.js";
import { HOW, between, clock, dollars, duration, many, spoken } from "../words.js";

const OUTCOME = { completed: "workflow complete", abstained: "left to a person", rejected: "dead letter", planned: "taken by its plan" };
const PART = { lead: "MongoDB", message: "Kafka", decision: "Flink", model: "Model", inbox: "Kafka", escalation: "Kafka", dead_letter: "Kafka", effect: "Effect", person: "Person" };

export async function showWorkflow(main, key) {
  const path = `/api/workflows/${encodeURIComponent(key)}`;
  let print = "";

  async function load() {
    const found = await get(path);
    const next = JSON.stringify(found);
    if (next === print) return;
    print = next;
    const open = new Set([...main.querySelectorAll("details[open]")].map((one) => one.dataset.key));
    draw(main, key, found, open);
  }

  await load();
  let touched = live.cards().find((card) => card.key === key)?.touched_at;
  return live.listen(() => {
    const now = live.cards().find((card) => card.key === key)?.touched_at;
    if (now === touched) return;
    touched = now;
    load().catch((error) => toast(error.message, "bad"));
  });
}

function draw(main, key, found, open) {
  const { card } = found;
  const title = card?.title || key;
  document.title = `${title} · Pointsman`;
  const hops = new Map();
  for (const row of found.rows) {
    if (!hops.has(row.hop)) hops.set(row.hop, []);
    hops.get(row.hop).push(row);
  }
  const took = card ? between(card.began_at, card.touched_at) : null;
  fill(main,
    h("p", { class: "crumbs" }, h("a", { href: "/" }, "Board"), " › workflow"),
    heading(title, card ? status(card.status) : null),
    h("p", { class: "hint" }, card ? `began ${clock(card.began_at)}, ${many(card.steps, "step", "steps")}${took === null ? "" : `, ${duration(took)}`} · ` : "", h("code", {}, key)),
    h("div", { class: "row actions" },
      h("button", { type: "button", onclick: () => copyCase(key) }, "Copy link to the case"),
      h("a", { class: "button", href: `/api/workflows/${encodeURIComponent(key)}/case`, download: `${key}.case.json` }, "Download the case"),
      found.waiting.length ? h("a", { class: "button primary", href: "/waiting" }, "Decide") : null,
      card && card.status !== "cancelled" && card.status !== "completed" ? actionButton("End this workflow", () => cancel(key), "quiet danger") : null),
    found.is_unlocked ? null : needsUnlock(),
    h("section", { "aria-labelledby": "way" }, h("h2", { id: "way" }, "What happened, and why"),
      h("ol", { class: "hops" }, [...hops].map(([number, rows]) => drawHop(key, number, rows, open)))),
    h("section", { "aria-labelledby": "mails" }, h("h2", { id: "mails" }, "Mails"),
      found.mails.length ? h("ul", { class: "mails" }, found.mails.map((mail) => drawMail(key, mail))) : h("p", { class: "hint" }, "No mail was begun for this workflow.")));
}

async function copyCase(key) {
  const link = `${location.origin}/api/workflows/${encodeURIComponent(key)}/case`;
  await navigator.clipboard.writeText(link).then(
    () => toast("The link is copied. Save what it shows, then: pointsman case run FILE"),
    () => toast(link, "warn"));
}

async function cancel(key) {
  const reason = await confirmed({ title: "End this workflow?", text: "Nothing of it is routed any more, for good. What an agent already has it still answers, and the answer goes nowhere.", action: "End it", kind: "danger" });
  if (reason === null) return;
  await post(`/api/workflows/${encodeURIComponent(key)}/cancel`, { reason });
  toast("The workflow is ended.");
}

async function correct(workflow, decision) {
  const names = decision.candidates.map((one) => one.agent);
  const said = await confirmed({ title: "Who should have got it?", text: `One of ${names.join(", ")}; leave it empty for nobody. It moves nothing: the router can learn from it.`, action: "Note it", label: "Agent" });
  if (said === null) return;
  await post(`/api/workflows/${encodeURIComponent(workflow)}/correct`, { message_id: decision.message_id, agent: said.trim() || null });
  toast("Noted.");
}

async function became(workflow, mail, outcome) {
  await post(`/api/workflows/${encodeURIComponent(workflow)}/outcome`, { effect_id: mail.effect_id, outcome });
  toast("Noted: the router can learn from it.");
}

function drawHop(workflow, number, rows, open) {
  const of = (part) => rows.filter((row) => row.part === part);
  const message = of("message")[0];
  const decision = of("decision")[0];
  const first = message || decision || rows[0];
  const key = `hop-${number}-${first.message_id || ""}`;
  const effects = [...of("effect"), ...of("dead_letter"), ...of("person")];
  return h("li", { class: "hop", "data-outcome": decision?.title || first.part },
    h("div", { class: "hop-head" },
      h("span", { class: "type" }, first.part === "lead" ? "lead inserted" : first.title),
      h("span", { class: "hint" }, first.from ? `from ${spoken(first.from)}` : ""),
      h("span", { class: "when" }, clock(first.at))),
    decision ? drawDecision(decision, message) : first.part === "message" ? h("p", { class: "hint" }, "waits for the router") : null,
    [...of("model").map((row) => row.usage && ["The router asked", row]), message?.usage && [`${spoken(message.from)} asked`, message]].filter(Boolean).map(([who, row]) => drawUsage(who, row)),
    effects.map((row) => h("p", { class: "fact" }, h("span", { class: "chip" }, PART[row.part]), " ", effectText(row))),
    h("details", { "data-key": key, open: open.has(key) }, h("summary", {}, "Everything about this step"),
      decision && decision.candidates.length > 1 ? actionButton("Say who should have got it", () => correct(workflow, decision), "quiet") : null,
      decision?.candidates.length ? h("div", {}, h("h3", {}, "Candidates"), h("ul", { class: "looked" }, decision.candidates.map((one) => h("li", { "data-fits": String(one.fits) },
        h("strong", {}, spoken(one.agent)), ` ${one.version} `, h("span", { class: "chip" }, one.fits ? "fits" : "fell out"), ` ${one.why}`)))) : null,
      rows.map((row) => h("div", { class: "raw" },
        h("h3", {}, `${PART[row.part]}: ${row.part === "message" ? "came in" : row.part === "inbox" ? "went out" : spoken(row.part)}`),
        h("p", { class: "hint" }, [row.place, row.message_id ? `message ${row.message_id}` : "", row.attempt ? `attempt ${row.attempt}` : "", row.catalog ? `catalog ${row.catalog}` : ""].filter(Boolean).join(" · ")),
        Object.keys(row.content).length ? json(row.content) : null))));
}

function drawDecision(decision, message) {
  const waited = message ? between(message.at, decision.at) : null;
  const to = decision.title === "routed" ? h("strong", {}, spoken(decision.to)) : h("strong", {}, OUTCOME[decision.title] || decision.title);
  return h("div", { class: "decision" },
    h("p", {}, "→ ", to, h("span", { class: "hint" }, ` ${HOW[decision.how] || decision.how}${waited === null ? "" : `, after ${duration(Math.max(0, waited))}`}`)),
    decision.how === "single_candidate" ? null : h("p", { class: "why" }, decision.why));
}

function drawUsage(who, row) {
  const { usage } = row;
  const facts = [usage.model, usage.calls > 1 ? many(usage.calls, "call", "calls") : "", `${usage.input_tokens} + ${usage.output_tokens} tokens`, usage.cost_usd === null ? "price unknown" : dollars(usage.cost_usd), usage.latency_ms === null ? "" : duration(usage.latency_ms / 1000)];
  return h("p", { class: "fact" }, h("span", { class: "chip" }, "Model"), ` ${who} ${facts.filter(Boolean).join(" · ")}`);
}

function effectText(row) {
  if (row.part === "person") return `${row.from}: ${spoken(row.title)} ${row.why}`;
  return [spoken(row.title), row.code ? spoken(row.code) : "", row.why].filter(Boolean).join(" · ");
}

function drawMail(workflow, mail) {
  const rows = [["From", mail.from], ["To", mail.to], ["Subject", mail.subject], ["Date", mail.date || clock(mail.sent_at)], ["Message-ID", mail.message_id]].filter(([, value]) => value);
  return h("li", { class: "card mail" },
    h("div", { class: "row" }, h("strong", {}, mail.subject || "Mail"), h("span", { class: "chip", "data-state": mail.state }, spoken(mail.state)), mail.reason ? h("span", { class: "hint" }, spoken(mail.reason)) : null,
      mail.outcome ? h("span", { class: "chip" }, spoken(mail.outcome)) : null),
    h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    mail.body ? h("pre", { class: "letter" }, mail.body) : null,
    mail.hidden ? h("p", { class: "hint" }, "The text is masked.") : null,
    mail.body && !mail.as_sent ? h("p", { class: "hint" }, "This is the text that the mail was made of; the mail server has the mail itself.") : null,
    mail.state === "sent" && !mail.is_erased ? h("div", { class: "row actions" },
      actionButton("They replied", () => became(workflow, mail, "reply"), "quiet"),
      actionButton("There is a meeting", () => became(workflow, mail, "meeting"), "quiet")) : null);
}
