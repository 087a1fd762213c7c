// SPDX-License-Identifier: Apache-2.0
// BullMQ doing what tests/bench/bench.py has Cress do: a full queue of jobs that do nothing is drained
// by one process, and their results are kept. Prints one line of JSON.
//
//   node bullmq.mjs REDIS_URL JOBS CONCURRENCY
//
// It stands where `npm install bullmq` was run: see bench.py.
import { Queue, Worker } from "bullmq";

const [url, jobs, concurrency] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const { hostname, port, password, pathname } = new URL(url);
const connection = { host: hostname, port: Number(port), password, db: Number(pathname.slice(1) || 0) };
const queue = new Queue("bench", { connection });

for (let n = 0; n < jobs; n += 1000) {
  const page = Array.from({ length: Math.min(1000, jobs - n) }, (_, i) => ({ name: "noop", data: n + i }));
  await queue.addBulk(page);
}

let left = jobs;
const began = process.hrtime.bigint();
const used = process.cpuUsage();
const worker = new Worker("bench", async () => null, { connection, concurrency });
worker.on("completed", async () => {
  if (--left > 0) {
    return;
  }
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const { user, system } = process.cpuUsage(used);
  const counts = await queue.getJobCounts("completed");
  console.log(JSON.stringify({
    jobs: counts.completed, seconds, per_second: counts.completed / seconds,
    cpu_us_per_job: (user + system) / counts.completed,
  }));
  await worker.close();
  await queue.obliterate({ force: true });
  await queue.close();
});
