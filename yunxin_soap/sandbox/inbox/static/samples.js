// How to send a message to this sandbox: curl, Python and PHP, with this page's own address and an
// account that the sandbox has.
import { endpoint } from './api.js';
import { $$, copyButton, h } from './dom.js';
import { t } from './texts.js';

const MESSAGE = '您的验证码是1234，请勿告诉他人。【签名】';

// The names of users and channels may have any character.
const inForm = (text) => encodeURIComponent(text).replaceAll("'", '%27');
const inPhp = (text) => `'${text.replace(/[\\']/g, '\\$&')}'`;
const inPython = JSON.stringify;

const SAMPLES = {
  curl: ({ url, user, password, channel }) => `curl '${url}/sendMesExt' \\
  -d 'userCode=${inForm(user)}' -d 'userPass=${inForm(password)}' \\
  -d DesNo=13900000000 -d 'Channel=${inForm(channel)}' -d ExeNo= \\
  --data-urlencode 'Msg=${MESSAGE}'`,
  Python: ({ url, user, password, channel }) => `from yunxin_soap import Client

with Client(${inPython(user)}, ${inPython(password)}, channel=${inPython(channel)},
            endpoint="${url}") as client:
    receipt = client.send("13900000000", "${MESSAGE}")
    print(receipt.batch_no)`,
  PHP: ({ url, user, password, channel }) => `<?php
$client = new SoapClient('${url}?WSDL');
$answer = $client->sendMesExt([
    'userCode' => ${inPhp(user)}, 'userPass' => ${inPhp(password)},
    'DesNo' => '13900000000', 'Channel' => ${inPhp(channel)}, 'ExeNo' => '',
    'Msg' => '${MESSAGE}',
]);
echo $answer->sendMesExtResult, "\\n";`,
};
let account; // undefined until the sandbox has told it

/** Set the account of the samples: what the API's configuration has; null if no account can send. */
export function setAccount(sampleAccount) {
  account = sampleAccount;
  for (const each of $$('.samples')) each.replaceWith(createSamples());
}

/** Make the samples, each with a button to copy it. */
export function createSamples() {
  const samples = h('div', { class: 'samples' });
  if (account === null) samples.append(h('p', {}, t('samples.no-account')));
  if (!account) return samples;
  const { user_code: user, user_pass: known, channel } = account;
  if (known === null) samples.append(h('p', { class: 'faint' }, t('curl.note')));
  for (const [name, write] of Object.entries(SAMPLES)) {
    const text = write({ url: endpoint(), user, password: known ?? 'PASSWORD', channel });
    samples.append(h('section', {},
      h('h3', {}, name, ' ', copyButton('copy', text, t('copy'))),
      h('pre', { class: `sample ${name.toLowerCase()}`, tabindex: '0', 'aria-label': name }, text)));
  }
  return samples;
}
