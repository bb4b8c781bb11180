// Uses the client that openapi-typescript generates from the OpenAPI document: code that does not fit the document does not compile.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };

function ensure(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const client = createClient<paths>({ baseUrl: process.argv[2] });
const job: components["schemas"]["JobDocument"] = {
  id: "typescript",
  taskDefinition: "nightly-report",
  schedule: "0 30 2",
  taskCount: 2,
  overlap: "skip",
  trigger: { type: "cron", expression: "@daily" },
};

const created = await client.POST("/jobs", { body: job });
// A dry run has another answer, which tells itself by its fields.
const reference = created.data !== undefined && "link" in created.data ? created.data : undefined;
ensure(created.response.status === 201 && reference?.link.href === "/jobs/typescript", "a job is created");
const twice = await client.POST("/jobs", { body: job });
ensure(twice.error?.type === "/problems/exists" && twice.error.status === 409, "a name is taken once");
const page = await client.GET("/jobs", { params: { query: { count: 100 } } });
// So have rows, `view=row`.
const isListed = page.data?.jobs.some((found) => found.id === job.id && "taskCount" in found && found.taskCount === 2);
ensure(isListed === true, "jobs are listed");
const suspended = await client.POST("/jobs/{id}/suspend", { params: { path: { id: "typescript" } } });
ensure(suspended.data?.suspended === true, "a body may be left out");
const decisions = await client.GET("/decisions", { params: { query: { outcome: "launched", limit: 5 } } });
ensure(Array.isArray(decisions.data?.decisions), "decisions are listed");
const missing = await client.GET("/jobs/{id}", { params: { path: { id: "none" } } });
ensure(missing.error?.status === 404, "a missing job is a problem document");
const removed = await client.DELETE("/jobs/{id}", { params: { path: { id: "typescript" } } });
ensure(removed.data?.id === "typescript", "a job is removed");
console.log("the client in TypeScript works");
