'use strict';

const API = '/api/v1';
const PAGE = 100;
const KINDS = {
  delay: '延迟应答', close: '关闭连接', reset: '重置连接', hang: '不应答', cut: '应答截断', garble: '应答乱码',
  trickle: '逐字节应答', 'content-type': '错误的类型', html: '代理错误页', error: '服务异常', code: '返回错误码',
  balance: '余额用尽', refuse: '拒绝连接',
};
// Some need no answer of the gateway's to work on, and some no request.
const WHEN = {
  close: ['after', 'before', 'unread'], reset: ['after', 'before', 'unread'], hang: ['after', 'before', 'unread'],
  html: ['after', 'before'], error: ['after', 'before'],
};
const CHINESE = (navigator.languages?.[0] ?? navigator.language).toLowerCase().startsWith('zh');
const TEXTS = {
  title: ['yunxin_soap sandbox', 'yunxin_soap 沙箱'],
  live: ['live', '实时'],
  lost: ['not connected; trying again', '连接已断开，正在重连'],
  search: ['Search text, number, batch number', '搜索内容、号码、批次号'],
  number: ['Number', '号码'],
  outcome: ['Outcome', '结果'],
  all: ['all outcomes', '全部结果'],
  accepted: ['accepted', '成功'],
  rejected: ['rejected', '被拒绝'],
  failed: ['failed', '失败'],
  malformed: ['malformed', '请求有误'],
  clear: ['Clear', '清空'],
  faults: ['Make it fail', '制造故障'],
  kind: ['Fault', '故障'],
  when: ['When', '时机'],
  after: ['after it was decided', '处理之后'],
  before: ['before it is decided', '处理之前'],
  unread: ['before it is read', '读取之前'],
  times: ['Times', '次数'],
  probability: ['Probability', '概率'],
  seconds: ['Seconds', '秒'],
  code: ['Code', '错误码'],
  status: ['HTTP status', 'HTTP 状态'],
  left: ['Balance left', '剩余条数'],
  jitter: ['Jitter, seconds', '随机延迟（秒）'],
  which: ['Which submits', '匹配条件'],
  only: ['Only numbers', '仅限号码'],
  account: ['Only account', '仅限账号'],
  protocol: ['Only protocol', '仅限协议'],
  any: ['any', '任意'],
  holds: ['Text holds', '内容包含'],
  skip: ['Spare first', '先放过次数'],
  seed: ['Seed', '随机种子'],
  sure: ['Forget everything that arrived, in the record file too?', '清空全部记录（包括记录文件）？'],
  provoke: ['Provoke', '启用'],
  remove: ['Remove', '移除'],
  triggered: ['triggered', '已触发'],
  exhausted: ['exhausted', '已结束'],
  more: ['Show more', '显示更多'],
  copy: ['Copy', '复制'],
  copied: ['Copied', '已复制'],
  raw: ['Raw request and response', '原始请求与响应'],
  requests: ['requests', '条请求'],
  request: ['request', '条请求'],
  numbers: ['numbers', '个号码'],
  one: ['number', '个号码'],
  characters: ['characters', '字'],
  segments: ['segments (an estimate)', '条计费（估算）'],
  segment: ['segment (an estimate)', '条计费（估算）'],
  channel: ['channel', '通道'],
  extension: ['extension', '扩展号'],
  none: ['Nothing has arrived yet.', '还没有收到短信。'],
  nothing: ['Nothing fits.', '没有符合条件的短信。'],
  dropped: ['older ones were dropped', '条较早的已丢弃'],
};
const t = (name) => TEXTS[name][CHINESE ? 1 : 0];
const many = (number, several, one) => `${number} ${t(number === 1 ? one : several)}`;
const kindOf = (kind) => (CHINESE ? `${kind} ${KINDS[kind]}` : kind);
const $ = (selector, from = document) => from.querySelector(selector);

