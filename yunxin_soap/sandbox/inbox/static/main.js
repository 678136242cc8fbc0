// The inbox: what the address says is what the page shows, and events keep it up to date.
import { address, call, eventsAddress, searchQuery } from './api.js';
import { $, $$, h } from './dom.js';
import * as faults from './faults.js';
import * as list from './list.js';
import * as message from './message.js';
import { createSamples, setAccount } from './samples.js';
import * as search from './search.js';
import * as testNumbers from './testnumbers.js';
import { isChinese, n, remember, t, translate } from './texts.js';

const root = document.documentElement;
const narrow = matchMedia('(max-width: 52rem)');

// --- The address ---

const readAddress = () => {
  const query = new URLSearchParams(location.search);
  const id = query.get('id');
  return {
    q: query.get('q') ?? '',
    id: /^\d{1,15}$/.test(id) ? Number(id) : null,
    panel: query.get('panel') === 'faults' ? 'faults' : null,
  };
};
let place = readAddress();

function linkTo(change) {
  const { q, id, panel } = { q: place.q, id: null, panel: null, ...change };
  const query = new URLSearchParams();
  if (q) query.set('q', q);
  if (id !== null) query.set('id', id);
  if (panel) query.set('panel', panel);
  return query.size ? `?${query}` : './';
}

/** Show another place; `replace` leaves no step for the browser's Back. */
function go(link, { replace = false, state = null } = {}) {
  if (replace) history.replaceState(state, '', link);
  else history.pushState(state, '', link);
  showPlace();
}

async function showPlace() {
  const before = place;
  place = readAddress();
  search.set(place.q);
  showLinks();
  const isOpen = place.id !== null || place.panel !== null;
  document.body.classList.toggle('is-open', isOpen);
  cover();
  $('#faults').hidden = place.panel !== 'faults';
  $('#message').hidden = place.panel === 'faults';
  $('#faults-link').setAttribute('aria-current', place.panel === 'faults' ? 'page' : 'false');
  if (place.q !== before.q) await reload();
  if (place.id !== before.id) await showMessage();
  if (isOpen && narrow.matches) $('#pane').focus({ preventScroll: true });
}

// On a phone the opened message covers the list.
function cover() {
  $('#list').inert = narrow.matches && (place.id !== null || place.panel !== null);
}

function showLinks() {
  $('#faults-link').href = linkTo(place.panel ? {} : { panel: 'faults' });
  for (const form of ['csv', 'json']) $(`#${form}`).href = address(`/arrivals.${form}`, searchQuery(place.q));
  $('#faults .back').href = linkTo({});
}

async function showMessage() {
  const { id } = place;
  list.select(id);
  if (id === null) return message.close();
  const near = (step) => () => {
    const other = list.neighbour(id, step);
    return other === undefined || list.state().ids.indexOf(id) < 0 ? null : linkTo({ id: other });
  };
  await message.open(id, {
    self: () => linkTo({ id }), closed: () => linkTo({}), previous: near(-1), next: near(1), isCurrent: () => place.id === id,
  });
}

// --- The list ---

async function reload() {
  try {
    await list.load(place.q);
    showProblem('');
    if (place.id !== null) {
      list.select(place.id);
      message.redraw(); // the marks of another search
    }
  } catch (error) {
    showProblem(error.message);
  }
}

// Searches wait for one another, so that a fast typist does not make the server search in vain.
let searching = false;
let searchedAgain = false;
async function searchFor(q) {
  if (q === place.q) return;
  // One step back leads to what was shown before the typing.
  history[history.state?.typing ? 'replaceState' : 'pushState']({ typing: true }, '', linkTo({ ...place, q }));
  place = readAddress();
  showLinks();
  searchedAgain = true;
  if (searching) return;
  searching = true;
  while (searchedAgain) {
    searchedAgain = false;
    await reload();
  }
  searching = false;
}

function showProblem(text) {
  $('#problem').textContent = text;
  showCount();
}

function showCount() {
  const { ids, totals, loaded } = list.state();
  const failed = $('#problem').textContent !== '';
  const parts = [];
  if (totals.total) {
    if (place.q) parts.push(t('count.found', { found: n(ids.length), n: n(totals.total) }));
    else parts.push(totals.total === 1 ? t('count.one') : t('count', { n: n(totals.total) }));
  }
  if (totals.dropped) parts.push(t('count.dropped', { n: n(totals.dropped) }));
  $('#count').textContent = failed ? '' : parts.join(' · ');
  const isEmpty = !ids.length && !failed && loaded;
  document.body.classList.toggle('is-empty', isEmpty && !totals.total);
  $('#empty').hidden = !isEmpty;
  $('#downloads').hidden = !totals.total;
  if (isEmpty) showEmpty(totals.total);
}

let emptyShown = '';
function showEmpty(total) {
  const wanted = `${total > 0} ${root.lang}`;
  if (emptyShown === wanted) return;
  emptyShown = wanted;
  if (total) {
    $('#empty').replaceChildren(h('p', {}, t('no-match')), h('p', {}, h('a', { class: 'tool', href: './', 'data-all': true }, t('no-match.reset'))));
  } else {
    $('#empty').replaceChildren(h('h2', {}, t('empty.title')), h('p', { class: 'faint' }, t('empty.about')), createSamples());
  }
}

// --- Events ---

