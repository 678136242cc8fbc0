// How to send a message to this sandbox: curl, Python and PHP, with this page's own address.
import { endpoint } from './api.js';
import { copyButton, h } from './dom.js';
import { t } from './texts.js';

const MESSAGE = '您的验证码是1234，请勿告诉他人。【签名】';

const SAMPLES = {
  curl: (url) => `curl '${url}/sendMesExt' \\
  -d userCode=demo -d userPass=demo \\
  -d DesNo=13900000000 -d Channel=37 -d ExeNo= \\
  --data-urlencode 'Msg=${MESSAGE}'`,
  Python: (url) => `from yunxin_soap import Client

with Client("demo", "demo", channel="37",
            endpoint="${url}") as client:
    receipt = client.send("13900000000", "${MESSAGE}")
    print(receipt.batch_no)`,
  PHP: (url) => `<?php
$client = new SoapClient('${url}?WSDL');
$answer = $client->sendMesExt([
    'userCode' => 'demo', 'userPass' => 'demo',
    'DesNo' => '13900000000', 'Channel' => '37', 'ExeNo' => '',
    'Msg' => '${MESSAGE}',
]);
echo $answer->sendMesExtResult, "\\n";`,
};

/** Make the samples, each with a button to copy it. */
export function createSamples() {
  const samples = h('div', { class: 'samples' });
  for (const [name, write] of Object.entries(SAMPLES)) {
    const text = write(endpoint());
    samples.append(h('section', {},
      h('h3', {}, name, ' ', copyButton('copy', text, t('copy'))),
      h('pre', { class: `sample ${name.toLowerCase()}`, tabindex: '0', 'aria-label': name }, text)));
  }
  return samples;
}
