// SPDX-License-Identifier: Apache-2.0
// The status pages: reads the public API and shows it. Text goes in as text, never as HTML.
"use strict";

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

function cell(text, className) {
  const td = document.createElement("td");
  td.textContent = text;
  if (className) td.className = className;
  return td;
}

function row(...cells) {
  const tr = document.createElement("tr");
  tr.append(...cells);
  return tr;
}

// Fetches JSON again and again; `show` returns false to stop.
async function follow(url, pauseMs, show) {
  for (;;) {
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      const body = await response.json();
      if (!response.ok) {
        $("note").textContent = body.detail || response.statusText;
        if (response.status === 404) return;
      } else {
        $("note").textContent = "updated " + new Date().toLocaleTimeString() + ".";
        if (!show(body)) return;
      }
    } catch (error) {
      $("note").textContent = "the gateway does not answer; trying again.";
    }
    await sleep(pauseMs);
  }
}

function showQueues(queues) {
  $("queues").replaceChildren(...queues.map((queue) => row(
    cell(queue.name),
    cell(queue.ready, "number"),
    cell(queue.unacked, "number"),
    cell(queue.consumers, queue.ready > 0 && queue.consumers === 0 ? "number bad" : "number"),
    cell(queue.dead, queue.dead > 0 ? "number bad" : "number"))));
  return true;
}

function showFacts(pairs) {
  $("facts").replaceChildren(...pairs
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => row(cell(name), cell(value))));
}

function setState(word) {
  $("state").textContent = word;
  $("state").className = "state " + word;
  document.title = word + " - Cress";
}

function showOutput(title, value) {
  const some = value !== null && value !== undefined;
  $("output-title").hidden = $("output").hidden = !some;
  if (some) {
    $("output-title").textContent = title;
    $("output").textContent = JSON.stringify(value, null, 2);
  }
}

function showJob(job) {
  setState(job.state);
  $("summary").textContent =
    job.attempt > 0 ? "attempt " + job.attempt + " of " + job.max_attempts : "";
  $("bar").hidden = job.done;
  showFacts(["task", "queue", "priority", "worker", "batch_id", "created_at", "run_at",
    "started_at", "finished_at"].map((name) => [name, job[name]]));
  showOutput(job.error ? "error" : "result", job.error || job.result);
  return !job.done;
}

function showBatch(batch) {
  const ended = batch.succeeded + batch.failed + batch.cancelled + batch.expired;
  setState(batch.done ? (batch.failed ? "failed" : "succeeded") : "running");
  $("summary").textContent =
    ended + " of " + batch.total + (batch.closed ? "" : " so far") + " jobs have ended";
  $("bar").hidden = false;
  $("bar").max = Math.max(batch.total, 1);
  $("bar").value = ended;
  showFacts(["succeeded", "failed", "cancelled", "expired", "created_at", "completion_id"]
    .map((name) => [name, batch[name]]));
  return !batch.completed && !(batch.done && !batch.completion_id);
}

function startProgress() {
  const [kind, id] = location.pathname.slice(1).split("/");
  const url = "/v1/" + kind + "/" + id;
  $("title").textContent = (kind === "jobs" ? "job " : "batch ") + decodeURIComponent(id);
  $("json").href = url;
  if (kind === "jobs") follow(url, 1000, showJob);
  else follow(url, 1000, showBatch);
}

function startQueues() {
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const id = new FormData(event.target).get("id").trim();
    if (id) location.href = "/jobs/" + encodeURIComponent(id);
  });
  follow("/v1/queues", 2000, showQueues);
}

if (document.body.dataset.page === "queues") startQueues();
else startProgress();
