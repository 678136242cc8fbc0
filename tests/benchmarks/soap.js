// Node's soap. Reads the job as JSON, then lines of "count concurrency"; writes "wall cpu" for each.
'use strict';

const readline = require('node:readline');
const soap = require('soap');

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const job = JSON.parse((await lines.next()).value);
  const client = await soap.createClientAsync(job.wsdl, { endpoint: job.url });
  const send = () => client.sendMesExtAsync(job.fields, { forever: true });
  console.log((await send())[0].sendMesExtResult);

  const sendMany = async (count) => {
    for (let i = 0; i < count; i++) await send();
  };
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const [count, concurrency] = line.value.split(' ').map(Number);
    const wall = process.hrtime.bigint();
    const cpu = process.cpuUsage();
    await Promise.all(Array.from({ length: concurrency }, () => sendMany(Math.floor(count / concurrency))));
    const { user, system } = process.cpuUsage(cpu);
    console.log(Number(process.hrtime.bigint() - wall) / 1e9, (user + system) / 1e6);
  }
}

main();