let shown = [];
let state = { found: 0, total: 0, dropped: 0 };
let loads = 0;
let loading = false;
let last = 0; // the number of the last message that the page knows of, shown or not

function translate(root) {
  for (const node of root.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll('[data-label]')) {
    node.setAttribute('aria-label', t(node.dataset.label));
    if ('placeholder' in node) node.placeholder = t(node.dataset.label);
  }
}

// What is looked for; a number may be written with spaces and hyphens.
function asked() {
  return {
    text: $('#text').value.trim(),
    recipient: $('#recipient').value.replace(/[\s-]/g, ''),
    outcome: $('#outcome').value,
  };
}

async function call(path, options) {
  const response = await fetch(API + path, options).catch(() => { throw new Error(t('lost')); });
  const content = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
  if (!response.ok) throw new Error(content.error);
  return content;
}

// The text as a phone shows it, its signature marked; never as HTML.
function fillText(node, text) {
  const signature = /【[^【】]*】$/.exec(text);
  node.textContent = signature ? text.slice(0, signature.index) : text;
  if (signature) {
    const mark = document.createElement('mark');
    mark.textContent = signature[0];
    node.append(mark);
  }
}

function card(message) {
  const article = $('#message').content.cloneNode(true).firstElementChild;
  translate(article);
  article.classList.add(message.outcome);
  article.dataset.number = message.number;
  const time = $('time', article);
  time.dateTime = message.received_at;
  time.textContent = new Date(message.received_at).toLocaleString();
  $('.outcome', article).textContent = t(message.outcome);
  $('.fault', article).textContent = message.fault ? kindOf(message.fault) : '';
  $('.port', article).textContent = message.port ?? `HTTP ${message.status}`;
  const account = [message.user_code];
  if (message.channel) account.push(`${t('channel')} ${message.channel}`);
  if (message.extension) account.push(`${t('extension')} ${message.extension}`);
  $('.account', article).textContent = account.join(' · ');
  const recipients = $('.recipients', article);
  recipients.textContent = many(message.recipients.length, 'numbers', 'one');
  recipients.hidden = message.recipients.length === 0;
  $('.size', article).textContent = message.length
    ? `${message.length} ${t('characters')}, ${many(message.segments, 'segments', 'segment')}` : '';
  fillText($('.text', article), message.message);
  $('.answer code', article).textContent = message.batch_no ?? message.answer;
  $('.copy', article).hidden = message.batch_no === null;
  $('.meaning', article).textContent = message.chinese ? `${message.chinese} · ${message.english}` : '';
  recipients.addEventListener('click', () => {
    const numbers = $('.numbers', article);
    numbers.hidden = !numbers.hidden;
    numbers.textContent = message.recipients.join(' ');
    recipients.setAttribute('aria-expanded', String(!numbers.hidden));
  });
  $('.copy', article).addEventListener('click', async (event) => {
    await copy(message.batch_no);
    event.target.textContent = t('copied');
  });
  $('.raw', article).addEventListener('toggle', async () => {
    if ($('.request', article).textContent) return;
    try {
      const whole = await call(`/messages/${message.number}`);
      $('.request', article).textContent = whole.request;
      $('.response', article).textContent = whole.response;
    } catch (error) {
      $('.request', article).textContent = error.message;
    }
  });
  return article;
}

function count() {
  const parts = [];
  if (state.total === 0) parts.push(t('none'));
  else if (state.found === 0) parts.push(t('nothing'));
  else {
    const total = many(state.total, 'requests', 'request');
    parts.push(state.found === state.total ? total : `${state.found} / ${total}`);
  }
  if (state.dropped) parts.push(`${state.dropped} ${t('dropped')}`);
  $('#count').textContent = parts.join(' · ');
  $('#more').hidden = shown.length >= state.found;
}

// Under another name than localhost a page has no clipboard but this.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  return field.remove();
}

