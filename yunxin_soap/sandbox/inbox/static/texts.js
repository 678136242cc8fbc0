// Every text of the page, in English and in Chinese. `{n}` stands for a value.
//
// The descriptions of faults are the models' own in English, so only their Chinese is here.

const TEXTS = {
  title: ['yunxin sandbox', '云信沙箱'],
  live: ['live', '实时'],
  disconnected: ['not connected; reconnecting', '连接已断开，正在重连'],
  tools: ['Tools', '工具'],
  messages: ['Messages', '短信列表'],
  pane: ['Details', '详情'],
  close: ['Close', '关闭'],
  back: ['Back to the list', '返回列表'],
  cancel: ['Cancel', '取消'],
  language: ['Switch to Chinese', '切换到英文'],
  'language.other': ['中文', 'English'],
  'theme.auto': ['Theme: as the system', '主题：跟随系统'],
  'theme.light': ['Theme: light', '主题：浅色'],
  'theme.dark': ['Theme: dark', '主题：深色'],

  search: ['Search text, number, batch number', '搜索内容、号码、批次号'],
  suggestions: ['Search suggestions', '搜索建议'],
  'term.to': ['a number, or part of it', '号码，或其中一部分'],
  'term.outcome': ['accepted, rejected, failed, malformed', '结果：accepted、rejected、failed、malformed'],
  'term.code': ['result code, such as -7', '错误码，例如 -7'],
  'term.text': ['part of the message', '短信内容中的文字'],
  'term.account': ['user code of the account', '账号（userCode）'],
  'term.before': ['arrived before 14:30 or 2026-11-30', '早于某时间，例如 14:30 或 2026-11-30'],
  'term.words': ['anywhere in a message; quotes keep spaces', '任意位置；含空格时加引号'],
  'term.now': ['now', '现在'],
  'term.today': ['before today', '今天之前'],

  'head.time': ['Time', '时间'],
  'head.outcome': ['Outcome', '结果'],
  'head.to': ['To', '号码'],
  'head.message': ['Message', '内容'],
  'head.account': ['Account', '账号'],
  'head.segments': ['Segments', '条数'],
  nobody: ['nobody', '无号码'],

  'outcome.accepted': ['accepted', '已接受'],
  'outcome.rejected': ['rejected', '被拒绝'],
  'outcome.failed': ['failed', '失败'],
  'outcome.malformed': ['malformed', '请求有误'],
  'outcome.lost': ['accepted → {fault}', '已接受 → {fault}'],
  'outcome.lost.about': [
    'The gateway accepted this message. Then the fault kept the answer from the caller.',
    '网关已接受这条短信，随后的故障使调用方收不到正常结果。'],
  'outcome.failed.fault': ['failed: {fault}', '失败：{fault}'],
  'test-number': ['test number', '测试号码'],

  count: ['{n} requests', '{n} 条请求'],
  'count.one': ['1 request', '1 条请求'],
  'count.found': ['{found} of {n} requests', '{n} 条请求中的 {found} 条'],
  'count.dropped': ['{n} older ones were dropped', '较早的 {n} 条已丢弃'],
  'no-match': ['Nothing matches this search.', '没有符合条件的短信。'],
  'no-match.reset': ['Show all', '显示全部'],
  fresh: ['{n} new', '{n} 条新短信'],
  download: ['Download', '下载'],

  clear: ['Clear', '清空'],
  'clear.title': ['Clear the sandbox', '清空沙箱'],
  'clear.what': [
    'Deletes all {n} requests, also in the record file, and restores the balances.',
    '删除全部 {n} 条请求（包括记录文件），并恢复余额。'],
  'clear.faults': ['Remove the injected faults too ({n})', '同时移除已注入的故障（{n} 个）'],
  'clear.do': ['Clear', '清空'],

  copy: ['Copy', '复制'],
  copied: ['Copied', '已复制'],
  'copy.number': ['Copy the number', '复制号码'],
  'copy.numbers': ['Copy all numbers', '复制全部号码'],
  'copy.code': ['Copy the code', '复制验证码'],
  'copy.batch': ['Copy the batch number', '复制批次号'],
  'copy.link': ['Copy a link to this message', '复制此短信的链接'],
  'copy.curl': ['Copy as curl', '复制为 curl'],
  'curl.note': ['Replace PASSWORD with the account’s password.', '请将 PASSWORD 换成账号密码。'],
  'curl.none': [
    'There is no curl command: the request is not kept as a whole.',
    '没有 curl 命令：未保留完整的请求。'],

  previous: ['Previous (k)', '上一条（k）'],
  next: ['Next (j)', '下一条（j）'],
  'message.malformed': ['Malformed request', '有误的请求'],
  'message.empty': ['Without a text', '没有内容'],
  'phone.label': ['As a phone shows it', '手机显示效果'],
  'phone.accepted': ['Accepted by the gateway', '网关已接受'],
  'phone.refused': ['Not accepted: no SMS goes out', '网关未接受，不会发送'],
  code: ['Code', '验证码'],
  result: ['Result', '返回结果'],
  batch: ['Batch number', '批次号'],
  reason: ['Reason', '原因'],
  received: ['Received', '收到时间'],
  account: ['Account', '账号'],
  channel: ['Channel', '通道'],
  extension: ['Extension', '扩展号'],
  protocol: ['Protocol', '协议'],
  from: ['From', '来源 IP'],
  status: ['HTTP status', 'HTTP 状态'],
  fault: ['Fault', '故障'],
  billed: ['Billed (estimate)', '计费（估算）'],
  'billed.one': ['{segments} × {numbers} = {n} ({length} characters)', '{segments} 条 × {numbers} 个号码 = {n} 条（{length} 字）'],
  numbers: ['{n} numbers', '{n} 个号码'],
  raw: ['Raw request and response', '原始请求与响应'],
  request: ['Request', '请求'],
  response: ['Response', '响应'],
  'raw.as-it-was': ['as it was', '原文'],
  'raw.decoded': ['decoded', '解码后'],
  'raw.none': ['not kept', '未保留'],
  'pane.none': ['No message is open.', '未打开短信。'],
  'pane.hint': ['Choose one in the list, or press j.', '在列表中选择一条，或按 j 键。'],

  'empty.title': ['Nothing has arrived yet.', '还没有收到短信。'],
  'empty.about': [
    'Send the first message to this sandbox. It appears here at once, and no SMS goes out.',
    '向本沙箱发送第一条短信。它会立即出现在这里，不会真的发出。'],
  'samples.no-account': ['The sandbox has no account with a channel.', '沙箱没有带通道的账号。'],
  'send.another': ['Send another message', '再发一条短信'],

  help: ['Help', '帮助'],
  'help.keys': ['Keys', '快捷键'],
  'help.search': ['Search', '搜索'],
  'help.test-numbers': ['Test numbers', '测试号码'],
  'help.rest': ['The REST API as an OpenAPI document', 'REST API 的 OpenAPI 文档'],
  'key.next': ['next, older message', '下一条（较早）'],
  'key.previous': ['previous, newer message', '上一条（较新）'],
  'key.search': ['search', '搜索'],
  'key.help': ['this help', '本帮助'],
  'key.escape': ['close, go back', '关闭、返回'],
  'help.test-numbers.off': ['They are switched off.', '已关闭。'],

  faults: ['Faults', '故障'],
  'faults.about': [
    'A fault makes the next submissions that match it go wrong. Clear asks whether to remove the faults too.',
    '故障会使接下来符合条件的提交出错。清空时会询问是否同时移除故障。'],
  'faults.none': ['No fault is injected.', '没有注入故障。'],
  'faults.new': ['Inject a fault', '注入故障'],
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
  triggered: ['triggered {n} / {times}', '已触发 {n} / {times}'],
  exhausted: ['exhausted', '已结束'],
};

