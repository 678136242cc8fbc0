// Small helpers to build elements. A message's text never becomes HTML.
import { t } from './texts.js';

export const $ = (selector, from = document) => from.querySelector(selector);
export const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

/** Make an element; the properties are attributes, and functions are listeners. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((each) => each !== null && each !== undefined));
  return node;
}

/** Return nodes for a text, with every hit of some words marked. */
export function marked(text, words) {
  const wanted = words.filter(Boolean).map((each) => each.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  if (!wanted.length) return [text];
  const parts = text.split(new RegExp(`(${wanted.join('|')})`, 'i'));
  return parts.map((part, index) => (index % 2 ? h('mark', {}, part) : part)).filter((each) => each !== '');
}

/** Say a sentence to those who hear the page. */
export function say(text) {
  $('#said').textContent = text;
}

// Browsers give the clipboard API only to localhost and https.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = h('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  return field.remove();
}

/** Make a button that copies a text; `label` names what it copies, `shown` is what it shows. */
export function copyButton(label, text, shown = null) {
  let timer;
  const copy = async () => {
    await copyText(typeof text === 'function' ? text() : text);
    if (shown) content.textContent = t('copied');
    button.classList.add('done');
    say(t('copied'));
    clearTimeout(timer);
    timer = setTimeout(() => {
      content.textContent = shown;
      button.classList.remove('done');
    }, 1500);
  };
  const content = h('span', shown ? {} : { class: 'sheets', 'aria-hidden': 'true' }, shown);
  const button = h('button', {
    type: 'button', class: 'copy', title: t(label), 'aria-label': t(label), click: copy,
  }, content);
  return button;
}

/** Return a number as people read it: 139 0000 0001. */
export const grouped = (number) => number.replace(/^(1\d{2})(\d{4})(\d{4})$/, '$1 $2 $3');
