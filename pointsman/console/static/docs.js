// Draws the OpenAPI description, without anything from elsewhere.

import { byId, fill, h } from "./dom.js";
import { failed } from "./parts.js";

const resolve = (schema, known) => (schema?.$ref ? known[schema.$ref.split("/").pop()] : schema);

function kind(schema) {
  if (schema.anyOf) return schema.anyOf.map(kind).join(" or ");
  const bound = schema.maxLength ? `, at most ${schema.maxLength} characters` : "";
  return `${schema.format || schema.type || "any"}${bound}`;
}

function fields(schema, known) {
  const found = resolve(schema, known);
  const required = new Set(found?.required || []);
  return h("table", {}, h("thead", {}, h("tr", {}, ["Field", "Type", "What"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, Object.entries(found?.properties || {}).map(([name, one]) => h("tr", {}, h("td", {}, h("code", {}, name), required.has(name) ? " *" : ""), h("td", {}, kind(one)), h("td", {}, one.description || "")))));
}

function drawOperation(path, method, operation, known) {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  return h("section", { class: "card" },
    h("h2", {}, h("code", {}, `${method.toUpperCase()} ${path}`)), h("p", {}, operation.summary || ""), h("p", {}, operation.description || ""),
    (operation.parameters || []).map((one) => h("p", {}, h("code", {}, one.name), ` (${one.in}): ${one.description || ""}`)),
    body ? h("div", {}, h("h3", {}, "Body (JSON; * needed)"), fields(body, known)) : null,
    h("h3", {}, "Answers"), h("ul", {}, Object.entries(operation.responses).map(([status, one]) => h("li", {}, h("code", {}, status), ` ${one.description || ""}`))));
}

async function draw() {
  try {
    const found = await (await fetch("/api/openapi.json")).json();
    const known = found.components?.schemas || {};
    const operations = Object.entries(found.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, one]) => drawOperation(path, method, one, known)));
    fill(byId("operations"),
      h("section", { class: "card" }, h("h2", {}, "Try it"), h("pre", { class: "code", tabindex: "0" },
        `curl -X POST ${location.origin}/api/leads \\\n  -H 'X-API-Key: <your key>' -H 'Idempotency-Key: <one per lead>' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"email": "dana@customer.example", "company": "Northwind", "message": "A demo, please", "consent": true}'`)),
      ...operations);
  } catch (error) {
    fill(byId("operations"), failed(error, draw));
  }
}

draw();