// The models' English descriptions of the faults and their options, in Chinese.
const CHINESE = {
  'The correct response, late.': '正确的响应，但延迟返回。',
  'The connection closes without a response.': '不响应，直接关闭连接。',
  'The connection is reset without a response.': '不响应，直接重置连接。',
  'No response; the connection stays open.': '不响应，连接保持打开。',
  'Half a response, then the connection closes.': '只返回一半响应，随后关闭连接。',
  'A response whose body is random bytes.': '响应体是随机字节。',
  'The correct response, byte by byte.': '正确的响应，逐字节返回。',
  'The correct response with the wrong Content-Type.': '正确的响应，但 Content-Type 错误。',
  'An error page, as a proxy shows one.': '错误页面，像代理显示的那样。',
  'The method throws: a SOAP Server fault, or else HTTP 500.': '方法抛出异常：SOAP 服务端错误，或 HTTP 500。',
  'The gateway rejects the submission with a code.': '网关用一个错误码拒绝提交。',
  'The gateway answers -7 once the balance is used up.': '余额用尽后，网关返回 -7。',
  'The TCP port is closed to everybody, also the page and REST.': 'TCP 端口对所有人关闭，包括网页和 REST。',
  'after the gateway has decided and recorded the submission, before the gateway sees it, or unread: before the request is read.':
    'after：网关处理并记录提交之后；before：网关看到提交之前；unread：读取请求之前。',
  'How many submissions the fault hits; without a number, every one that matches.': '故障命中多少次提交；不填则是所有符合条件的提交。',
  'Seed of the random choices: the same seed hits the same submissions.': '随机种子：相同的种子命中相同的提交。',
  'Only submissions to one of these numbers.': '仅限发往其中某个号码的提交。',
  'Only submissions of this account.': '仅限该账号的提交。',
  'Only submissions over this protocol.': '仅限通过该协议的提交。',
  'Only messages that contain this text.': '仅限内容包含该文字的短信。',
  'How many matching submissions pass before the fault hits one.': '先放过多少次符合条件的提交。',
  'How likely the fault hits a matching submission.': '命中符合条件的提交的概率。',
  'Seconds to wait.': '等待的秒数。',
  'Random extra delay: 0 to this many seconds.': '额外的随机延迟：0 到该秒数。',
  'Seconds between two bytes.': '两个字节之间的秒数。',
  'Random extra delay: 0 to this many seconds, the same for all bytes of a response.':
    '额外的随机延迟：0 到该秒数，同一响应的所有字节相同。',
  'The HTTP status. One that rejects, such as 404, says that nothing was sent, so it needs when=before. After any other, such as 408, the outcome is unknown.':
    'HTTP 状态。表示拒绝的状态（如 404）说明没有发送，因此须用 when=before；其他状态（如 408）之后结果未知。',
  'The result of the method, such as -14 or -6:促销.': '方法的返回结果，例如 -14 或 -6:促销。',
  'How many numbers can still be paid for.': '余额还够发多少个号码。',
  'Seconds until the port opens again.': '多少秒后重新打开端口。',
};

