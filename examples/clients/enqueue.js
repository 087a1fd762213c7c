#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// enqueue.js TASK [PAYLOAD] [QUEUE]: publishes a job with amqplib and prints its id.
"use strict";
const amqp = require("amqplib");
const { randomUUID } = require("crypto");

async function main([task, payload = "null", queue = "default"]) {
  if (!task) throw new Error("usage: enqueue.js TASK [PAYLOAD] [QUEUE]");
  JSON.parse(payload); // throws what is wrong with it
  const url = process.env.CRESS_BROKER_URL || "amqp://guest:guest@localhost:5672/";
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  const job = randomUUID();
  let returned = false; // the broker confirms a message that it returns, too
  channel.on("return", () => { returned = true; });
  channel.publish("", queue, Buffer.from(payload), {
    type: task, messageId: job, persistent: true, mandatory: true, contentType: "application/json",
  });
  await channel.waitForConfirms();
  await connection.close();
  if (returned) throw new Error(`no queue named ${queue}`);
  console.log(job);
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`enqueue: ${error.message}`);
  process.exitCode = 1;
});
