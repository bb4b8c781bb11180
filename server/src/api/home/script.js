"use strict";

const PAGE = 25;
const SHOWN = 60;
const TONES = {
  launched: "good", satisfied: "good", pending: "busy", partial: "warn", capped: "warn",
  missed: "warn", suspended: "warn", source_error: "bad", live_unknown: "bad", launch_failed: "bad",
  unknown: "bad",
};
const ATTENTION = new Set(["partial", "missed", "source_error", "live_unknown", "launch_failed", "unknown"]);

const CONCLUDED = {
  launched: "launched", finished: "launched", refused: "launch_failed", expired: "launch_failed", unknown: "unknown",
  cancelled: "suspended",
};

const byId = (id) => document.getElementById(id);
const state = { skip: 0, jobs: [], decisions: [], firings: [], outcomes: new Map() };

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function cell(row, content, className) {
  const made = row.insertCell();
  if (className) made.className = className;
  made.append(content);
  return made;
}

function distance(moment) {
  const seconds = Math.round((Date.parse(moment) - Date.now()) / 1000);
  const ahead = Math.abs(seconds);
  if (ahead < 1) return "now";
  const [size, unit] = ahead < 90 ? [1, "s"] : ahead < 5400 ? [60, "min"] : ahead < 172800 ? [3600, "h"] : [86400, "d"];
  const number = `${Math.round(ahead / size)} ${unit}`;
  return seconds > 0 ? `in ${number}` : `${number} ago`;
}

function time(moment) {
  const made = element("time", distance(moment));
  made.dateTime = moment;
  made.title = moment;
  return made;
}

function status(text, tone) {
  return element("span", text.replaceAll("_", " "), `status ${tone || ""}`);
}

