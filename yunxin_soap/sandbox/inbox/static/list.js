// The list: the ids of all arrivals that match, and in the document only the rows that can be seen.
import { call, searchQuery } from './api.js';
import { $, grouped, h, marked } from './dom.js';
import { badge, toneOf } from './outcome.js';
import { isTestNumber } from './testnumbers.js';
import { n, t } from './texts.js';

const SPARE = 6; // rows beyond both edges
const BATCH = 100; // rows that one request loads
const HELD = 2000; // milliseconds for which a pointer that has moved holds the rows
const PAUSE = 50; // milliseconds between two requests for new arrivals

const scroll = $('#scroll');
const rows = $('#rows');
const arrivals = new Map(); // by id; an arrival never changes
const items = new Map(); // the rows in the document, by id

let ids = []; // all that match, the latest first
let terms = [];
let search = null; // what the ids are for; null before they are loaded
let lastId = 0; // the latest arrival that the page knows of, whether it matches or not
let totals = { total: 0, dropped: 0 };
let fresh = 0; // new rows above what is being read
let current = null;
let rowHeight = 1;
let pointedAt = -Infinity; // when the pointer last moved over the list
let loads = 0; // searches that were begun
let changes = 0; // searches whose result the list has taken
let onChange = () => {};
let hrefOf = () => '';

/** Start: `options.href` gives a row's link, `options.onChange` is called after each change. */
export function start(options) {
  ({ href: hrefOf, onChange } = options);
  scroll.addEventListener('scroll', () => {
    if (scroll.scrollTop < rowHeight) showFresh(0);
    requestAnimationFrame(render);
  }, { passive: true });
  new ResizeObserver(measure).observe(scroll);
  scroll.addEventListener('pointermove', () => { pointedAt = performance.now(); }, { passive: true });
  $('#fresh').addEventListener('click', () => {
    document.activeElement.blur(); // nothing is being read any more
    scroll.scrollTop = 0;
    showFresh(0);
  });
}

export const state = () => ({ ids, totals, loaded: search !== null });

/** The arrivals that were loaded, for suggestions. */
export const seen = () => [...arrivals.values()].filter(Boolean);

function measure() {
  const height = parseFloat(getComputedStyle(rows).getPropertyValue('--row'));
  if (height !== rowHeight) {
    scroll.scrollTop = (scroll.scrollTop / rowHeight) * height;
    rowHeight = height;
  }
  render();
}

/** Load the list for a search. The rows stay where they are if the search is the same. */
export async function load(q) {
  const mine = ++loads;
  const page = await call('/arrivals/ids', { query: { ...searchQuery(q), limit: 50 } });
  if (mine !== loads) return; // a newer load has started
  for (const arrival of page.arrivals) arrivals.set(arrival.id, arrival);
  const same = q === search && scroll.scrollTop > 0;
  const top = ids[Math.floor(scroll.scrollTop / rowHeight)];
  const offset = scroll.scrollTop % rowHeight;
  const missed = page.last_id < lastId; // new arrivals came between the search and its result
  changes += 1;
  ({ ids, terms } = page);
  [search, lastId, totals] = [q, page.last_id, page];
  if (!same) items.clear();
  if (!same) rows.replaceChildren();
  resize();
  const at = same ? ids.indexOf(top) : -1;
  scroll.scrollTop = at > 0 ? at * rowHeight + offset : 0;
  showFresh(0);
  render();
  onChange();
  if (missed) refresh();
}

/** Forget all arrivals. */
export function forget() {
  arrivals.clear();
  [ids, fresh] = [[], 0];
  render();
}

let refreshing = false;
let again = false;
/** Load what has arrived since, without moving what is being read. */
export async function refresh() {
  again = true;
  if (refreshing) return;
  refreshing = true;
  try {
    while (again) {
      again = false;
      await loadNew();
      await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
    }
  } finally {
    refreshing = false;
  }
}

