// Parts that several pages share: status, dialogs, notices, states of loading and emptiness.

import { byId, h } from "./dom.js";
import { isOperator } from "./api.js";
import { STATUS } from "./words.js";

export const status = (name) => h("span", { class: "status", "data-status": name }, STATUS[name] || name);

export const heading = (text, ...beside) => h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, text), ...beside);

export const loading = () => h("p", { class: "loading", role: "status" }, "Loading …");

export const empty = (title, text, ...more) => h("div", { class: "empty" }, h("p", { class: "strong" }, title), h("p", {}, text), ...more);

export function failed(error, again) {
  return h("div", { class: "empty bad", role: "alert" },
    h("p", { class: "strong" }, "This could not be loaded"), h("p", {}, error.message),
    again ? h("button", { type: "button", onclick: again }, "Try again") : null);
}

export const json = (value) => h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": "JSON" }, typeof value === "string" ? value : JSON.stringify(value, null, 2));

export function toast(text, kind = "good") {
  const note = h("p", { class: `toast ${kind}` }, text);
  byId("toasts").append(note);
  setTimeout(() => note.remove(), 7000);
}

// Runs `work` while the button waits; what goes wrong is told, not thrown.
export async function acting(button, work) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    return await work();
  } catch (error) {
    toast(error.message, "bad");
    return undefined;
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

export const actionButton = (label, work, kind = "") =>
  h("button", { type: "button", class: kind, disabled: !isOperator(), title: isOperator() ? null : "Your account may only look",
    onclick: (event) => acting(event.currentTarget, work) }, label);

// Asks before something happens; resolves to what was typed, or to null.
export function confirmed({ title, text, action, kind = "", label = "Reason, for the record", ask = true }) {
  return new Promise((resolve) => {
    const input = h("input", { name: "reason", maxlength: "300", autocomplete: "off" });
    const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes" ? input.value : null);
    } },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title), h("p", {}, text),
      ask ? h("label", { class: "field" }, h("span", {}, label), input) : null,
      h("div", { class: "row end" },
        h("button", { value: "no", class: "quiet", formnovalidate: true }, "Cancel"),
        h("button", { value: "yes", class: kind || "primary" }, action))));
    // The return key in the text field means the action, not the first button.
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        dialog.close("yes");
      }
    });
    document.body.append(dialog);
    dialog.showModal();
    if (ask) input.focus();
  });
}

export const needsUnlock = () => h("p", { class: "hint" }, "Texts and addresses are masked. ",
  isOperator() ? "“Show personal data” at the top shows them for 15 minutes; that is recorded." : "An operator can show them.");
