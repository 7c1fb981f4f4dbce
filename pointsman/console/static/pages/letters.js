// Dead letters: browse by reason, look, mend, send again, set aside.

import { get, isOperator, post } from "../api.js";
import { fill, h } from "../dom.js";
import { live } from "../live.js";
import { actionButton, confirmed, empty, failed, heading, json, loading, needsUnlock, toast } from "../parts.js";
import { clock, many, spoken } from "../words.js";

export async function showLetters(main) {
  const chosen = { group: "", ids: new Set(), all: false, busy: false };
  let print = "";

  async function load(anew = false) {
    const found = await get(`/api/dead-letters${chosen.all ? "?handled=true" : ""}`);
    const next = JSON.stringify(found);
    if (next === print && !anew) return;
    // Somebody is mending one: the page waits until they are done.
    if (print && !anew && main.querySelector("details[open]")) return;
    print = next;
    chosen.ids = new Set([...chosen.ids].filter((id) => found.letters.some((one) => one.id === id)));
    draw(main, found, chosen, () => draw(main, found, chosen, null, load), load);
  }

  await load();
  let heard;
  return live.listen(() => {
    const now = live.figures()?.dead_letters;
    if (now === heard) return;
    heard = now;
    load().catch((error) => toast(error.message, "bad"));
  });
}

const groupOf = (one) => `${one.stage}: ${one.reason}`;

function draw(main, found, chosen, _, load) {
  const again = () => draw(main, found, chosen, null, load);
  const letters = found.letters.filter((one) => !chosen.group || groupOf(one) === chosen.group);
  const count = h("span", { class: "hint", role: "status" });
  const redrive = actionButton("Send again", () => act(chosen, load, "redrive", {}), "primary");
  const discard = actionButton("Set aside", () => setAside(chosen, load), "quiet");
  const boxes = letters.filter((one) => !one.handled).map((one) => [one, h("input", { type: "checkbox", "aria-label": `Choose ${one.id}`, checked: chosen.ids.has(one.id), disabled: !isOperator(), onchange: (event) => {
    if (event.target.checked) chosen.ids.add(one.id);
    else chosen.ids.delete(one.id);
    tell();
  } })]);
  const boxOf = new Map(boxes.map(([one, box]) => [one.id, box]));
  const every = h("input", { type: "checkbox", id: "every", disabled: !isOperator(), onchange: () => {
    for (const [one, box] of boxes) {
      box.checked = every.checked;
      if (every.checked) chosen.ids.add(one.id);
      else chosen.ids.delete(one.id);
    }
    tell();
  } });

  function tell() {
    count.textContent = chosen.ids.size ? `${chosen.ids.size} chosen` : "none chosen";
    every.checked = boxes.length > 0 && boxes.every(([, box]) => box.checked);
    redrive.disabled = discard.disabled = !chosen.ids.size || !isOperator();
  }

  tell();
  fill(main,
    heading("Dead letters", h("label", { class: "row" }, h("input", { type: "checkbox", checked: chosen.all, onchange: (event) => {
      chosen.all = event.target.checked;
      load(true).catch((error) => toast(error.message, "bad"));
    } }), "also those dealt with")),
    found.letters.length ? h("p", { class: "hint" }, "What no retry could save, as it came. Mend the cause or the message, then send it again: it keeps its id, so nothing is done twice.") : empty("No dead letters", "What cannot be worked on lands here, with the reason, and can be sent again."),
    found.groups.length ? h("ul", { class: "groups", "aria-label": "By reason" }, found.groups.map((group) => h("li", {}, h("button", { type: "button", "aria-pressed": String(chosen.group === groupOf(group)), onclick: () => {
      chosen.group = chosen.group === groupOf(group) ? "" : groupOf(group);
      again();
    } }, h("strong", {}, String(group.count)), ` ${spoken(group.reason)} `, h("span", { class: "hint" }, `${spoken(group.stage)}, last ${clock(group.last_at)}`))))) : null,
    letters.length ? h("div", { class: "row actions sticky" }, h("label", { class: "row", for: "every" }, every, "All of these"), count, h("div", { class: "row end grow" }, redrive, discard)) : null,
    h("ul", { class: "rows letters" }, letters.map((one) => drawLetter(one, boxOf.get(one.id), load))),
    found.left_out ? h("p", { class: "hint" }, `and ${found.left_out} older`) : null);
}