// A browser opens few connections to one host, so a hidden page keeps none open.
let events;
let reconnectTimer;
function connect() {
  events?.close();
  clearTimeout(reconnectTimer);
  if (document.hidden) return;
  events = new EventSource(eventsAddress);
  events.addEventListener('open', () => {
    showConnection(true);
    refresh();
    faults.load().catch(() => {});
  });
  events.addEventListener('error', async (event) => {
    const closed = event.target.readyState === EventSource.CLOSED;
    showConnection(false);
    if (!closed) return; // the browser reconnects by itself
    reconnectTimer = setTimeout(connect, 5000);
    await call('/arrivals', { query: { limit: 0 } }).catch((error) => showConnection(false, error.message));
  });
  events.addEventListener('faults', faults.loadSoon);
  events.addEventListener('arrival', refresh);
  events.addEventListener('cleared', () => {
    list.forget();
    reload();
    if (place.id !== null) go(linkTo({}), { replace: true });
  });
}

const refresh = () => list.refresh().catch((error) => showProblem(error.message));

let trouble = '';
function showConnection(isOpen, problem = '') {
  trouble = problem;
  $('#connection').classList.toggle('on', isOpen);
  $('#connection').replaceChildren(
    h('span', { 'aria-hidden': 'true' }, isOpen ? '●' : '○'), ' ',
    h('span', { class: 'words' }, isOpen ? t('live') : problem || t('disconnected')),
  );
}

// --- Tools ---

function showLanguage() {
  translate(document);
  document.title = t('title');
  $('#language').textContent = t('language.other');
  $('#language').lang = isChinese() ? 'en' : 'zh-CN';
  $('#language').title = t('language');
  search.writeGrammar();
  testNumbers.writeHelp();
  const keys = [['j', 'next'], ['k', 'previous'], ['/', 'search'], ['?', 'help'], ['Esc', 'escape']];
  $('#keys').replaceChildren(...keys.flatMap(([key, name]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, t(`key.${name}`))]));
  showTheme();
  showCount();
  list.redraw();
  message.redraw();
  faults.redraw();
}

function switchLanguage() {
  root.lang = isChinese() ? 'en' : 'zh-CN';
  remember('language', root.lang);
  showLanguage();
  showConnection($('#connection').classList.contains('on'), trouble);
  if ($('#problem').textContent) reload();
  if ($('#message .problem')) showMessage();
}

const THEMES = { auto: '◐', light: '☀', dark: '☾' };
function showTheme() {
  const theme = root.dataset.theme ?? 'auto';
  $('#theme').replaceChildren(h('span', { 'aria-hidden': 'true' }, THEMES[theme]));
  $('#theme').title = t(`theme.${theme}`);
  $('#theme').setAttribute('aria-label', t(`theme.${theme}`));
}

function switchTheme() {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(root.dataset.theme ?? 'auto') + 1) % names.length];
  if (next === 'auto') delete root.dataset.theme;
  else root.dataset.theme = next;
  remember('theme', next === 'auto' ? null : next);
  showTheme();
}

function askToClear() {
  $('#clear-what').textContent = t('clear.what', { n: n(list.state().totals.total) });
  $('#clear-faults-text').textContent = t('clear.faults', { n: faults.count() });
  const dialog = $('#clear-dialog');
  dialog.returnValue = '';
  dialog.showModal();
}

async function clear() {
  if ($('#clear-dialog').returnValue !== 'clear') return;
  try {
    await call('/arrivals', { method: 'DELETE' });
    if ($('#clear-faults').checked) await call('/faults', { method: 'DELETE' });
  } catch (error) {
    showProblem(error.message);
  }
}

// --- Keys and links ---

function step(by) {
  const id = list.neighbour(place.id, by);
  if (id === undefined) return;
  go(linkTo({ id }), { replace: place.id !== null });
  list.select(id, true);
}

function handleKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('dialog[open]')) return;
  if (event.key === 'Escape') {
    if (place.id !== null || place.panel) leave();
    return;
  }
  if (event.target.matches('input, select, textarea')) return;
  if (event.key === 'j') step(1);
  else if (event.key === 'k') step(-1);
  else if (event.key === '/') {
    event.preventDefault();
    $('#q').focus();
    $('#q').select();
  } else if (event.key === '?') $('#help').showModal();
}

function leave() {
  const { id } = place;
  go(linkTo({}));
  if (id !== null) list.select(null);
}

function handleLink(event) {
  const link = event.target.closest('a');
  const plain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !plain || link.hasAttribute('download') || link.pathname !== location.pathname) return;
  event.preventDefault();
  if (link.id === 'home' || link.dataset.all) {
    search.set('');
    $('#q').value = '';
  }
  const wanted = link.getAttribute('href');
  go(link.id === 'home' ? './' : wanted, { replace: link.dataset.step !== undefined });
  if (link.dataset.step !== undefined) list.select(place.id, true);
}

function showConfiguration(configuration) {
  setAccount(configuration.sample_account);
  testNumbers.set(configuration.test_numbers);
  testNumbers.writeHelp();
  if (list.seen().some((each) => each.recipients.some(testNumbers.isTestNumber))) list.redraw();
  message.redraw();
}

function start() {
  list.start({ href: (id) => linkTo({ id }), onChange: showCount });
  search.start(searchFor);
  faults.start();
  place = { q: null, id: null, panel: null };
  showPlace(); // ask for the list first, and translate while the answer is on its way
  call('/configuration').then(showConfiguration).catch(() => {}); // the events' error says why
  showLanguage();
  $('#language').addEventListener('click', switchLanguage);
  $('#theme').addEventListener('click', switchTheme);
  $('#help-button').addEventListener('click', () => $('#help').showModal());
  $('#clear').addEventListener('click', askToClear);
  $('#clear-dialog').addEventListener('close', clear);
  for (const dialog of $$('dialog')) {
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  }
  document.addEventListener('keydown', handleKey);
  document.addEventListener('click', handleLink);
  document.addEventListener('visibilitychange', connect);
  addEventListener('popstate', showPlace);
  narrow.addEventListener('change', cover);
  connect();
}

start();
