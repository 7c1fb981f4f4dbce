// Agents in force, and who can follow whom.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { drawGraph } from "../graph.js";
import { live } from "../live.js";
import { empty, heading, toast } from "../parts.js";
import { drawRollout } from "../rollout.js";
import { spoken } from "../words.js";

export async function showAgents(main) {
  let print = "";

  async function load() {
    const found = await get("/api/agents");
    const next = JSON.stringify(found);
    if (next === print || main.contains(document.activeElement?.closest?.("details[open]"))) return;
    print = next;
    const open = Boolean(main.querySelector("figure details[open]"));
    draw(main, found);
    if (open) main.querySelector("figure details").open = true;
  }

  await load();
  let heard = Date.now();
  return live.listen(() => {
    if (Date.now() - heard < 2000) return;
    heard = Date.now();
    load().catch((error) => toast(error.message, "bad"));
  });
}

function draw(main, { sequence, version, agents, graph, rollout }) {
  fill(main,
    heading("Agents", agents.length ? h("p", { class: "hint" }, `catalog ${sequence}, version ${version}`) : null),
    agents.length ? h("section", { "aria-labelledby": "graph-heading" }, h("h2", { id: "graph-heading" }, "Who can follow whom"),
      h("p", { class: "hint" }, "Drawn from the contracts: nobody wrote this flow down. Numbers are messages that really went that way."), drawGraph(graph))
      : empty("No agent is in force", "Put the definitions of your folder in force: pointsman agents apply"),
    rollout ? drawRollout(rollout) : null,
    h("ul", { class: "cards grid" }, agents.map((agent) => h("li", { class: "card" },
      h("div", { class: "row" }, h("h2", {}, h("a", { href: `/agents/${agent.name}` }, spoken(agent.name))), h("span", { class: "hint" }, agent.version)),
      h("p", {}, agent.description),
      h("p", { class: "types" }, h("span", { class: "hint" }, "takes "), agent.accepts.map((type) => [h("span", { class: "type" }, type), " "])),
      h("p", { class: "types" }, h("span", { class: "hint" }, "answers "), agent.emits.map(({ type, terminal }) => [h("span", { class: "type" }, type), terminal ? h("span", { class: "hint" }, " ends") : "", " "])),
      h("p", { class: "hint" }, `queue ${agent.lag ?? "unknown"}`)))));
}
