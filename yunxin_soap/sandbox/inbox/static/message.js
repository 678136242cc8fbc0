// The opened message: as a phone shows it, its facts, and the raw request.
import { call } from './api.js';
import { $, copyButton, grouped, h, marked } from './dom.js';
import { markedNumber, wordsFor } from './list.js';
import { badge, toneOf } from './outcome.js';
import { decode, PASSWORD, toCurl } from './raw.js';
import { createSamples } from './samples.js';
import { isTestNumber } from './testnumbers.js';
import { isChinese, n, t } from './texts.js';

const pane = $('#message');
let opened = null; // the detail that is shown

/** Return the verification code in a text, or null. */
export function findCode(text) {
  if (!/验证码|校验码|动态码|动态密码|确认码|\bcode\b|\bPIN\b|\bOTP\b/i.test(text)) return null;
  const at = text.search(/验证码|校验码|动态码|动态密码|确认码|\bcode\b|\bPIN\b|\bOTP\b/i);
  const found = [...text.matchAll(/(?<![0-9A-Za-z.])(?=[0-9A-Z]*[0-9])[0-9A-Z]{4,8}(?![0-9A-Za-z])/g)];
  found.sort((one, other) => Math.abs(one.index - at) - Math.abs(other.index - at));
  return found[0]?.[0] ?? null;
}

/** Load an arrival and show it; `links` gives the addresses of the buttons. */
export async function open(id, links) {
  try {
    const detail = await call(`/arrivals/${id}`);
    if (!links.isCurrent()) return;
    opened = { detail, links };
    redraw();
  } catch (error) {
    if (!links.isCurrent()) return;
    opened = null;
    pane.replaceChildren(createHead(links), h('p', { class: 'problem', role: 'alert' }, error.message));
  }
}

/** Show that no message is open. */
export function close() {
  opened = null;
  redraw();
}

/** Draw again, in another language or with other marks. */
export function redraw() {
  if (opened) {
    pane.replaceChildren(...createMessage(opened.detail, opened.links));
    return;
  }
  pane.replaceChildren(h(
    'div', { class: 'nothing' },
    h('p', { class: 'big', 'aria-hidden': 'true' }, '✉'),
    h('p', {}, t('pane.none')), h('p', { class: 'faint' }, t('pane.hint')),
    h('details', { toggle: (event) => event.target.append(...($('.samples', event.target) ? [] : [createSamples()])) },
      h('summary', {}, t('send.another'))),
  ));
}

function createHead(links, ...content) {
  const step = (href, label, sign) => (href
    ? h('a', { class: 'tool icon', href, title: t(label), 'aria-label': t(label), 'data-step': true }, sign)
    : h('span', { class: 'tool icon off', 'aria-hidden': 'true' }, sign));
  return h(
    'header', { class: 'pane-head' },
    h('a', { class: 'tool icon back', href: links.closed(), title: t('back'), 'aria-label': t('back'), 'data-close': true }, '✕'),
    ...content,
    h('span', { class: 'steps' }, step(links.previous(), 'previous', '↑'), step(links.next(), 'next', '↓')),
  );
}

function createMessage(arrival, links) {
  const { recipients } = arrival;
  const [first] = recipients;
  const number = first === undefined ? t(arrival.protocol ? 'nobody' : 'message.malformed') : grouped(first);
  const title = h('h2', {}, number);
  if (recipients.length > 1) title.append(' ', h('span', { class: 'more' }, `+${n(recipients.length - 1)}`));
  const head = createHead(
    links, title,
    ...(first === undefined ? [] : [copyButton('copy.number', first)]),
    copyButton('copy.link', () => new URL(links.self(), location.href).href, '#'),
  );
  const badges = h('p', { class: 'badges' }, badge(arrival));
  if (recipients.some(isTestNumber)) badges.append(h('span', { class: 'chip' }, t('test-number')));
  return [
    head,
    h('div', { class: 'opened', 'data-id': arrival.id },
      h('div', { class: 'phone-side' }, arrival.protocol ? createPhone(arrival) : null, createActions(arrival)),
      h('div', { class: 'facts-side' }, badges, createFacts(arrival), createNumbers(arrival))),
    createRaw(arrival),
  ];
}