function drawLetter(one, box, load) {
  const inside = h("div", { class: "inside" });
  const details = h("details", { ontoggle: () => details.open && inspect(inside, one, load) },
    h("summary", {}, h("span", { class: "title" }, spoken(one.reason)), h("span", { class: "hint" }, ` at ${spoken(one.stage)} · `), h("span", { class: "type" }, one.event_type || "no message"),
      h("span", { class: "when" }, clock(one.failed_at)), h("span", { class: "why" }, one.detail)),
    inside);
  return h("li", { class: "letter-row" }, box || h("span", { class: "chip" }, one.handled ? spoken(one.handled.action.split(".")[1]) : ""), details);
}

async function inspect(inside, one, load) {
  const path = one.id.replace("agent_errors/", "/api/dead-letters/");
  fill(inside, loading());
  try {
    const found = await get(path);
    const text = found.payload === null ? found.text ?? "" : JSON.stringify(found.payload, null, 2);
    const id = `payload-${one.id}`;
    const editor = h("textarea", { id, rows: String(Math.min(24, 3 + text.split("\n").length)), spellcheck: "false", class: "code" });
    editor.value = text;
    const error = h("p", { class: "error", role: "alert" });
    const mend = actionButton("Send mended", async () => {
      error.textContent = "";
      try {
        told(await post(`${path}/edit`, { payload: editor.value }));
        await load(true);
      } catch (problem) {
        error.textContent = problem.message;
      }
    }, "primary");
    const canEdit = found.is_unlocked && isOperator() && !found.handled;
    fill(inside,
      h("dl", {}, [["Lies at", one.id], ["Came from", found.origin], ["Tries", found.attempts], ["Sent again", many(found.redrives, "time", "times")], ["Catalog", found.catalog]].filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
      one.workflow ? h("p", {}, h("a", { href: `/workflows/${encodeURIComponent(one.workflow)}` }, "Its workflow")) : null,
      found.handled ? h("p", { class: "hint" }, `${spoken(found.handled.action.split(".")[1])} by ${found.handled.by}, ${clock(found.handled.at)}`) : null,
      canEdit ? h("div", {}, h("label", { for: id }, h("h2", { class: "small" }, "Payload")), editor, error, h("div", { class: "row actions" }, mend))
        : h("div", {}, h("h2", { class: "small" }, "Payload"), found.payload === null && found.text === null ? h("p", { class: "hint" }, `${found.size} bytes that are no JSON object`) : json(found.payload ?? found.text), found.is_unlocked ? null : needsUnlock()),
      h("details", {}, h("summary", {}, "Headers"), json(found.headers)));
  } catch (problem) {
    fill(inside, failed(problem, () => inspect(inside, one, load)));
  }
}

async function act(chosen, load, verb, body) {
  told(await post(`/api/dead-letters/${verb}`, { ids: [...chosen.ids], ...body }));
  chosen.ids.clear();
  await load(true);
}

async function setAside(chosen, load) {
  const note = await confirmed({ title: `Set ${many(chosen.ids.size, "letter", "letters")} aside?`, text: "They stay where they are; that nothing more is to be done is noted with your name.", action: "Set aside" });
  if (note !== null) await act(chosen, load, "discard", { note });
}

function told({ results, done }) {
  const refused = results.filter((one) => !one.is_done);
  if (done) toast(`${many(done, "letter", "letters")} done.`);
  if (refused.length) toast(`${refused.length} refused: ${refused[0].text}`, "bad");
}
