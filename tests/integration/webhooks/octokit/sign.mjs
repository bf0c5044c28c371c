// Every published example as the provider would send it: one JSON line each, as json and as form.
// The secret comes by standard input, so that no list of processes shows it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { sign } from "@octokit/webhooks-methods";

const secret = readFileSync(0, "utf8").trim();
const events = createRequire(import.meta.url)("@octokit/webhooks-examples");

for (const { name, examples } of events) {
  for (const example of examples) {
    const body = JSON.stringify(example);
    const form = new URLSearchParams({ payload: body }).toString();
    const signatures = { json: await sign(secret, body), form: await sign(secret, form) };
    process.stdout.write(JSON.stringify({ event: name, json: body, form, signatures }) + "\n");
  }
}
