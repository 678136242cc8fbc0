// How an arrival ended: one badge, with one tone.
import { h } from './dom.js';
import { t } from './texts.js';

// After these faults the caller still gets the right answer, or the outcome itself says it all.
const HARMLESS = new Set(['delay', 'trickle', 'code', 'balance']);

/** Return the tone of an arrival: accepted, lost, rejected, failed or malformed. */
export const toneOf = (arrival) => (
  arrival.outcome === 'accepted' && arrival.fault && !HARMLESS.has(arrival.fault) ? 'lost' : arrival.outcome);

/** Return the words of an arrival's badge. */
export function outcomeText(arrival) {
  const tone = toneOf(arrival);
  const fault = arrival.fault;
  if (tone === 'lost') return t('outcome.lost', { fault });
  if (tone === 'failed' && fault) return t('outcome.failed.fault', { fault });
  const text = t(`outcome.${tone}`);
  if (tone === 'rejected' && arrival.code !== null) return `${text} ${arrival.code}`;
  return tone === 'accepted' && fault ? `${text} · ${fault}` : text;
}

export function badge(arrival) {
  const text = outcomeText(arrival);
  return h('span', { class: `badge ${toneOf(arrival)}`, title: text }, text);
}
