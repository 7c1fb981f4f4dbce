// Log in: with single sign-on, with an account's key, or with a link such as /login#TOKEN, which does it at once. What
// stands behind # is never sent anywhere.

import { get, post, remember } from "../api.js";
import { fill, h } from "../dom.js";
import { failed } from "../parts.js";

const REFUSED = {
  provider: "Single sign-on does not answer as it should. Try again; the console's log says more.",
  denied: "Single sign-on did not let you in.",
  state: "That login was begun elsewhere or too long ago. Try again.",
  token: "What single sign-on said about you could not be verified. Try again; the console's log says more.",
  role: "You are known, but you have no role here. Ask whoever runs this console.",
  name: "Single sign-on gives no name for you that may stand on records. Ask whoever runs this console.",
};

export async function showLogin(main, done) {
  const token = location.pathname === "/login" ? location.hash.slice(1) : "";
  const refused = REFUSED[new URLSearchParams(location.search).get("refused")] || "";
  if (location.pathname === "/login") history.replaceState(null, "", "/login");
  if (token) {
    try {
      return enter(await post("/api/session/link", { token }), done);
    } catch (problem) {
      return draw(main, done, problem.message);
    }
  }
  return draw(main, done, refused);
}

async function draw(main, done, told) {
  let ways;
  try {
    ways = await get("/api/session/ways");
  } catch (error) {
    return fill(main, failed(error, () => draw(main, done, told)));
  }
  const error = h("p", { class: "error", id: "login-error", role: "alert" }, told);
  fill(main, h("div", { class: "login card" },
    h("img", { src: "/static/icon.svg", alt: "", width: "44", height: "44" }),
    h("h1", { tabindex: "-1" }, "Pointsman"),
    ways.sso ? h("a", { class: "button primary", href: "/api/session/sso" }, "Log in with single sign-on") : null,
    ways.key ? keyForm(done, error) : null,
    ways.link ? h("p", { class: "hint" }, "On this machine, ", h("code", {}, "pointsman console link"), " prints a link that logs you in.") : null,
    ways.key || ways.link || ways.sso ? null : h("p", { class: "hint" }, "Nobody may log in yet: no account is set."),
    error));
  (main.querySelector("input, a.button") || main.querySelector("h1")).focus();
}

function keyForm(done, error) {
  const name = h("input", { name: "username", required: true, autocomplete: "username", id: "name", "aria-describedby": "login-error" });
  const key = h("input", { name: "key", type: "password", required: true, autocomplete: "current-password", id: "key", "aria-describedby": "login-error" });
  const button = h("button", {}, "Log in");
  return h("form", { onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    error.textContent = "";
    try {
      enter(await post("/api/session", { name: name.value, key: key.value }), done);
    } catch (problem) {
      error.textContent = problem.message;
      button.disabled = false;
      key.focus();
    }
  } },
  h("label", { class: "field", for: "name" }, h("span", {}, "Name"), name),
  h("label", { class: "field", for: "key" }, h("span", {}, "Access key"), key),
  button);
}

function enter(session, done) {
  remember(session);
  done();
}
