// Node's soap: the WSDL's address as argument; on each line the fields, and back the answer.
'use strict';

const readline = require('node:readline');
const soap = require('soap');

async function main() {
  const client = await soap.createClientAsync(process.argv[2]);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [result] = await client.sendMesExtAsync(JSON.parse(line));
    console.log(JSON.stringify({ answer: result.sendMesExtResult }));
  }
}

main();
