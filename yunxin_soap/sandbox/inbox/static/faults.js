// The panel of faults: a form that the models of the faults define, and what is injected.
import { call } from './api.js';
import { $, $$, h } from './dom.js';
import { describe, t } from './texts.js';

const READERS = {
  integer: Number,
  number: Number,
  string: (text) => text,
  array: (text) => text.split(/[\s,，、]+/).filter(Boolean),
};
const kind = $('#kind');
const when = $('#when');
const fieldsOf = (name) => $$('#fault [data-kinds]').filter((each) => each.dataset.kinds.split(' ').includes(name));
let faults = [];

/** How many faults are injected, exhausted ones included. */
export const count = () => faults.length;

// The options that differ from their defaults, and those that say what the fault does: so two
// faults of one kind look different.
function describeOptions(fault) {
  const parts = [];
  for (const field of fieldsOf(fault.kind)) {
    const { option } = field.dataset;
    if (option === 'times') continue;
    const value = [fault[option]].flat().join('+');
    const usual = [JSON.parse(field.dataset.default)].flat().join('+');
    if (value !== usual || !field.closest('details')) parts.push(`${option}=${value}`);
  }
  return parts;
}

let timer;
/** Load the faults soon; many changes at once are one request. */
export function loadSoon() {
  timer ??= setTimeout(load, 100);
}

export async function load() {
  clearTimeout(timer);
  timer = undefined;
  faults = await call('/faults');
  redraw();
}

/** Draw again, in another language. */
export function redraw() {
  const active = faults.filter((fault) => !fault.exhausted).length;
  $('#active-count').textContent = active;
  $('#active-count').hidden = !active;
  // Keep the items that are there: nobody can click on an item that is replaced all the time.
  const list = $('#fault-list');
  $('.none', list)?.remove();
  const items = new Map([...list.children].map((item) => [item.dataset.id, item]));
  for (const fault of faults) {
    const item = items.get(String(fault.id)) ?? list.appendChild(createItem(fault.id));
    items.delete(String(fault.id));
    item.classList.toggle('exhausted', fault.exhausted);
    const parts = [...describeOptions(fault), t(`when.${fault.when}`)];
    if (fault.exhausted) parts.push(t('exhausted'));
    $('strong', item).textContent = t(`kind.${fault.kind}`);
    $('span', item).textContent = parts.join(' · ');
    $('small', item).textContent = t('triggered', { n: fault.triggered, times: fault.times ?? '∞' });
    $('button', item).textContent = t('remove');
  }
  for (const item of items.values()) item.remove();
  if (!faults.length) list.append(h('li', { class: 'none faint' }, t('faults.none')));
  showOptions();
}

function createItem(id) {
  const remove = async () => {
    await call(`/faults/${id}`, { method: 'DELETE' }).catch(showProblem);
    await load();
  };
  return h('li', { 'data-id': id }, h('strong'), h('span'), h('small'), h('button', { type: 'button', class: 'tool', click: remove }));
}

const showProblem = (error) => { $('#fault-problem').textContent = error.message; };

async function inject(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const fault = { kind: form.get('kind'), when: form.get('when') };
  for (const { dataset } of fieldsOf(fault.kind)) {
    const text = form.get(dataset.option);
    if (text) fault[dataset.option] = READERS[dataset.type](text); // an empty field is left out
  }
  $('#fault-problem').textContent = '';
  await call('/faults', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(fault),
  }).catch(showProblem);
  await load();
}

// Show the options of the chosen kind; hidden ones are not sent.
function showOptions() {
  const chosen = kind.selectedOptions[0];
  $('#kind-hint').textContent = describe(chosen.title);
  const fields = fieldsOf(chosen.value);
  for (const field of $$('#fault [data-kinds]')) {
    field.hidden = !fields.includes(field);
    $('input, select', field).disabled = field.hidden;
  }
  for (const option of when.options) option.disabled = !chosen.dataset.stages.split(' ').includes(option.value);
  if (when.selectedOptions[0].disabled) when.value = 'after';
  $('#fault details').hidden = !fields.some((field) => field.closest('details'));
}

export function start() {
  kind.addEventListener('change', () => {
    showOptions();
    // A balance that is used up stays so.
    $('[name=times]').value = kind.value === 'balance' ? '' : '1';
  });
  $('#fault').addEventListener('submit', inject);
  showOptions();
}