// Somebody has scrolled, or is about to click, or has the focus on a row.
const isReading = () => scroll.scrollTop > 0 || scroll.matches(':focus-within') || performance.now() - pointedAt < HELD;

async function loadNew() {
  if (search === null) return undefined;
  const mine = changes;
  const page = await call('/arrivals', { query: { ...searchQuery(search), after_id: lastId, limit: BATCH } });
  if (mine !== changes) { // this was for another list
    again = true;
    return undefined;
  }
  if (page.found > page.arrivals.length) return load(search);
  for (const arrival of page.arrivals) arrivals.set(arrival.id, arrival);
  const added = page.arrivals.map((each) => each.id);
  const reading = ids.length > 0 && isReading();
  ids = [...added, ...ids];
  trim(page.first_id);
  [lastId, totals] = [page.last_id, page];
  resize();
  if (reading && added.length) {
    scroll.scrollTop += added.length * rowHeight;
    showFresh(fresh + added.length);
  }
  render();
  onChange();
  return undefined;
}

// Memory drops the oldest arrivals.
function trim(firstId) {
  let length = ids.length;
  while (length && (ids[length - 1] < firstId || !firstId)) length -= 1;
  for (const id of ids.slice(length)) arrivals.delete(id);
  ids.length = length;
}

function showFresh(count) {
  fresh = count;
  $('#fresh').hidden = !count;
  $('#fresh').textContent = `↑ ${t('fresh', { n: n(count) })}`;
}

function resize() {
  rows.style.height = `${ids.length * rowHeight}px`;
}

function render() {
  if (!ids.length && !items.size) return; // before the first load: looking at the page's size takes time
  const first = Math.max(0, Math.floor(scroll.scrollTop / rowHeight) - SPARE);
  const last = Math.min(ids.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / rowHeight) + SPARE);
  const visible = new Set(ids.slice(first, last));
  for (const [id, item] of items) {
    if (visible.has(id)) continue;
    item.remove();
    items.delete(id);
  }
  let place = rows.firstChild;
  let missing = -1;
  for (let index = first; index < last; index += 1) {
    const id = ids[index];
    const arrival = arrivals.get(id);
    let item = items.get(id);
    if (arrival && !item) items.set(id, item = createItem(arrival));
    if (arrival === undefined && missing < 0) missing = index;
    if (!item) continue;
    if (item === place) place = place.nextSibling;
    else rows.insertBefore(item, place);
    item.style.transform = `translateY(${index * rowHeight}px)`;
    item.setAttribute('aria-posinset', index + 1);
    item.setAttribute('aria-setsize', ids.length);
  }
  if (missing >= 0) fill(missing);
}

let filling = false;
async function fill(index) {
  if (filling) return;
  filling = true;
  const wanted = ids.slice(index, index + BATCH);
  try {
    const query = { ...searchQuery(search), before_id: wanted[0] + 1, limit: BATCH };
    const page = await call('/arrivals', { query });
    for (const id of wanted) arrivals.set(id, arrivals.get(id) ?? null); // asked for, and gone
    for (const arrival of page.arrivals) arrivals.set(arrival.id, arrival);
    trim(page.first_id);
    resize();
  } finally {
    filling = false;
  }
  render();
}

/** Draw all rows again, in another language. */
export function redraw() {
  items.clear();
  rows.replaceChildren();
  showFresh(fresh);
  render();
}

/** Mark the opened arrival; `into` also scrolls to it. */
export function select(id, into = false) {
  current = id;
  for (const [each, item] of items) setCurrent(item, each === id);
  const index = ids.indexOf(id);
  if (!into || index < 0) return;
  const top = index * rowHeight;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  const bottom = top + rowHeight - scroll.clientHeight;
  if (bottom > scroll.scrollTop) scroll.scrollTop = bottom;
  render();
  items.get(id)?.firstChild.focus({ preventScroll: true });
}

const setCurrent = (item, yes) => {
  if (yes) item.firstChild.setAttribute('aria-current', 'true');
  else item.firstChild.removeAttribute('aria-current');
};

