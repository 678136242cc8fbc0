// Node's soap: the job on the first line, then "count in_flight" on each; "wall cpu" goes back.
'use strict';

const readline = require('node:readline');
const soap = require('soap');

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const job = JSON.parse((await lines.next()).value);
  const client = await soap.createClientAsync(job.wsdl, { endpoint: job.url });
  const submit = () => client.sendMesExtAsync(job.fields, { forever: true });
  console.log((await submit())[0].sendMesExtResult);

  const some = async (count) => {
    for (let i = 0; i < count; i++) await submit();
  };
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const [count, inFlight] = line.value.split(' ').map(Number);
    const wall = process.hrtime.bigint();
    const cpu = process.cpuUsage();
    await Promise.all(Array.from({ length: inFlight }, () => some(Math.floor(count / inFlight))));
    const { user, system } = process.cpuUsage(cpu);
    console.log(Number(process.hrtime.bigint() - wall) / 1e9, (user + system) / 1e6);
  }
}

main();
