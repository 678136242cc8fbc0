// Raw requests: made readable, and made into a curl command. Pure.
import { endpoint } from './api.js';

export const PASSWORD = 'PASSWORD'; // stands where the password was
const KEPT = 16 << 10; // characters that the sandbox keeps of a request
// curl writes these itself.
const OWN = new Set(['host', 'content-length', 'connection', 'accept-encoding', 'expect', 'transfer-encoding', 'user-agent']);
const ENTITIES = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

/** Undo the percent-encoding of a text; bytes that are not UTF-8 become U+FFFD. */
export function unquote(text) {
  return text.replace(/\+/g, ' ').replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    const bytes = run.slice(1).split('%').map((each) => parseInt(each, 16));
    return new TextDecoder().decode(new Uint8Array(bytes));
  });
}

/** Replace the entities of XML by their characters. */
export function unescape(text) {
  return text.replace(/&(?:#x([0-9A-Fa-f]{1,6})|#(\d{1,7})|(lt|gt|quot|apos|amp));/g, (all, hex, decimal, name) => {
    if (name) return ENTITIES[name];
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code <= 0x10FFFF ? String.fromCodePoint(code) : all;
  });
}

const split = (raw) => {
  const at = raw.indexOf('\n\n');
  return at < 0 ? [raw, ''] : [raw.slice(0, at), raw.slice(at + 2)];
};

const pairs = (text) => text.split('&').map((pair) => {
  const at = pair.indexOf('=');
  return at < 0 ? unquote(pair) : `${unquote(pair.slice(0, at))} = ${unquote(pair.slice(at + 1))}`;
}).join('\n');

/** Return a raw request or response with percent-encoding and entities decoded. */
export function decode(raw) {
  const [head, body] = split(raw);
  const [first, ...headers] = head.split('\n');
  const [, start, query, end] = /^(\S+ [^\s?]*)\??(\S*)(.*)$/s.exec(first) ?? [null, first, '', ''];
  const line = query ? `${unquote(start)}${end}\n${pairs(query)}` : first;
  const isForm = headers.some((each) => /^content-type:.*urlencoded/i.test(each));
  const text = isForm ? pairs(body) : unescape(body);
  return [[line, ...headers].join('\n'), text].filter(Boolean).join('\n\n');
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

const withPlaceholder = (text) => text
  .replace(/(\buserPass=)\*\*\*/gi, `$1${PASSWORD}`)
  .replace(/(<(?:[\w.-]+:)?userPass\b[^>]*>)\*\*\*/gi, `$1${PASSWORD}`);

/** Return a curl command that sends a request again, with a placeholder for the password.
 *
 * Return null if the request is not kept as a whole.
 */
export function toCurl(raw) {
  if (!raw || raw.length >= KEPT) return null;
  const [head, body] = split(raw);
  if (/^\(\d+ bytes that are neither/.test(body)) return null;
  const [first, ...headers] = head.split('\n');
  const [method, target] = first.split(' ');
  const at = target.indexOf('/MsgSend.asmx');
  if (at < 0) return null;
  const parts = ['curl', '-sS'];
  if (method !== (body ? 'POST' : 'GET')) parts.push('-X', quote(method));
  parts.push(quote(withPlaceholder(endpoint() + target.slice(at + '/MsgSend.asmx'.length))));
  let typed = false;
  for (const line of headers) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    if (name === 'content-type') typed = true;
    if (!OWN.has(name) && !line.endsWith(': ***')) parts.push('-H', quote(line));
  }
  if (body) parts.push(...(typed ? [] : ['-H', quote('Content-Type:')]), '--data-binary', quote(withPlaceholder(body)));
  return parts.join(' ');
}
