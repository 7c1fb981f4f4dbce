// The public lead form: says what is missing beside the field, and sends each lead once however often it is tried.

const form = document.getElementById("form");
const send = document.getElementById("send");
const formError = document.getElementById("form-error");
const MISSING = {
  email: "Please give an address that we can answer to, such as dana@company.example.",
  message: "A sentence about what you need is enough.",
  consent: "We may only write to you if you agree.",
};
// The same for every try of this lead, so that a time-out never makes two of one.
const key = crypto.randomUUID?.() ?? Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
const loaded = performance.now();
let ticket = load();

function load() {
  const asked = fetch("/form/ticket", { cache: "no-store" }).then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error())));
  asked.catch(() => {});
  return asked;
}

function check(name) {
  const field = form.elements[name];
  const wrong = !field.validity.valid || (field.type !== "checkbox" && field.required && !field.value.trim());
  say(name, wrong ? MISSING[name] : "");
  return !wrong;
}

function say(name, text) {
  document.getElementById(`${name}-error`).textContent = text;
  if (text) form.elements[name].setAttribute("aria-invalid", "true");
  else form.elements[name].removeAttribute("aria-invalid");
}

for (const name of Object.keys(MISSING)) {
  form.elements[name].addEventListener("blur", () => form.elements[name].value && check(name));
  form.elements[name].addEventListener("input", () => form.elements[name].hasAttribute("aria-invalid") && check(name));
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  formError.textContent = "";
  const wrong = Object.keys(MISSING).filter((name) => !check(name));
  if (wrong.length) return form.elements[wrong[0]].focus();
  send.disabled = true;
  send.textContent = "Sending …";
  try {
    await deliver();
    form.hidden = true;
    document.getElementById("thanks").hidden = false;
    document.querySelector("#thanks h1").focus();
  } catch (error) {
    formError.textContent = error.message || "We could not reach our server. Your text is still here: please try again.";
    formError.focus();
    ticket = load();
  } finally {
    send.disabled = false;
    send.textContent = "Send";
  }
  return undefined;
});

async function deliver() {
  const { ticket: given, wait_ms: wait } = await ticket.catch(() => (ticket = load()));
  // Whoever has their browser fill the form in may be faster than the server believes of a person.
  const left = wait + 200 - (performance.now() - loaded);
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
  const field = (name) => form.elements[name].value.trim();
  const lead = Object.fromEntries(["email", "first_name", "last_name", "title", "company", "website", "message"].map((name) => [name, field(name)]));
  let answer;
  try {
    answer = await fetch("/form/leads", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key },
      body: JSON.stringify({ lead: { ...lead, consent: form.elements.consent.checked }, ticket: given, nickname: form.elements.nickname.value }),
    });
  } catch {
    throw new Error("");
  }
  if (answer.ok) return;
  const problem = await answer.json().catch(() => ({}));
  for (const { pointer } of problem.errors || []) {
    const name = pointer.split("/").pop();
    if (MISSING[name]) say(name, MISSING[name]);
  }
  throw new Error(problem.detail || "");
}