export const isChinese = () => document.documentElement.lang === 'zh-CN';

/** Return a text in the page's language; `{name}` is replaced by the value of that name. */
export function t(name, values = {}) {
  const text = TEXTS[name][isChinese() ? 1 : 0];
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

/** Return a description of the models in the page's language. */
export const describe = (english) => (isChinese() ? CHINESE[english] ?? english : english);

/** Return a number in groups of three digits, as both languages write it. */
// Intl would do, but loading its data takes longer than drawing the whole list.
export const n = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, ',');

/** Fill in the texts of an element's descendants. */
export function translate(root) {
  for (const node of root.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll('[data-hint]')) {
    node.textContent = describe(node.dataset.hint);
    const label = node.parentElement.querySelector('label');
    label.title = node.textContent;
  }
  for (const node of root.querySelectorAll('[data-label]')) {
    const text = t(node.dataset.label);
    node.setAttribute('aria-label', text);
    if ('placeholder' in node) node.placeholder = text;
    else if (node.matches('a, button')) node.title = text;
  }
}

/** Store a choice of the reader; a browser that keeps nothing forgets it. */
export function remember(name, value) {
  try {
    if (value) localStorage.setItem(`yunxin-${name}`, value);
    else localStorage.removeItem(`yunxin-${name}`);
  } catch { /* storage is switched off */ }
}