async function fetchJson(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (response.status === 401) throw new Error("This server needs an access token: use the command line");
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

function isSuspended(job) {
  const until = job.suspension?.until;
  return job.suspended && !(until && Date.parse(until) <= Date.now());
}

function jobStatus(job) {
  if (job.invalid) return status("not valid", "bad");
  if (isSuspended(job)) return status("suspended", "warn");
  if (job.failing) {
    const { outcome, reason, since, ticks } = job.failing;
    const made = status(outcome, TONES[outcome]);
    made.title = `${reason} (${ticks} ticks since ${since})`;
    return made;
  }
  if (job.breakerState?.state === "open") {
    const { failures, since, reason } = job.breakerState;
    const made = status("breaker open", "bad");
    made.title = `${reason} (${failures} start failures in a row, open since ${since})`;
    return made;
  }
  if (job.failingTasks) {
    const { firings, since, diagnosis } = job.failingTasks;
    const made = status("tasks fail", "bad");
    made.title = `${diagnosis.text}: ${diagnosis.remedy} (${firings} firings in a row since ${since})`;
    return made;
  }
  if (job.retrying) {
    const made = status("retrying", "warn");
    made.title = job.retrying.reason;
    return made;
  }
  if (job.state === "late") return status("late", "warn");
  const last = state.outcomes.get(job.id);
  return last ? status(last, TONES[last]) : status("waiting");
}

function showJobs() {
  const rows = state.jobs.map((job) => {
    const row = document.createElement("tr");
    const name = element("td");
    const link = element("a", job.id);
    link.href = `/jobs/${encodeURIComponent(job.id)}`;
    const bold = element("b");
    bold.append(link);
    name.append(bold, element("span", job.description || job.taskDefinition || "", "small"));
    row.append(name);
    const schedule = element("td");
    for (const text of [job.schedule ?? []].flat()) schedule.append(element("code", text), " ");
    schedule.append(element("div", [job.timezone || "UTC", job.trigger?.type].filter(Boolean).join(" · "), "small"));
    row.append(schedule);
    const shown = cell(row, jobStatus(job));
    if (job.retrying) {
      const tried = element("div", `tried ${job.retrying.tries} times, next try `, "small");
      tried.append(time(job.retrying.nextTry));
      shown.append(tried);
    }
    cell(row, job.lastRun ? time(job.lastRun) : "never", "right");
    cell(row, job.estimatedNextRun ? time(job.estimatedNextRun) : "–", "right");
    return row;
  });
  byId("jobs").replaceChildren(...(rows.length ? rows : [empty(5, "No jobs yet: POST one to /jobs.")]));
  const next = state.jobs.map((job) => job.estimatedNextRun && [job.estimatedNextRun, job.id]).filter(Boolean)
    .sort((one, other) => Date.parse(one[0]) - Date.parse(other[0]))[0];
  byId("next-tick").textContent = next ? distance(next[0]) : "–";
  byId("next-small").textContent = next ? next[1] : "nothing is due";
  showAttention();
}

function empty(columns, text) {
  const row = document.createElement("tr");
  cell(row, text, "empty").colSpan = columns;
  return row;
}

function showDecisions() {
  // A run of equal ticks keeps its place in the list and changes its moment.
  const newest = [...state.decisions].sort((one, other) => Date.parse(other.observed) - Date.parse(one.observed));
  const rows = newest.slice(0, SHOWN).map((decision) => {
    const row = document.createElement("tr");
    cell(row, time(decision.observed), "when");
    cell(row, element("b", decision.job));
    const shown = cell(row, status(decision.outcome, TONES[decision.outcome]));
    if (decision.ticks > 1) shown.append(element("div", `${decision.ticks} ticks`, "small"));
    const why = cell(row, decision.explanation);
    if (decision.note) why.append(element("div", decision.note, "small"));
    return row;
  });
  byId("decisions").replaceChildren(...(rows.length ? rows : [empty(4, "No tick has come yet.")]));
  const marks = state.decisions.slice(0, 140).reverse().map((decision) => {
    const mark = element("span", undefined, TONES[decision.outcome]);
    mark.title = `${decision.job}: ${decision.outcome}, ${decision.observed}`;
    return mark;
  });
  byId("strip").replaceChildren(...marks);
  showAttention();
}

// The row of a job that fails for long is not among the newest decisions.
function showAttention() {
  const wrong = state.decisions.filter((decision) => ATTENTION.has(decision.outcome));
  const known = new Set(wrong.map((decision) => decision.job));
  const failing = state.jobs.filter((job) => (job.failing || job.failingTasks || job.breakerState?.state === "open") && !known.has(job.id)).length;
  byId("attention").textContent = String(wrong.length + failing);
  const jobs = failing ? `, and ${failing} jobs that fail for longer` : "";
  byId("attention-small").textContent = `of ${state.decisions.length} decisions shown${jobs}`;
}

function showFirings() {
  byId("started").textContent = String(state.firings.reduce((sum, firing) => sum + firing.started, 0));
  byId("started-small").textContent = `in the last ${state.firings.length} firings`;
}

// A decision that launches is pending until its firing says what came of it.
function conclude(firing) {
  const decision = state.decisions.find((known) => known.id === firing.decision);
  let outcome = CONCLUDED[firing.state];
  if (!decision || !outcome || decision.outcome !== "pending") return;
  if (firing.started > 0 && firing.started < firing.requested) outcome = "partial";
  if (firing.attempts?.some((attempt) => attempt.answer?.lost)) outcome = "unknown";
  decision.outcome = outcome;
  if (firing.note) decision.note = firing.note;
  if (state.decisions.find((known) => known.job === firing.job) === decision) state.outcomes.set(firing.job, outcome);
  showDecisions();
  showJobs();
}

function showBrake(brake) {
  const notice = byId("brake");
  notice.hidden = !brake.on;
  notice.textContent = brake.on ? `All launches are stopped: ${brake.reason ?? ""}` : "";
}

function put(list, entry) {
  const at = list.findIndex((other) => other.id === entry.id);
  if (at >= 0) list.splice(at, 1);
  list.unshift(entry);
  list.length = Math.min(list.length, 200);
}

async function loadJobs() {
  const page = await fetchJson(`/jobs?count=${PAGE}&skip=${state.skip}`);
  state.jobs = page.jobs;
  byId("prev").disabled = !page.prev;
  byId("next").disabled = !page.next;
  const last = state.skip + page.jobs.length;
  byId("jobs-shown").textContent = page.jobs.length ? `${state.skip + 1} to ${last}` : "";
  byId("jobs-total").textContent = page.next ? `${last}+` : String(last);
  byId("jobs-small").textContent = `${page.jobs.filter(isSuspended).length} suspended on this page`;
  showJobs();
}

async function loadAll() {
  const [decisions, firings, brake] = await Promise.all([
    fetchJson("/decisions?limit=200"), fetchJson("/firings?limit=200"), fetchJson("/brake"),
  ]);
  state.decisions = decisions.decisions;
  state.firings = firings.firings;
  state.outcomes = new Map([...state.decisions].reverse().map((decision) => [decision.job, decision.outcome]));
  await loadJobs();
  showDecisions();
  showFirings();
  showBrake(brake);
}

let waiting;
function soon(load) {
  clearTimeout(waiting);
  waiting = setTimeout(() => load().catch(offline), 400);
}

function live(text, on) {
  byId("live").textContent = text;
  byId("live").dataset.state = on ? "on" : "off";
}

function offline(error) {
  live(error instanceof Error && error.message.includes("access token") ? error.message : "Not connected", false);
}

function listen() {
  const events = new EventSource("/events");
  const on = (name, act) => events.addEventListener(name, (event) => act(JSON.parse(event.data)));
  events.onopen = () => live("Live", true);
  events.onerror = () => byId("live").dataset.state === "on" && offline();
  on("decision", (decision) => {
    put(state.decisions, decision);
    state.outcomes.set(decision.job, decision.outcome);
    showDecisions();
    soon(loadJobs);
  });
  on("firing", (firing) => {
    put(state.firings, firing);
    showFirings();
    conclude(firing);
    if (firing.outcome) soon(loadJobs);
  });
  on("job", () => soon(loadJobs));
  on("brake", showBrake);
  on("refetch", () => soon(loadAll));
}

byId("prev").addEventListener("click", () => { state.skip = Math.max(0, state.skip - PAGE); soon(loadJobs); });
byId("next").addEventListener("click", () => { state.skip += PAGE; soon(loadJobs); });
setInterval(() => {
  for (const shown of document.querySelectorAll("time")) shown.textContent = distance(shown.dateTime);
  const isOver = (moment) => Date.parse(moment) < Date.now();
  if (state.jobs.some((job) => isOver(job.estimatedNextRun) || isOver(job.retrying?.nextTry))) soon(loadJobs);
}, 1000);
loadAll().catch(offline);
listen();
