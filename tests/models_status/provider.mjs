// A provider on loopback, by TLS: node provider.mjs CERT KEY RECORD. Prints its port. Each request becomes a
// line of RECORD before it is answered; the first part of the path says how.
import { createServer } from "node:https";
import { appendFileSync, readFileSync } from "node:fs";

const [cert, key, record] = process.argv.slice(2);
const answers = { ok: 200, refuse: 401, forbid: 403, pay: 402, many: 429, odd: 500 };
const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  const { method, url, headers } = request;
  appendFileSync(record, `${JSON.stringify({ method, url, headers })}\n`);
  const how = url.split("/")[1];
  if (how === "slow") return;
  if (how === "away") {
    response.writeHead(302, { location: "/ok/models" });
  } else {
    response.writeHead(answers[how] ?? 404, { "content-type": "application/json" });
  }
  response.end(JSON.stringify({ data: [{ id: "m1" }] }));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