async function load(more = false) {
  const mine = ++loads;
  loading = true;
  const wanted = new URLSearchParams(Object.entries(asked()).filter(([, value]) => value));
  for (const form of ['csv', 'json']) $(`#${form}`).href = `${API}/messages.${form}?${wanted}`;
  wanted.set('limit', PAGE);
  if (more && shown.length) wanted.set('before', shown.at(-1).number);
  let answer;
  try {
    answer = await call(`/messages?${wanted}`);
  } catch (error) {
    $('#count').textContent = error.message;
    return;
  } finally {
    if (mine === loads) loading = false;
  }
  if (mine !== loads) return; // the search has changed meanwhile
  const list = $('#messages');
  if (!more) {
    shown = [];
    list.replaceChildren();
  }
  state = { ...answer, found: answer.found + (more ? shown.length : 0) };
  // What came while it loaded is in the answer, or comes now.
  if (!more) last = answer.last;
  flush();
  shown.push(...answer.messages);
  list.append(...answer.messages.map(card));
  count();
}

function fits(message) {
  const { recipient, outcome, ...wanted } = asked();
  const text = wanted.text.toLowerCase();
  const texts = [message.message, message.answer, message.batch_no ?? '', message.user_code, ...message.recipients];
  return (!outcome || outcome === message.outcome)
    && (!recipient || message.recipients.includes(recipient))
    && (!text || texts.some((each) => each.toLowerCase().includes(text)));
}

// Many may come at once: the page is touched now and then, and never holds more than one load.
let waiting = [];
let timer;
function arrive(message) {
  waiting.push(message);
  if (waiting.length > 10 * PAGE) waiting.shift(); // the next load shows it
  timer ??= setTimeout(flush, 50);
}

function flush() {
  clearTimeout(timer);
  timer = undefined;
  if (loading) return; // it is called again at its end
  const come = waiting.filter((message) => message.number > last);
  waiting = [];
  if (!come.length) return;
  ({ number: last, total: state.total, dropped: state.dropped } = come.at(-1));
  const fitting = come.filter(fits);
  state.found = Math.min(state.found + fitting.length, state.total);
  const fresh = fitting.slice(-PAGE).reverse();
  shown.unshift(...fresh);
  $('#messages').prepend(...fresh.map(card));
  while (shown.length > 10 * PAGE) {
    shown.pop();
    $('#messages').lastElementChild.remove();
  }
  count();
}

// A browser keeps few connections to one host: a page that nobody sees holds none.
let events;
let again;
function listen() {
  events?.close();
  clearTimeout(again);
  if (document.hidden) return;
  events = new EventSource(`${API}/events`);
  events.addEventListener('open', () => {
    $('#live').textContent = `● ${t('live')}`;
    load();
    loadFaults();
  });
  events.addEventListener('error', async (event) => {
    $('#live').textContent = `○ ${t('lost')}`;
    if (event.target.readyState !== EventSource.CLOSED) return; // it tries again by itself
    again = setTimeout(listen, 5000);
    await call('/messages?limit=0').catch((error) => { $('#live').textContent = `○ ${error.message}`; });
  });
  events.addEventListener('faults', () => { soon ??= setTimeout(loadFaults, 100); });
  events.addEventListener('message', (event) => arrive(JSON.parse(event.data)));
  events.addEventListener('cleared', () => {
    waiting = [];
    load();
  });
}

// What of a fault was chosen, so that two of one kind can be told apart.
function chosen(rule) {
  const own = { code: 'code', html: 'status', balance: 'left' }[rule.kind];
  const named = { seconds: 0, jitter: 0, user_code: null, protocol: null, text: '', skip: 0, probability: 1, seed: 0 };
  const parts = own ? [`${own}=${rule[own]}`] : [];
  for (const [name, usual] of Object.entries(named)) {
    if (name in rule && rule[name] !== usual) parts.push(`${name}=${rule[name]}`);
  }
  if (rule.numbers?.length) parts.push(`numbers=${rule.numbers.join('+')}`);
  return parts;
}

