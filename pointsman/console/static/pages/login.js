// Log in with an access key; a link such as /login#KEY does it at once. What stands behind # is never sent anywhere.

import { post, remember } from "../api.js";
import { fill, h } from "../dom.js";

export function showLogin(main, done) {
  const input = h("input", { name: "key", type: "password", required: true, autocomplete: "current-password", id: "key", "aria-describedby": "key-hint key-error" });
  const error = h("p", { class: "error", id: "key-error", role: "alert" });
  const button = h("button", { class: "primary" }, "Log in");

  async function enter(key) {
    button.disabled = true;
    error.textContent = "";
    try {
      remember(await post("/api/session", { key }));
      done();
    } catch (problem) {
      error.textContent = problem.message;
      button.disabled = false;
      input.focus();
    }
  }

  fill(main, h("form", { class: "login card", onsubmit: (event) => {
    event.preventDefault();
    enter(input.value);
  } },
  h("img", { src: "/static/icon.svg", alt: "", width: "44", height: "44" }),
  h("h1", {}, "Pointsman"),
  h("label", { class: "field", for: "key" }, h("span", {}, "Access key"), input),
  h("p", { class: "hint", id: "key-hint" }, "On this machine, ", h("code", {}, "pointsman up"), " prints a link that logs you in."),
  error, button));

  const key = location.hash.slice(1);
  if (location.pathname === "/login" && key) {
    history.replaceState(null, "", "/login");
    enter(decodeURIComponent(key));
  } else input.focus();
}
