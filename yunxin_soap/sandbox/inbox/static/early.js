// Before the first paint: the theme and the language that the reader has chosen, and the list.
'use strict';
{
  const stored = (name) => { try { return localStorage.getItem(`yunxin-${name}`); } catch { return null; } };
  const root = document.documentElement;
  const theme = stored('theme');
  if (theme) root.dataset.theme = theme;
  const first = (navigator.languages?.[0] ?? navigator.language).toLowerCase();
  root.lang = stored('language') ?? (first.startsWith('zh') ? 'zh-CN' : 'en');
  // Ask for the list while the modules load; api.js takes the answer if it asks for the same.
  const q = new URLSearchParams(location.search).get('q');
  const query = { ...(q && { q, utc_offset: -new Date().getTimezoneOffset() }), limit: 50 };
  const address = `api/v1/arrivals/ids?${new URLSearchParams(query)}`;
  const answer = fetch(address, { headers: { 'Accept-Language': root.lang } });
  answer.catch(() => {}); // whoever takes it handles the error
  window.early = { [address]: answer };
}