/** Return the id of the arrival that is so many rows away from another; undefined at the ends. */
export function neighbour(id, step) {
  const index = ids.indexOf(id);
  return index < 0 ? ids[Math.floor(scroll.scrollTop / rowHeight)] : ids[index + step];
}

/** Return the words to mark in what a term of that name is about. */
export const wordsFor = (...names) => terms
  .filter((term) => !term.name || names.includes(term.name)).map((term) => term.value);

const isToday = (date) => date.toDateString() === new Date().toDateString();
const two = (number) => String(number).padStart(2, '0');
const dayOf = (date) => `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const clockOf = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

const fullTime = (date) => `${date.getFullYear()}-${dayOf(date)} ${clockOf(date)}:${two(date.getSeconds())}`;
const shortTime = (date) => (isToday(date)
  ? `${clockOf(date)}:${two(date.getSeconds())}`
  : `${dayOf(date)} ${clockOf(date)}`);

/** Mark hits in a number as people read it: the spaces do not count. */
export function markedNumber(number, words) {
  const shown = grouped(number);
  const digits = words.map((word) => word.replace(/[\s-]/g, '')).filter(Boolean);
  const hit = digits.find((word) => number.includes(word));
  if (!hit || shown === number) return marked(shown, digits);
  const at = number.indexOf(hit);
  const placeOf = (index) => index + (index > 2 ? 1 : 0) + (index > 6 ? 1 : 0);
  const [from, to] = [placeOf(at), placeOf(at + hit.length - 1) + 1];
  return [shown.slice(0, from), h('mark', {}, shown.slice(from, to)), shown.slice(to)];
}

// The recipient that a search has found comes first.
function leading(recipients, words) {
  const digits = words.map((word) => word.replace(/[\s-]/g, ''));
  return recipients.find((number) => digits.some((word) => word && number.includes(word))) ?? recipients[0];
}

// Begin shortly before the first hit, if it would be cut off.
function excerpt(text, words) {
  const line = text.slice(0, 2000).replace(/\s+/g, ' ');
  const lower = line.toLowerCase();
  const hits = words.map((word) => lower.indexOf(word.toLowerCase())).filter((at) => at >= 0);
  const at = hits.length ? Math.min(...hits) : 0;
  return at > 16 ? `…${line.slice(at - 6)}` : line;
}

function createItem(arrival) {
  const received = new Date(arrival.received_at);
  const { recipients } = arrival;
  const numberWords = wordsFor('to');
  const textWords = wordsFor('text');
  const to = h('span', { class: 'to' });
  if (recipients.length) {
    to.append(h('span', { class: 'number' }, ...markedNumber(leading(recipients, numberWords), numberWords)));
    if (recipients.length > 1) to.append(' ', h('span', { class: 'more' }, `+${n(recipients.length - 1)}`));
  } else to.append('—');
  const words = h('span', { class: 'words' });
  if (recipients.some(isTestNumber)) words.append(h('span', { class: 'chip' }, t('test-number')), ' ');
  const text = arrival.message || arrival.result;
  words.append(h('span', { class: arrival.message ? 'said' : 'said faint' }, ...marked(excerpt(text, textWords), textWords)));
  let segments = '';
  if (arrival.segments) {
    segments = recipients.length > 1 ? `${arrival.segments} × ${n(recipients.length)}` : String(arrival.segments);
  }
  const link = h(
    'a', { class: `row cells ${toneOf(arrival)}`, href: hrefOf(arrival.id) },
    h('time', { datetime: arrival.received_at, title: fullTime(received) }, shortTime(received)),
    badge(arrival), to, words,
    h('span', { class: 'account', title: arrival.user_code }, ...marked(arrival.user_code, wordsFor('account'))),
    h('span', { class: 'end segments' }, segments),
  );
  const item = h('li', {}, link);
  setCurrent(item, arrival.id === current);
  return item;
}
