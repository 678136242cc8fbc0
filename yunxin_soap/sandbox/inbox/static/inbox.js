'use strict';

const API = 'api/v1';
const PAGE = 100; // arrivals that one request loads
const MAX_SHOWN = 10 * PAGE;
const CHINESE = (navigator.languages?.[0] ?? navigator.language).toLowerCase().startsWith('zh');
const TEXTS = {
  title: ['yunxin_soap sandbox', 'yunxin_soap 沙箱'],
  live: ['live', '实时'],
  disconnected: ['not connected; reconnecting', '连接已断开，正在重连'],
  search: ['Search text, number, batch number', '搜索内容、号码、批次号'],
  number: ['Number', '号码'],
  outcome: ['Outcome', '结果'],
  all: ['all outcomes', '全部结果'],
  'outcome.accepted': ['accepted', '成功'],
  'outcome.rejected': ['rejected', '被拒绝'],
  'outcome.failed': ['failed', '失败'],
  'outcome.malformed': ['malformed', '请求有误'],
  clear: ['Clear', '清空'],
  confirm: ['Delete everything that arrived, also in the record file?', '清空全部记录（包括记录文件）？'],
  faults: ['Inject faults', '注入故障'],
  kind: ['Fault', '故障'],
  'kind.delay': ['delay', 'delay 延迟响应'],
  'kind.close': ['close', 'close 关闭连接'],
  'kind.reset': ['reset', 'reset 重置连接'],
  'kind.hang': ['hang', 'hang 不响应'],
  'kind.cut': ['cut', 'cut 响应截断'],
  'kind.garble': ['garble', 'garble 响应乱码'],
  'kind.trickle': ['trickle', 'trickle 逐字节响应'],
  'kind.content-type': ['content-type', 'content-type 错误的类型'],
  'kind.html': ['html', 'html 代理错误页'],
  'kind.error': ['error', 'error 服务异常'],
  'kind.code': ['code', 'code 返回错误码'],
  'kind.balance': ['balance', 'balance 余额用尽'],
  'kind.refuse': ['refuse', 'refuse 拒绝连接'],
  when: ['When', '时机'],
  'when.after': ['after processing', '处理之后'],
  'when.before': ['before processing', '处理之前'],
  'when.unread': ['before reading', '读取之前'],
  'option.times': ['Times', '次数'],
  'option.seconds': ['Seconds', '秒'],
  'option.jitter': ['Jitter (seconds)', '随机延迟（秒）'],
  'option.status': ['HTTP status', 'HTTP 状态'],
  'option.code': ['Code', '错误码'],
  'option.left': ['Balance left', '剩余条数'],
  selection: ['Which submissions', '匹配条件'],
  'option.numbers': ['Only numbers', '仅限号码'],
  'option.user_code': ['Only account', '仅限账号'],
  'option.protocol': ['Only protocol', '仅限协议'],
  any: ['any', '任意'],
  'option.text': ['Message contains', '内容包含'],
  'option.skip': ['Skip first', '先放过次数'],
  'option.probability': ['Probability', '概率'],
  'option.seed': ['Seed', '随机种子'],
  inject: ['Inject', '注入'],
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
  empty: ['Nothing has arrived yet.', '还没有收到短信。'],
  'no-match': ['Nothing matches.', '没有符合条件的短信。'],
  dropped: ['older ones were dropped', '条较早的已丢弃'],
};
const t = (name) => TEXTS[name][CHINESE ? 1 : 0];
const pluralize = (number, several, one) => `${number} ${t(number === 1 ? one : several)}`;
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

let shown = []; // the arrivals on the page, the latest first
let totals = { found: 0, total: 0, dropped: 0 };
let loads = 0;
let loading = false;
let lastId = 0; // the latest arrival that the page knows of, shown or not

function translate(root) {
  for (const node of $$('[data-text]', root)) node.textContent = t(node.dataset.text);
  for (const node of $$('[data-label]', root)) {
    node.setAttribute('aria-label', t(node.dataset.label));
    if ('placeholder' in node) node.placeholder = t(node.dataset.label);
  }
}

// People may write a number with spaces and hyphens.
function readSearch() {
  return {
    text: $('#text').value.trim(),
    recipient: $('#recipient').value.replace(/[\s-]/g, ''),
    outcome: $('#outcome').value,
  };
}

async function call(path, options) {
  const response = await fetch(API + path, options).catch(() => { throw new Error(t('disconnected')); });
  const content = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
  if (!response.ok) throw new Error(content.error);
  return content;
}

// Show a message as a phone does, its signature marked. It never becomes HTML.
function fillText(node, text) {
  const signature = /【[^【】]*】$/.exec(text);
  node.textContent = signature ? text.slice(0, signature.index) : text;
  if (signature) {
    const mark = document.createElement('mark');
    mark.textContent = signature[0];
    node.append(mark);
  }
}

