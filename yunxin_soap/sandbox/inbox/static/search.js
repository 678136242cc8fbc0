// The search field: completes the terms of the search. The server searches.
import { $, $$, grouped, h } from './dom.js';
import { seen } from './list.js';
import { isChinese, t } from './texts.js';

const NAMES = ['to', 'outcome', 'code', 'text', 'account', 'before'];
const MOST = 8; // suggestions at once

const field = $('#q');
const box = $('#suggestions');
let active = -1;
let onSearch = () => {};

const two = (number) => String(number).padStart(2, '0');

function values(name) {
  const all = seen();
  if (name === 'to') {
    const numbers = new Set(all.flatMap((each) => each.recipients.slice(0, 3)));
    return [...numbers].map((each) => [each, grouped(each)]);
  }
  if (name === 'outcome') return ['accepted', 'rejected', 'failed', 'malformed'].map((each) => [each, t(`outcome.${each}`)]);
  if (name === 'code') return $$('#codes option').map((each) => [each.value, isChinese() ? each.dataset.zh : each.dataset.en]);
  if (name === 'account') return [...new Set(all.map((each) => each.user_code).filter(Boolean))].map((each) => [each, '']);
  if (name === 'before') {
    const now = new Date();
    const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
    return [[`${two(now.getHours())}:${two(now.getMinutes())}`, t('term.now')], [day, t('term.today')]];
  }
  return [];
}

// The term in which the cursor is.
function currentTerm() {
  const before = field.value.slice(0, field.selectionStart);
  const inQuotes = (before.match(/"/g) ?? []).length % 2;
  const start = inQuotes ? before.length : before.search(/\S*$/);
  return { start, text: inQuotes ? '"' : before.slice(start) };
}

function suggestions() {
  const { text } = currentTerm();
  if (text === '"') return [];
  const [, name, value] = /^([a-z]+)[:：](.*)$/i.exec(text) ?? [];
  if (name === undefined) {
    return NAMES.filter((each) => each.startsWith(text.toLowerCase()))
      .map((each) => ({ insert: `${each}:`, shown: `${each}:`, about: t(`term.${each}`) }));
  }
  const lower = value.toLowerCase();
  return values(name.toLowerCase())
    .filter(([each, about]) => each !== value && `${each} ${about}`.toLowerCase().includes(lower))
    .slice(0, MOST)
    .map(([each, about]) => ({ insert: `${name}:${/\s/.test(each) ? `"${each}"` : each} `, shown: each, about }));
}

function show() {
  const found = document.activeElement === field ? suggestions() : [];
  active = -1;
  box.replaceChildren(...found.map((each, index) => h(
    'li', {
      role: 'option', id: `suggestion-${index}`, 'aria-selected': 'false', 'data-insert': each.insert,
      mousedown: (event) => { event.preventDefault(); accept(each.insert); },
    }, h('code', {}, each.shown), h('span', {}, each.about))));
  box.hidden = !found.length;
  field.setAttribute('aria-expanded', String(!box.hidden));
  field.removeAttribute('aria-activedescendant');
}

export function hide() {
  box.hidden = true;
  field.setAttribute('aria-expanded', 'false');
  field.removeAttribute('aria-activedescendant');
}

function accept(insert) {
  const { start } = currentTerm();
  const rest = field.value.slice(field.selectionStart);
  field.value = field.value.slice(0, start) + insert + rest.trimStart();
  field.selectionStart = start + insert.length;
  field.selectionEnd = field.selectionStart;
  onSearch(read());
  show();
}

function move(step) {
  const options = [...box.children];
  options[active]?.setAttribute('aria-selected', 'false');
  active = (active + step + options.length) % options.length;
  options[active].setAttribute('aria-selected', 'true');
  options[active].scrollIntoView({ block: 'nearest' });
  field.setAttribute('aria-activedescendant', options[active].id);
}

function handleKey(event) {
  if (event.isComposing) return;
  if (event.key === 'Escape') {
    event.stopPropagation();
    event.preventDefault(); // Chromium would also empty the field
    if (box.hidden) field.blur();
    else hide();
  } else if (event.key === 'Enter' || event.key === 'Tab') {
    if (!box.hidden && active >= 0) {
      event.preventDefault();
      accept(box.children[active].dataset.insert);
    } else hide();
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    event.preventDefault();
    if (box.hidden) show();
    else move(event.key === 'ArrowDown' ? 1 : active < 0 ? 0 : -1);
  }
}

// A term that has just been begun is no condition yet.
const read = () => field.value.trim().replace(/(^|\s)[a-z]+[:：]$/i, '').trim();

/** Start: `listener` is called with the search whenever it changes. */
export function start(listener) {
  onSearch = listener;
  field.addEventListener('input', () => { onSearch(read()); show(); });
  field.addEventListener('focus', show);
  field.addEventListener('click', show);
  field.addEventListener('blur', hide);
  field.addEventListener('keydown', handleKey);
  $('#search').addEventListener('submit', (event) => event.preventDefault());
}

/** Show a search that came from the address. */
export function set(q) {
  if (read() !== q) field.value = q;
}

/** Write the grammar into the help. */
export function writeGrammar() {
  $('#grammar').replaceChildren(...[...NAMES, 'words'].flatMap((name) => [
    h('dt', {}, h('code', {}, name === 'words' ? '"a b"' : `${name}:`)), h('dd', {}, t(`term.${name}`)),
  ]));
}