let soon;
async function loadFaults() {
  clearTimeout(soon);
  soon = undefined;
  const rules = await call('/faults');
  const inForce = rules.filter((rule) => !rule.exhausted).length;
  $('#in-force').textContent = inForce ? `(${inForce})` : '';
  // Items stay where they are, or nobody could click on one that changes.
  const there = new Map([...$('#rules').children].map((item) => [item.dataset.id, item]));
  for (const rule of rules) {
    const item = there.get(String(rule.id)) ?? $('#rules').appendChild(ruleItem(rule.id));
    there.delete(String(rule.id));
    const times = rule.times === null ? '∞' : rule.times;
    const parts = [kindOf(rule.kind), ...chosen(rule), t(rule.when), `${t('triggered')} ${rule.triggered} / ${times} `];
    if (rule.exhausted) parts.splice(-1, 0, t('exhausted'));
    item.firstChild.data = parts.join(' · ');
  }
  for (const item of there.values()) item.remove();
}

function ruleItem(id) {
  const item = document.createElement('li');
  item.dataset.id = id;
  const remove = document.createElement('button');
  remove.type = 'button';
  remove.textContent = t('remove');
  remove.addEventListener('click', async () => {
    await call(`/faults/${id}`, { method: 'DELETE' });
    await loadFaults();
  });
  item.append(document.createTextNode(''), remove);
  return item;
}

async function provoke(event) {
  event.preventDefault();
  const given = new FormData(event.target);
  const fault = { kind: given.get('kind'), when: given.get('when') };
  fault.times = given.get('times') ? Number(given.get('times')) : null;
  for (const name of ['probability', 'skip', 'seed', 'seconds', 'jitter', 'status', 'left']) {
    if (given.has(name)) fault[name] = Number(given.get(name));
  }
  for (const name of ['code', 'user_code', 'protocol', 'text']) {
    if (given.get(name)) fault[name] = given.get(name);
  }
  if (given.has('numbers')) fault.numbers = given.get('numbers').split(/[\s,，、]+/).filter(Boolean);
  try {
    await call('/faults', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(fault),
    });
    $('#problem').textContent = '';
  } catch (error) {
    $('#problem').textContent = error.message;
  }
  await loadFaults();
}

// Only what the chosen kind knows is asked for, and sent.
function options() {
  const kind = $('[name=kind]').value;
  for (const label of document.querySelectorAll('[data-for]')) {
    label.hidden = !label.dataset.for.split(' ').includes(kind);
    $('input, select', label).disabled = label.hidden;
  }
  const when = $('[name=when]');
  for (const option of when.options) option.disabled = !(WHEN[kind] ?? ['after']).includes(option.value);
  if (when.selectedOptions[0].disabled) when.value = 'after';
  // An account that has run dry stays so.
  $('[name=times]').value = kind === 'balance' ? '' : '1';
}

function keys(event) {
  if (event.target.matches('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/') {
    event.preventDefault();
    $('#text').focus();
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const cards = [...$('#messages').children];
  const at = cards.indexOf(document.activeElement.closest?.('article'));
  cards[Math.max(0, Math.min(cards.length - 1, at + step))]?.focus();
}

document.documentElement.lang = CHINESE ? 'zh-CN' : 'en';
translate(document);
document.title = t('title');
$('[name=kind]').append(...Object.keys(KINDS).map((kind) => new Option(kindOf(kind), kind)));
$('#search').addEventListener('submit', (event) => event.preventDefault());
let typing;
$('#search').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(load, 150);
});
$('#more').addEventListener('click', () => load(true));
$('#clear').addEventListener('click', () => {
  if (window.confirm(t('sure'))) call('/messages', { method: 'DELETE' });
});
$('[name=kind]').addEventListener('change', options);
options();
$('#fault').addEventListener('submit', provoke);
document.addEventListener('keydown', keys);
document.addEventListener('visibilitychange', listen);
listen();