function createCard(arrival) {
  const article = $('#arrival').content.cloneNode(true).firstElementChild;
  translate(article);
  article.classList.add(arrival.outcome);
  article.dataset.id = arrival.id;
  const time = $('time', article);
  time.dateTime = arrival.received_at;
  time.textContent = new Date(arrival.received_at).toLocaleString();
  $('.outcome', article).textContent = t(`outcome.${arrival.outcome}`);
  $('.fault', article).textContent = arrival.fault ? t(`kind.${arrival.fault}`) : '';
  $('.protocol', article).textContent = arrival.protocol ?? `HTTP ${arrival.http_status}`;
  const account = [arrival.user_code];
  if (arrival.channel) account.push(`${t('channel')} ${arrival.channel}`);
  if (arrival.extension) account.push(`${t('extension')} ${arrival.extension}`);
  $('.account', article).textContent = account.join(' · ');
  const recipients = $('.recipients', article);
  recipients.textContent = pluralize(arrival.recipients.length, 'numbers', 'one');
  recipients.hidden = arrival.recipients.length === 0;
  $('.size', article).textContent = arrival.length
    ? `${arrival.length} ${t('characters')}, ${pluralize(arrival.segments, 'segments', 'segment')}` : '';
  fillText($('.text', article), arrival.message);
  $('.result code', article).textContent = arrival.batch_no ?? arrival.result;
  $('.copy', article).hidden = arrival.batch_no === null;
  $('.description', article).textContent = arrival.description_zh
    ? `${arrival.description_zh} · ${arrival.description_en}` : '';
  recipients.addEventListener('click', () => {
    const numbers = $('.numbers', article);
    numbers.hidden = !numbers.hidden;
    numbers.textContent = arrival.recipients.join(' ');
    recipients.setAttribute('aria-expanded', String(!numbers.hidden));
  });
  $('.copy', article).addEventListener('click', async (event) => {
    await copyText(arrival.batch_no);
    event.target.textContent = t('copied');
  });
  $('.raw', article).addEventListener('toggle', async () => {
    if ($('.request', article).textContent) return;
    try {
      const detail = await call(`/arrivals/${arrival.id}`);
      $('.request', article).textContent = detail.request;
      $('.response', article).textContent = detail.response;
    } catch (error) {
      $('.request', article).textContent = error.message;
    }
  });
  return article;
}

function showCount() {
  const parts = [];
  if (totals.total === 0) parts.push(t('empty'));
  else if (totals.found === 0) parts.push(t('no-match'));
  else {
    const total = pluralize(totals.total, 'requests', 'request');
    parts.push(totals.found === totals.total ? total : `${totals.found} / ${total}`);
  }
  if (totals.dropped) parts.push(`${totals.dropped} ${t('dropped')}`);
  $('#count').textContent = parts.join(' · ');
  $('#more').hidden = shown.length >= totals.found;
}

// Browsers give the clipboard API only to localhost and https.
async function copyText(text) {
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
  const query = new URLSearchParams(Object.entries(readSearch()).filter(([, value]) => value));
  for (const format of ['csv', 'json']) $(`#${format}`).href = `${API}/arrivals.${format}?${query}`;
  query.set('limit', PAGE);
  if (more && shown.length) query.set('before_id', shown.at(-1).id);
  let page;
  try {
    page = await call(`/arrivals?${query}`);
  } catch (error) {
    $('#count').textContent = error.message;
    return;
  } finally {
    if (mine === loads) loading = false;
  }
  if (mine !== loads) return; // a newer load has started
  const list = $('#arrivals');
  if (!more) {
    shown = [];
    list.replaceChildren();
  }
  totals = { ...page, found: page.found + (more ? shown.length : 0) };
  // Arrivals that came during the load are in the page already, or are pending.
  if (!more) lastId = page.last_id;
  showPending();
  shown.push(...page.arrivals);
  list.append(...page.arrivals.map(createCard));
  showCount();
}

// Match as the API does.
function matches(arrival) {
  const search = readSearch();
  const text = search.text.toLowerCase();
  const texts = [arrival.message, arrival.result, arrival.batch_no ?? '', arrival.user_code, ...arrival.recipients];
  return (!search.outcome || search.outcome === arrival.outcome)
    && (!search.recipient || arrival.recipients.includes(search.recipient))
    && (!text || texts.some((each) => each.toLowerCase().includes(text)));
}

// Many arrivals can come at once: collect them, and change the page at most every 50 ms.
let pending = [];
let pendingTimer;
function addArrival(arrival) {
  pending.push(arrival);
  if (pending.length > MAX_SHOWN) pending.shift(); // the next load shows it
  pendingTimer ??= setTimeout(showPending, 50);
}

function showPending() {
  clearTimeout(pendingTimer);
  pendingTimer = undefined;
  if (loading) return; // the end of the load calls it again
  const fresh = pending.filter((arrival) => arrival.id > lastId);
  pending = [];
  if (!fresh.length) return;
  ({ id: lastId, total: totals.total, dropped: totals.dropped } = fresh.at(-1));
  const matching = fresh.filter(matches);
  totals.found = Math.min(totals.found + matching.length, totals.total);
  const latest = matching.slice(-PAGE).reverse();
  shown.unshift(...latest);
  $('#arrivals').prepend(...latest.map(createCard));
  while (shown.length > MAX_SHOWN) {
    shown.pop();
    $('#arrivals').lastElementChild.remove();
  }
  showCount();
}

