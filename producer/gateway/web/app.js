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
    cell(queue.dead, queue.dead > 0 ? "number bad" : "number"),
    cell(queue.paused_at || ""))));
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

// What the state alone does not say.
function summaryOf(job) {
  const parts = [];
  if (job.attempt > 0) parts.push("attempt " + job.attempt);
  if (job.blocked) parts.push("waits for the limit " + job.blocked.limit);
  if (job.state === "waiting") {
    parts.push("waits for " + (job.after.length === 1 ? "another job" : job.after.length + " other jobs"));
  }
  if (job.state === "running" && job.cancel_requested) parts.push("asked to stop");
  if (job.state === "running" && job.progress && job.progress.message) parts.push(job.progress.message);
  return parts.join(", ");
}

// Of a percentage, when the job says one.
function showBar(job) {
  const percent = job.progress ? job.progress.percent : null;
  $("bar").hidden = job.state !== "running";
  if (percent === null) {
    $("bar").removeAttribute("value");
  } else {
    $("bar").max = 100;
    $("bar").value = percent;
  }
}

// One attempt is told by the facts already.
function showAttempts(attempts) {
  $("attempts-title").hidden = $("attempts-table").hidden = attempts.length < 2;
  $("attempts").replaceChildren(...attempts.map((attempt) => row(
    cell(attempt.attempt, "number"),
    cell(attempt.outcome || "running", attempt.outcome),
    cell(attempt.worker),
    cell(attempt.started_at),
    cell(attempt.ended_at),
    cell(attempt.error ? attempt.error.code + ": " + attempt.error.message : ""))));
}

function showJob(job) {
  setState(job.state);
  $("summary").textContent = summaryOf(job);
  showBar(job);
  showFacts([...["task", "queue", "priority", "key", "worker", "batch_id"].map((name) => [name, job[name]]),
    ["after", job.after && job.after.join(" ")],
    ...["created_at", "run_at", "started_at", "finished_at", "expires_at"].map((name) => [name, job[name]])]);
  showAttempts(job.attempts);
  showOutput(job.error ? "error" : "result", job.error || job.result);
  $("explain").hidden = job.done || job.state === "running";
  $("logs").hidden = job.attempt === 0;
  return !job.done;
}

function stateOf(batch) {
  if (!batch.closed) return "open";
  if (!batch.done) return batch.cancel_requested ? "stopping" : "running";
  if (batch.failed + batch.expired > 0) return "failed";
  return batch.cancelled > 0 ? "cancelled" : "succeeded";
}

function showBatch(batch) {
  const ended = batch.succeeded + batch.failed + batch.cancelled + batch.expired;
  setState(stateOf(batch));
  $("summary").textContent =
    ended + " of " + batch.total + (batch.closed ? "" : " so far") + " jobs have ended";
  $("bar").hidden = false;
  $("bar").max = Math.max(batch.total, 1);
  $("bar").value = ended;
  showFacts(["succeeded", "failed", "cancelled", "expired", "created_at", "completion_id"]
    .map((name) => [name, batch[name]]));
  return !batch.completed && !(batch.done && (!batch.completion_id || batch.cancel_requested));
}

function startProgress() {
  const [kind, id] = location.pathname.slice(1).split("/");
  const url = "/v1/" + kind + "/" + id;
  $("title").textContent = (kind === "jobs" ? "job " : "batch ") + decodeURIComponent(id);
  $("json").href = url;
  $("explain").href = url + "/explain";
  $("logs").href = url + "/logs";
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
