// Who can follow whom, drawn from the contracts: columns by how far from the start, lines as thick as their traffic.

import { h, svg } from "./dom.js";
import { spoken } from "./words.js";

const WIDE = 170;
const HIGH = 46;
const GAP_X = 92;
const GAP_Y = 34;
const LABEL = { start: "comes in", end: "complete" };

export function drawGraph({ nodes, edges }) {
  const placed = place(nodes);
  const ways = bundled(edges);
  const most = Math.max(1, ...ways.map((way) => way.count));
  const width = Math.max(...placed.map((node) => node.x + WIDE)) + 16;
  const at = new Map(placed.map((node) => [node.name, node]));
  const lines = ways.map((way) => drawWay(way, at, most));
  const top = Math.min(...placed.map((node) => node.y - 8), ...lines.map((line) => line.top));
  const low = Math.max(...placed.map((node) => node.y + HIGH + 8), ...lines.map((line) => line.low));
  const picture = svg("svg", { class: "graph", viewBox: `0 ${top} ${width} ${low - top}`, role: "img", "aria-labelledby": "graph-title graph-text" },
    svg("title", { id: "graph-title" }, "Who can follow whom"),
    svg("desc", { id: "graph-text" }, "The same is in the table below."),
    svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: "7", refY: "4", markerWidth: "7", markerHeight: "7", markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, svg("path", { d: "M0 0 8 4 0 8z", class: "tip" }))),
    lines.map((line) => line.element), placed.map(drawNode));
  picture.setAttribute("width", String(width));
  return h("figure", { class: "figure" }, h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Graph of agents" }, picture),
    h("details", {}, h("summary", {}, "The same as a table"), drawTable(edges)));
}

function place(nodes) {
  const columns = new Map();
  for (const node of nodes) columns.set(node.column, [...(columns.get(node.column) || []), node]);
  const tallest = Math.max(...[...columns.values()].map((column) => column.length));
  return nodes.map((node) => {
    const column = columns.get(node.column);
    const offset = ((tallest - column.length) * (HIGH + GAP_Y)) / 2;
    return { ...node, x: 8 + node.column * (WIDE + GAP_X), y: 40 + offset + column.indexOf(node) * (HIGH + GAP_Y) };
  });
}

// One line between two agents, whatever the number of types that lead along it.
function bundled(edges) {
  const ways = new Map();
  for (const edge of edges) {
    const key = `${edge.from} ${edge.to}`;
    const way = ways.get(key) || { from: edge.from, to: edge.to, count: 0, types: [] };
    way.count += edge.count;
    way.types.push(edge.type);
    ways.set(key, way);
  }
  return [...ways.values()];
}

function drawWay(way, at, most) {
  const [from, to] = [at.get(way.from), at.get(way.to)];
  const weight = way.count ? 1.5 + 4 * Math.sqrt(way.count / most) : 1.2;
  const { d, label, top, low } = curve(from, to, between(from, to, at));
  return { top, low, element: svg("g", { class: way.count ? "way busy" : "way" },
    svg("path", { d, "stroke-width": String(weight), "marker-end": "url(#tip)" }),
    way.count ? svg("text", { x: String(label[0]), y: String(label[1]), "text-anchor": "middle" }, String(way.count)) : "",
    svg("title", {}, `${spoken(way.from)} to ${spoken(way.to)}: ${way.types.join(", ")}; ${way.count} messages`)) };
}

const between = (from, to, at) => [...at.values()].filter((node) => node.column > from.column && node.column < to.column);

// To the next column straight on; further on in an arc over (to the end) or under what stands between; back in a loop.
function curve(from, to, passed) {
  const [x1, y1, x2, y2] = [from.x + WIDE, from.y + HIGH / 2, to.x - 2, to.y + HIGH / 2];
  const middle = (x1 + x2) / 2;
  if (to.column === from.column + 1) {
    const d = `M${x1} ${y1} C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}`;
    return { d, label: [middle, (y1 + y2) / 2 - 6], top: Math.min(y1, y2), low: Math.max(y1, y2) };
  }
  const back = to.column <= from.column;
  const over = to.name === "end";
  const beside = [from, to, ...passed].map((node) => node.y);
  const room = 22 + 9 * passed.length;
  const height = over ? Math.min(...beside) - room : Math.max(...beside) + HIGH + room;
  // The curve passes half way at an eighth of its ends and three quarters of its handles.
  const handle = ((height - (y1 + y2) / 8) * 4) / 3;
  const reach = back ? 64 : GAP_X;
  const d = `M${x1} ${y1} C${x1 + reach} ${handle} ${x2 - reach} ${handle} ${x2} ${y2}`;
  return { d, label: [middle, over ? height - 6 : height + 16], top: height - 22, low: height + 22 };
}

function drawNode(node) {
  const known = LABEL[node.name];
  const box = [
    svg("rect", { x: String(node.x), y: String(node.y), width: String(WIDE), height: String(HIGH), rx: "10" }),
    svg("text", { x: String(node.x + WIDE / 2), y: String(node.y + HIGH / 2 + 5), "text-anchor": "middle" }, known || spoken(node.name)),
  ];
  // The picture is one image to whoever hears it; the links are in the list below, and a click here follows one of them.
  return known ? svg("g", { class: "node outer" }, box) : svg("g", { class: "node", onclick: () => document.querySelector(`main a[href="/agents/${node.name}"]`)?.click() }, box);
}

function drawTable(edges) {
  return h("table", {}, h("thead", {}, h("tr", {}, ["From", "Event type", "To", "Messages"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, edges.map((edge) => h("tr", {}, h("td", {}, LABEL[edge.from] || spoken(edge.from)), h("td", {}, edge.type), h("td", {}, LABEL[edge.to] || spoken(edge.to)), h("td", { class: "number" }, String(edge.count))))));
}