// A browser opens few connections to one host, so a hidden page keeps none open.
let events;
let reconnectTimer;
function connect() {
  events?.close();
  clearTimeout(reconnectTimer);
  if (document.hidden) return;
  events = new EventSource(`${API}/events`);
  events.addEventListener('open', () => {
    $('#connection').textContent = `● ${t('live')}`;
    load();
    loadFaults();
  });
  events.addEventListener('error', async (event) => {
    $('#connection').textContent = `○ ${t('disconnected')}`;
    if (event.target.readyState !== EventSource.CLOSED) return; // the browser reconnects by itself
    reconnectTimer = setTimeout(connect, 5000);
    await call('/arrivals?limit=0').catch((error) => { $('#connection').textContent = `○ ${error.message}`; });
  });
  events.addEventListener('faults', () => { faultsTimer ??= setTimeout(loadFaults, 100); });
  events.addEventListener('arrival', (event) => addArrival(JSON.parse(event.data)));
  events.addEventListener('cleared', () => {
    pending = [];
    load();
  });
}

const labelsOf = (kind) => $$('#fault [data-option]').filter((each) => each.dataset.kinds.split(' ').includes(kind));

// The options that differ from their defaults, and those that say what the fault does: so two
// faults of one kind look different.
function describeOptions(fault) {
  const parts = [];
  for (const label of labelsOf(fault.kind)) {
    const { option } = label.dataset;
    if (option === 'times') continue;
    const value = [fault[option]].flat().join('+');
    const usual = [JSON.parse(label.dataset.default)].flat().join('+');
    if (value !== usual || !label.closest('details details')) parts.push(`${option}=${value}`);
  }
  return parts;
}

let faultsTimer;
async function loadFaults() {
  clearTimeout(faultsTimer);
  faultsTimer = undefined;
  const faults = await call('/faults');
  const active = faults.filter((fault) => !fault.exhausted).length;
  $('#active-count').textContent = active ? `(${active})` : '';
  // Keep the items that are there: nobody can click on an item that is replaced all the time.
  const items = new Map([...$('#fault-list').children].map((item) => [item.dataset.id, item]));
  for (const fault of faults) {
    const item = items.get(String(fault.id)) ?? $('#fault-list').appendChild(createFaultItem(fault.id));
    items.delete(String(fault.id));
    const parts = [t(`kind.${fault.kind}`), ...describeOptions(fault), t(`when.${fault.when}`)];
    if (fault.exhausted) parts.push(t('exhausted'));
    parts.push(`${t('triggered')} ${fault.triggered} / ${fault.times ?? '∞'} `);
    item.firstChild.data = parts.join(' · ');
  }
  for (const item of items.values()) item.remove();
}

function createFaultItem(id) {
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

const READERS = {
  integer: Number,
  number: Number,
  string: (text) => text,
  array: (text) => text.split(/[\s,，、]+/).filter(Boolean),
};

async function injectFault(event) {
  event.preventDefault();
  const form = new FormData(event.target);
  const fault = { kind: form.get('kind'), when: form.get('when') };
  for (const { dataset } of labelsOf(fault.kind)) {
    const text = form.get(dataset.option);
    if (text) fault[dataset.option] = READERS[dataset.type](text); // an empty field is left out
  }
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

// Show the options of the chosen kind; hidden ones are not sent.
function showOptions() {
  const kind = $('[name=kind]').selectedOptions[0];
  kind.parentElement.title = kind.title;
  const labels = labelsOf(kind.value);
  for (const label of $$('#fault [data-option]')) {
    label.hidden = !labels.includes(label);
    $('input, select', label).disabled = label.hidden;
  }
  const when = $('[name=when]');
  for (const option of when.options) option.disabled = !kind.dataset.stages.split(' ').includes(option.value);
  if (when.selectedOptions[0].disabled) when.value = 'after';
  // A balance that is used up stays so.
  $('[name=times]').value = kind.value === 'balance' ? '' : '1';
}

function handleKey(event) {
  if (event.target.matches('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '/') {
    event.preventDefault();
    $('#text').focus();
  }
  const step = { j: 1, k: -1 }[event.key];
  if (!step) return;
  const cards = [...$('#arrivals').children];
  const index = cards.indexOf(document.activeElement.closest?.('article'));
  cards[Math.max(0, Math.min(cards.length - 1, index + step))]?.focus();
}

document.documentElement.lang = CHINESE ? 'zh-CN' : 'en';
translate(document);
document.title = t('title');
$('#search').addEventListener('submit', (event) => event.preventDefault());
let typingTimer;
$('#search').addEventListener('input', () => {
  clearTimeout(typingTimer);
  typingTimer = setTimeout(load, 150);
});
$('#more').addEventListener('click', () => load(true));
$('#clear').addEventListener('click', () => {
  if (window.confirm(t('confirm'))) call('/arrivals', { method: 'DELETE' });
});
$('[name=kind]').addEventListener('change', showOptions);
showOptions();
$('#fault').addEventListener('submit', injectFault);
document.addEventListener('keydown', handleKey);
document.addEventListener('visibilitychange', connect);
connect();
