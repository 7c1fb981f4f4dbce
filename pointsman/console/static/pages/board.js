// The board: stages with what stands in them, and every workflow as it moves.

import { fill, gliding, h, reconcile, setText } from "../dom.js";
import { live } from "../live.js";
import { empty, heading, loading, status } from "../parts.js";
import { STATUS, between, clock, dollars, duration, many, spoken, stageName } from "../words.js";

const MOST = 150;

export function showBoard(main) {
  const chosen = { stage: "", status: new URLSearchParams(location.search).get("status") || "", text: "" };
  const tiles = h("dl", { class: "tiles", "aria-label": "Right now" });
  const stages = h("ul", { class: "stages" });
  const list = h("ol", { class: "rows", "aria-label": "Workflows" });
  const news = h("p", { class: "hint", role: "status" });
  const none = h("div");
  const search = h("input", { type: "search", placeholder: "Company or id", "aria-label": "Search workflows", oninput: () => {
    chosen.text = search.value.trim().toLowerCase();
    draw();
  } });
  const filter = h("select", { "aria-label": "Show", onchange: () => {
    chosen.status = filter.value;
    chosen.stage = "";
    draw();
  } }, h("option", { value: "" }, "All"), ...Object.entries(STATUS).map(([value, label]) => h("option", { value, selected: value === chosen.status }, label[0].toUpperCase() + label.slice(1))));

  function pick(stage) {
    chosen.stage = chosen.stage === stage ? "" : stage;
    chosen.status = filter.value = "";
    draw();
  }

  function draw() {
    const figures = live.figures();
    if (!figures) return;
    reconcile(tiles, tilesOf(figures), (tile) => tile.label, drawTile);
    const most = Math.max(...figures.stages.map((stage) => stage.p95_s || 0));
    reconcile(stages, figures.stages.map((stage) => ({ ...stage, most, chosen: stage.name === chosen.stage })), (stage) => stage.name, (stage) => drawStage(stage, pick));
    const fitting = live.cards().filter((card) => fits(card, chosen));
    gliding(list, () => reconcile(list, fitting.slice(0, MOST), (card) => card.key, drawCard));
    setText(news, `${many(fitting.length, "workflow", "workflows")}${fitting.length > MOST ? `, the latest ${MOST} are shown` : ""}`);
    fill(none, fitting.length ? "" : nothing(figures, chosen));
  }

  fill(main,
    heading("Board"), tiles,
    h("section", { "aria-labelledby": "stages-title" }, h("h2", { id: "stages-title" }, "Stages"), stages),
    h("section", { "aria-labelledby": "flows-title" },
      h("div", { class: "row" }, h("h2", { id: "flows-title" }, "Workflows"), news, h("div", { class: "row end grow" }, search, filter)),
      list, none));
  if (!live.figures()) fill(none, loading());
  draw();
  return live.listen(draw);
}

function fits(card, { stage, status: wanted, text }) {
  return (!stage || card.stage === stage) && (!wanted || card.status === wanted)
    && (!text || `${card.title} ${card.key}`.toLowerCase().includes(text));
}

function nothing(figures, chosen) {
  if (chosen.stage || chosen.status || chosen.text) return empty("Nothing here right now", "No workflow fits what you have chosen above.");
  if (figures.kafka !== "up") return empty("Connecting to Kafka", "Workflows appear as soon as it answers.");
  return empty("No lead yet", "As soon as somebody fills in the form, their way appears here.", h("a", { href: "/form", target: "_blank", rel: "noopener" }, "Open the lead form"));
}

function tilesOf(figures) {
  const { totals, model, job } = figures;
  const rate = model.calls ? `${((100 * model.failed) / model.calls).toFixed(model.failed ? 1 : 0)} %` : "–";
  const spent = model.cost_usd === null ? "unknown" : `${model.is_partial ? "≥ " : ""}${dollars(model.cost_usd)}`;
  const running = totals.running || 0;
  return [
    { label: "In progress", value: running, href: "/?status=running" },
    { label: "Done", value: totals.completed || 0, href: "/?status=completed" },
    { label: "Wait for you", value: figures.waiting + (figures.unknown_effects || 0), href: "/waiting", kind: figures.waiting ? "warn" : "" },
    { label: "Dead letters", value: figures.dead_letters, href: "/dead-letters", kind: figures.dead_letters ? "bad" : "" },
    { label: "Model errors", value: rate, note: `${many(model.calls, "call", "calls")}, last hour`, kind: model.failed ? "warn" : "" },
    { label: "Spent on models", value: spent, note: model.cost_usd === null ? "price not known" : "last hour" },
    { label: "Last checkpoint", value: job.checkpoint_age_s === null ? "unknown" : job.checkpoint_age_s < 1.5 ? "just now" : `${duration(Math.round(job.checkpoint_age_s)).replace(".0", "")} ago`, note: job.state ? `job ${job.state.toLowerCase()}` : "Flink does not answer", kind: job.state === "RUNNING" && (job.checkpoint_age_s ?? 0) < 60 ? "" : "bad" },
  ];
}

function drawTile({ label, value, note, href, kind }) {
  const text = String(value);
  return h("div", { class: "tile", "data-kind": kind || null },
    h("dt", {}, label), h("dd", {}, href ? h("a", { href }, text) : text, note ? h("small", {}, note) : null));
}

function drawStage(stage, pick) {
  const share = stage.most && stage.p95_s ? Math.max(2, Math.round((100 * stage.p95_s) / stage.most)) : 0;
  const facts = stage.p50_s === null ? "nothing passed yet" : `half within ${duration(stage.p50_s)}, 95\u00a0% within ${duration(stage.p95_s)}`;
  const bar = h("meter", { min: "0", max: "100", value: String(share), "aria-hidden": "true" });
  return h("li", {}, h("button", { type: "button", class: "stage", "aria-pressed": String(stage.chosen), onclick: () => pick(stage.name) },
    h("span", { class: "name" }, stageName(stage.name)),
    h("span", { class: "here", "data-busy": stage.here ? "yes" : null }, String(stage.here), h("span", { class: "sr" }, " in progress")),
    h("span", { class: "hint" }, facts), bar,
    stage.name === "router" ? null : h("span", { class: "hint" }, `queue ${stage.lag ?? "unknown"}`)));
}

function drawCard(card) {
  const took = card.status === "running" ? null : between(card.began_at, card.touched_at);
  const where = card.status === "running" ? `with ${stageName(card.stage)}` : card.status === "completed" ? card.event_type : card.reason;
  return h("li", {}, h("a", { class: "flow", href: `/workflows/${encodeURIComponent(card.key)}` },
    h("span", { class: "title" }, card.title || card.key),
    status(card.status),
    h("span", { class: "where" }, where),
    h("span", { class: "way" }, card.way.map(spoken).join(" › ")),
    h("span", { class: "when" }, clock(card.began_at), took === null ? "" : ` · ${duration(took)}`)));
}
