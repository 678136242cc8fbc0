// Calls of the REST API. Every address is relative, so the page works below any path.
import { t } from './texts.js';

const API = 'api/v1';

/** The address of the service's page, for programs that send. */
export const endpoint = () => new URL('api/MsgSend.asmx', new URL('.', location.href)).href;

export const eventsAddress = `${API}/events`;

/** Return an address of the API with a query. */
export const address = (path, query = {}) => {
  const text = new URLSearchParams(query).toString();
  return `${API}${path}${text ? `?${text}` : ''}`;
};

// early.js has sent the first request.
function send(url, options) {
  const early = window.early?.[url];
  if (early) delete window.early[url];
  return early ?? fetch(url, options);
}

/** Return the JSON of a response; an error has the server's words, in the page's language. */
export async function call(path, { query, ...options } = {}) {
  const headers = { 'Accept-Language': document.documentElement.lang, ...options.headers };
  const response = await send(address(path, query), { ...options, headers })
    .catch(() => { throw new Error(t('disconnected')); });
  const content = await response.json().catch(() => ({ error: `HTTP ${response.status}` }));
  if (!response.ok) throw Object.assign(new Error(content.error), { status: response.status });
  return content;
}

/** Return the query parameters of a search. */
export const searchQuery = (q) => (q ? { q, utc_offset: -new Date().getTimezoneOffset() } : {});
