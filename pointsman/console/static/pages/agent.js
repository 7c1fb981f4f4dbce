// One agent: what it is for, its contracts, who changed it, and changing it.

import { get, isOperator, post } from "../api.js";
import { fill, h } from "../dom.js";
import { actionButton, heading, json, toast } from "../parts.js";
import { clock, many, spoken } from "../words.js";

export async function showAgent(main, name) {
  const found = await get(`/api/agents/${encodeURIComponent(name)}`);
  document.title = `${spoken(name)} · Pointsman`;
  fill(main,
    h("p", { class: "crumbs" }, h("a", { href: "/agents" }, "Agents"), " › agent"),
    heading(spoken(found.name), h("p", { class: "hint" }, `version ${found.version}`)),
    h("p", { class: "lead" }, found.description),
    found.examples.length ? h("div", { class: "two" }, listed("Belongs here", found.examples), listed("Belongs elsewhere", found.counter_examples)) : null,
    h("section", { "aria-labelledby": "contracts" }, h("h2", { id: "contracts" }, "Contracts"),
      contracts("Takes", found.contracts.accepts), contracts("Answers", found.contracts.emits)),
    h("section", { "aria-labelledby": "limits" }, h("h2", { id: "limits" }, "Limits and model"),
      h("dl", {}, Object.entries({ ...found.limits, ...prefixed("model", found.model) }).filter(([, value]) => value !== null).flatMap(([key, value]) => [h("dt", {}, spoken(key)), h("dd", {}, String(value))]))),
    h("section", { "aria-labelledby": "history" }, h("h2", { id: "history" }, "Who changed it"), history(found.history)),
    editor(found));
}

const prefixed = (prefix, values) => Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}_${key}`, value]));

const listed = (title, texts) => h("div", {}, h("h2", { class: "small" }, title), h("ul", {}, texts.map((text) => h("li", {}, text))));

const contracts = (title, entries) => h("div", {}, h("h3", {}, title), entries.map((entry) => h("details", { class: "contract" },
  h("summary", {}, h("span", { class: "type" }, entry.type), entry.terminal ? h("span", { class: "hint" }, " ends the workflow") : "", entry.next_agent ? h("span", { class: "hint" }, ` always goes to ${spoken(entry.next_agent)}`) : ""),
  json(entry.contract))));

function history(steps) {
  if (!steps.length) return h("p", { class: "hint" }, "Nothing is on record. What is applied from now on is.");
  return h("ol", { class: "history" }, steps.map((step) => h("li", {},
    h("p", {}, h("strong", {}, step.by), ` ${spoken(step.action.split(".")[1])} it`, step.version_before && step.version !== step.version_before ? `, ${step.version_before} → ${step.version}` : step.version ? ` (${step.version})` : "", h("span", { class: "when" }, clock(step.at))),
    step.changes.length ? h("details", {}, h("summary", {}, many(step.changes.length, "field changed", "fields changed")), changes(step.changes)) : null)));
}

const changes = (list) => h("table", { class: "changes" }, h("thead", {}, h("tr", {}, ["Field", "Before", "After"].map((name) => h("th", { scope: "col" }, name)))),
  h("tbody", {}, list.map((one) => h("tr", {}, h("td", {}, h("code", {}, one.field)), h("td", { class: "before" }, one.before ?? ""), h("td", { class: "after" }, one.after ?? "")))));

function editor(found) {
  const area = h("textarea", { id: "definition", class: "code", rows: "28", spellcheck: "false", readonly: !isOperator(), "aria-describedby": "edit-hint" });
  area.value = found.yaml;
  const result = h("div", { role: "status" });
  const path = `/api/agents/${encodeURIComponent(found.name)}`;

  async function check() {
    const told = await post(`${path}/check`, { text: area.value, base: found.base });
    fill(result,
      told.problems.length ? h("ul", { class: "problems" }, told.problems.map((one) => problem(one, area))) : "",
      !told.is_valid ? "" : told.changes.length ? h("div", {}, h("h3", {}, "This would change"), changes(told.changes)) : h("p", { class: "hint" }, "It is valid and changes nothing."));
    return told;
  }

  async function apply() {
    const told = await check();
    if (!told.is_valid) return toast("Nothing was applied: correct what is listed.", "bad");
    const done = await post(`${path}/apply`, { text: area.value, base: found.base });
    toast(done.is_changed ? `In force: catalog ${done.sequence}. The running job follows within two seconds.` : "It was in force already.");
    const again = await settled(path, found.base, done.is_changed);
    found.base = again.base;
    document.getElementById("history").nextElementSibling.replaceWith(history(again.history));
    result.replaceChildren();
    return told;
  }

  return h("section", { "aria-labelledby": "edit" }, h("h2", { id: "edit" }, "Definition"),
    h("p", { class: "hint", id: "edit-hint" }, "What you apply here is in force at once for every next decision. The file in your repository is not changed: download this text and commit it, or the next apply from there takes it back."),
    h("label", { class: "sr", for: "definition" }, "Definition as YAML"), area,
    h("div", { class: "row actions" },
      h("button", { type: "button", disabled: !isOperator(), onclick: () => check().catch((error) => toast(error.message, "bad")) }, "Check"),
      actionButton("Apply", apply, "primary"),
      h("button", { type: "button", class: "quiet", onclick: () => save(found.name, area.value) }, "Download")),
    result);
}

function problem(one, area) {
  const jump = () => {
    const lines = area.value.split("\n");
    const start = lines.slice(0, one.line - 1).reduce((sum, line) => sum + line.length + 1, 0) + Math.max(0, one.column - 1);
    area.focus();
    area.setSelectionRange(start, start + 1);
    area.scrollTop = (one.line - 4) * parseFloat(getComputedStyle(area).lineHeight);
  };
  return h("li", { "data-severity": one.severity }, h("button", { type: "button", class: "link", onclick: jump }, one.line ? `line ${one.line}, column ${one.column}` : "whole text"), ` ${one.message}`);
}

// The new catalog comes back over Kafka within moments.
async function settled(path, base, isChanged) {
  let found = await get(path);
  for (let tries = 0; isChanged && found.base === base && tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    found = await get(path);
  }
  return found;
}

function save(name, text) {
  const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/yaml" })), download: `${name}.yaml` });
  link.click();
  URL.revokeObjectURL(link.href);
}
