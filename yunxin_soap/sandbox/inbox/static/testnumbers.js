// The sandbox's test numbers, and what each of them does.
import { $, h } from './dom.js';
import { isChinese, t } from './texts.js';

let ranges = [];

/** Set the ranges that the sandbox's configuration has. */
export function set(testNumbers) {
  ranges = testNumbers;
}

/** Return whether a number is one of the sandbox's test numbers. */
export const isTestNumber = (number) => ranges.some(
  ({ first, last }) => number.length === first.length && first <= number && number <= last);

/** Write them into the help. */
export function writeHelp() {
  const rows = ranges.flatMap((range) => [
    h('dt', {}, h('code', {}, range.first), ...(range.last === range.first ? [] : ['…', h('code', {}, range.last.slice(-2))])),
    h('dd', {}, isChinese() ? range.description_zh : range.description_en),
  ]);
  $('#test-numbers').replaceChildren(...(rows.length ? rows : [h('dd', {}, t('help.test-numbers.off'))]));
}
