// Dead letters: browse by reason, look, mend, send again, set aside.

import { get, isOperator, post } from "../api.js";
import { fill, h, reconcile } from "../dom.js";
import { live } from "../live.js";
import { actionButton, confirmed, empty, failed, heading, json, loading, needsUnlock, toast } from "../parts.js";
import { clock, many, spoken } from "../words.js";

export async function showLetters(main) {
  const chosen = { group: "", ids: new Set(), all: false };
  const places = { top: h("div"), bar: h("div", { class: "row actions sticky" }), list: h("ul", { class: "rows letters" }), rest: h("div") };
  let found = null;

  async function load() {
    found = await get(`/api/dead-letters${chosen.all ? "?handled=true" : ""}`);
    chosen.ids = new Set([...chosen.ids].filter((id) => found.letters.some((one) => one.id === id)));
    show();
  }

  function show() {
    const letters = found.letters.filter((one) => !chosen.group || groupOf(one) === chosen.group);
    drawTop(places.top, found, chosen, show);
    const tell = drawBar(places.bar, letters, places.list, chosen, load);
    // A letter that somebody has open stays as it is while others come and go around it.
    reconcile(places.list, letters, (one) => one.id, (one) => drawLetter(one, load));
    fill(places.rest, found.left_out ? h("p", { class: "hint" }, `and ${found.left_out} older`) : null);
    tell();
  }

  const all = h("input", { type: "checkbox", onchange: () => {
    chosen.all = all.checked;
    load().catch((error) => toast(error.message, "bad"));
  } });
  await load();
  fill(main, heading("Dead letters", h("label", { class: "row" }, all, "also those dealt with")), Object.values(places));
  let heard;
  return live.listen(() => {
    const now = live.figures()?.dead_letters;
    if (now === heard) return;
    heard = now;
    load().catch((error) => toast(error.message, "bad"));
  });
}

const groupOf = (one) => `${one.stage}: ${one.reason}`;

function drawTop(place, found, chosen, show) {
  fill(place,
    found.letters.length ? h("p", { class: "hint" }, "What no retry could save, as it came. Mend the cause or the message, then send it again: it keeps its id, so nothing is done twice.") : empty("No dead letters", "What cannot be worked on lands here, with the reason, and can be sent again."),
    found.groups.length ? h("ul", { class: "groups", "aria-label": "By reason" }, found.groups.map((group) => h("li", {}, h("button", { type: "button", "aria-pressed": String(chosen.group === groupOf(group)), onclick: () => {
      chosen.group = chosen.group === groupOf(group) ? "" : groupOf(group);
      show();
    } }, h("strong", {}, String(group.count)), ` ${spoken(group.reason)} `, h("span", { class: "hint" }, `${spoken(group.stage)}, last ${clock(group.last_at)}`))))) : null);
}

// What is done with all that are chosen. Gives the function that tells how many these are.
function drawBar(place, letters, list, chosen, load) {
  const open = letters.filter((one) => !one.handled);
  const count = h("span", { class: "hint", role: "status" });
  const redrive = actionButton("Send again", () => act(chosen, load, "redrive", {}), "primary");
  const discard = actionButton("Set aside", () => setAside(chosen, load), "quiet");
  const every = h("input", { type: "checkbox", id: "every", disabled: !isOperator(), onchange: () => {
    for (const one of open) {
      if (every.checked) chosen.ids.add(one.id);
      else chosen.ids.delete(one.id);
    }
    tell();
  } });

  function tell() {
    for (const box of list.querySelectorAll("input[data-letter]")) box.checked = chosen.ids.has(box.dataset.letter);
    count.textContent = chosen.ids.size ? `${chosen.ids.size} chosen` : "none chosen";
    every.checked = open.length > 0 && open.every((one) => chosen.ids.has(one.id));
    redrive.disabled = discard.disabled = !chosen.ids.size || !isOperator();
  }

  list.onchange = (event) => {
    const { letter } = event.target.dataset;
    if (!letter) return;
    if (event.target.checked) chosen.ids.add(letter);
    else chosen.ids.delete(letter);
    tell();
  };
  place.hidden = !letters.length;
  fill(place, h("label", { class: "row", for: "every" }, every, "All of these"), count, h("div", { class: "row end grow" }, redrive, discard));
  return tell;
}

function drawLetter(one, load) {
  const inside = h("div", { class: "inside" });
  const details = h("details", { ontoggle: () => details.open && inspect(inside, one, load) },
    h("summary", {}, h("span", { class: "title" }, spoken(one.reason)), h("span", { class: "hint" }, ` at ${spoken(one.stage)} · `), h("span", { class: "type" }, one.event_type || "no message"),
      h("span", { class: "when" }, clock(one.failed_at)), h("span", { class: "why" }, one.detail)),
    inside);
  const first = one.handled ? h("span", { class: "chip" }, spoken(one.handled.action.split(".")[1]))
    : h("input", { type: "checkbox", "data-letter": one.id, "aria-label": `Choose ${one.id}`, disabled: !isOperator() });
  return h("li", { class: "letter-row" }, first, details);
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
        await load();
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
  await load();
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
