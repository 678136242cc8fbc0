// Before the first paint: the theme and the language that the reader has chosen.
'use strict';
{
  const stored = (name) => { try { return localStorage.getItem(`yunxin-${name}`); } catch { return null; } };
  const theme = stored('theme');
  if (theme) document.documentElement.dataset.theme = theme;
  const first = (navigator.languages?.[0] ?? navigator.language).toLowerCase();
  document.documentElement.lang = stored('language') ?? (first.startsWith('zh') ? 'zh-CN' : 'en');
}
