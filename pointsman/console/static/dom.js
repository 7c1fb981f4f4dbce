// Elements from data. Whatever comes from a message becomes text, never markup.

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

// Replaces what stands in `element`; null and false are nothing.
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Keeps the elements of items that are still there, so that focus, scroll position and what is open survive an update.
export function reconcile(list, items, keyOf, draw) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let place = list.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    const print = JSON.stringify(item);
    let element = old.get(key);
    old.delete(key);
    if (!element || element.dataset.print !== print) {
      const fresh = draw(item);
      fresh.dataset.key = key;
      fresh.dataset.print = print;
      if (element) {
        const focused = element.contains(document.activeElement);
        if (element === place) place = fresh;
        element.replaceWith(fresh);
        if (focused) (fresh.matches("a,button") ? fresh : fresh.querySelector("a,button"))?.focus();
      }
      element = fresh;
    }
    if (element === place) place = place.nextElementSibling;
    else list.insertBefore(element, place);
  }
  for (const element of old.values()) element.remove();
}

// Rows glide to their new place; nothing moves for whoever has asked for less motion.
export function gliding(list, change) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || document.hidden) return change();
  const before = new Map([...list.children].map((child) => [child.dataset.key, child.getBoundingClientRect().top]));
  change();
  for (const child of list.children) {
    const was = before.get(child.dataset.key);
    const shift = was === undefined ? 0 : was - child.getBoundingClientRect().top;
    if (shift) child.animate([{ transform: `translateY(${shift}px)` }, { transform: "none" }], { duration: 240, easing: "ease-out" });
  }
}