// Show a message as a phone does: its signature as the sender's name.
function createPhone(arrival) {
  const tone = toneOf(arrival);
  const reached = arrival.outcome === 'accepted';
  const signature = /【([^【】]*)】$/.exec(arrival.message);
  const text = signature ? arrival.message.slice(0, signature.index) : arrival.message;
  const words = wordsFor('text');
  const received = new Date(arrival.received_at);
  const locale = document.documentElement.lang;
  const bubble = h('p', { class: 'bubble' });
  if (arrival.message) {
    bubble.append(...marked(text, words));
    if (signature) bubble.append(h('span', { class: 'signature' }, ...marked(signature[0], words)));
  } else bubble.append(h('em', {}, t('message.empty')));
  return h(
    'figure', { class: `phone ${tone}`, 'aria-label': t('phone.label') },
    h('div', { class: 'sender' },
      h('span', { class: 'face', 'aria-hidden': 'true' }, (signature?.[1] ?? '?').slice(0, 1)),
      h('strong', {}, signature?.[1] ?? `106… ${arrival.extension}`)),
    h('div', { class: 'screen' },
      h('p', { class: 'when' }, received.toLocaleString(locale, { dateStyle: 'medium', timeStyle: 'short' })),
      bubble,
      h('p', { class: 'mark' }, reached ? `✓ ${t('phone.accepted')}` : `⚠ ${t('phone.refused')}`)),
  );
}

function createActions(arrival) {
  const code = findCode(arrival.message);
  if (!code) return null;
  return h('p', { class: 'code' }, h('span', {}, t('code')), ' ', h('code', {}, code), ' ', copyButton('copy.code', code, t('copy')));
}

function createFacts(arrival) {
  const facts = h('dl', { class: 'facts' });
  const add = (label, ...content) => facts.append(h('dt', {}, t(label)), h('dd', {}, ...content));
  if (toneOf(arrival) === 'lost') add('fault', h('code', {}, arrival.fault), ' ', h('span', { class: 'faint' }, t('outcome.lost.about')));
  else if (arrival.fault) add('fault', h('code', {}, arrival.fault));
  if (arrival.batch_no) add('batch', h('code', {}, ...marked(arrival.batch_no, wordsFor())), ' ', copyButton('copy.batch', arrival.batch_no));
  if (arrival.outcome !== 'accepted' || arrival.result !== arrival.batch_no) {
    const meaning = isChinese() ? arrival.description_zh : arrival.description_en;
    add(arrival.outcome === 'malformed' ? 'reason' : 'result', h('code', { class: 'result' }, arrival.result || '—'),
      meaning ? h('span', { class: 'meaning' }, meaning) : null);
  }
  if (arrival.user_code) add('account', ...marked(arrival.user_code, wordsFor('account')));
  if (arrival.channel) add('channel', arrival.channel);
  if (arrival.extension) add('extension', arrival.extension);
  if (arrival.segments) {
    const numbers = Math.max(arrival.recipients.length, 1);
    add('billed', t('billed.one', {
      segments: arrival.segments, numbers: n(numbers), n: n(arrival.segments * numbers), length: n(arrival.length),
    }));
  }
  if (arrival.protocol) add('protocol', arrival.protocol);
  add('status', String(arrival.http_status));
  add('from', arrival.remote);
  add('received', new Date(arrival.received_at).toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'medium' }));
  return facts;
}

function createNumbers(arrival) {
  if (arrival.recipients.length < 2) return null;
  const words = wordsFor('to');
  const list = h('ul', { class: 'numbers', tabindex: '0', 'aria-label': t('numbers', { n: n(arrival.recipients.length) }) });
  for (const number of arrival.recipients) {
    list.append(h('li', isTestNumber(number) ? { class: 'test', title: t('test-number') } : {}, ...markedNumber(number, words)));
  }
  return h('section', { class: 'recipients' },
    h('h3', {}, t('numbers', { n: n(arrival.recipients.length) }), ' ', copyButton('copy.numbers', arrival.recipients.join('\n'), t('copy'))),
    list);
}

function createRaw(arrival) {
  const section = h('section', { class: 'raw' }, h('h3', {}, t('raw')));
  const curl = toCurl(arrival.request);
  section.append(h('p', { class: 'curl' }, ...(curl
    ? [copyButton('copy.curl', curl, t('copy.curl')), ' ',
      curl.includes(PASSWORD) ? h('span', { class: 'faint' }, t('curl.note')) : '']
    : [h('span', { class: 'faint' }, t('curl.none'))])));
  const block = (name, kind, text) => h('div', {},
    h('h4', {}, t(name), ' ', h('small', {}, t(kind))),
    h('pre', { class: `${name} ${kind.replace('raw.', '')}`, tabindex: '0', 'aria-label': `${t(name)} ${t(kind)}` }, text || t('raw.none')));
  for (const [name, text] of [['request', arrival.request], ['response', arrival.response]]) {
    section.append(h('div', { class: 'beside' },
      block(name, 'raw.decoded', text && decode(text)), block(name, 'raw.as-it-was', text)));
  }
  return section;
}
