// A rollout: what is tried beside what is in force, what each side has decided, and where they differ.

import { h } from "./dom.js";

const STAGE = { shadow: "looks at a copy", canary: "decides for a share", promoted: "in force", aborted: "given up", rolled_back: "given up by its rule" };

const table = (columns, rows) => h("table", {},
  h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
  h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", {}, cell))))));

export function drawRollout({ id, stage, percent, candidate, by, reason, counts }) {
  const tried = [candidate.model ? `model ${candidate.model}` : null, candidate.has_prompt ? "a prompt of its own" : null,
    candidate.agents ? `a catalog of ${candidate.agents} agents` : null].filter(Boolean).join(", ");
  const sides = Object.entries(counts.arms).filter(([, one]) => one.decisions);
  const { shadow } = counts;
  return h("section", { "aria-labelledby": "rollout-heading" },
    h("h2", { id: "rollout-heading" }, "Rollout"),
    h("p", {}, h("span", { class: "strong" }, id), `: ${STAGE[stage] || stage}, ${percent} %, ${tried}, by ${by}`, reason ? `. ${reason}` : ""),
    sides.length || shadow.decisions ? table(["Side", "Decisions", "Left to a person", "Errors", "Other than live", "Not looked at"], [
      ...sides.map(([side, one]) => [side, one.decisions, one.abstained, one.errors, "-", "-"]),
      ...(shadow.decisions ? [["shadow", shadow.decisions, shadow.abstained, shadow.errors, shadow.disagreed, shadow.skipped]] : []),
    ]) : h("p", { class: "hint" }, "Nothing is decided yet."),
    shadow.differences.length ? h("details", {}, h("summary", {}, "Where the candidate would do otherwise"),
      table(["Workflow", "Event type", "Live", "Candidate"], shadow.differences.map((one) =>
        [h("a", { href: `/workflows/${encodeURIComponent(one.workflow)}` }, one.workflow), one.event_type, one.live, one.shadow]))) : null);
}
