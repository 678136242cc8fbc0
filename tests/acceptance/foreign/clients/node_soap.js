// Node's soap. Argument: the WSDL's address. Reads the fields and writes the result, a JSON line each.
'use strict';

const readline = require('node:readline');
const soap = require('soap');

async function main() {
  const client = await soap.createClientAsync(process.argv[2]);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [result] = await client.sendMesExtAsync(JSON.parse(line));
    console.log(JSON.stringify({ result: result.sendMesExtResult }));
  }
}

main();
