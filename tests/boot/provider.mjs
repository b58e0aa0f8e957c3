// A model provider inside the machine: answers "OK" in OpenAI's protocol and writes down who called.
// Usage: node provider.mjs PORT FILE
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const [port, file] = process.argv.slice(2);
const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const { method, url, headers } = request;
    // Written before the answer: who has the answer finds the record.
    appendFileSync(file, JSON.stringify({ method, url, authorization: headers.authorization }) + "\n");
    if (method !== "POST" || !url.startsWith("/v1/chat/completions")) {
      response.writeHead(404).end();
      return;
    }
    if (!JSON.parse(body).stream) {
      const message = { role: "assistant", content: "OK" };
      const choices = [{ index: 0, finish_reason: "stop", message }];
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ id: "c", object: "chat.completion", created: 1, model: "m1", usage, choices }));
      return;
    }
    const chunk = (delta, finish_reason, more) => {
      const choices = [{ index: 0, delta, finish_reason }];
      const object = "chat.completion.chunk";
      response.write(`data: ${JSON.stringify({ id: "c", object, created: 1, model: "m1", choices, ...more })}\n\n`);
    };
    response.writeHead(200, { "content-type": "text/event-stream" });
    chunk({ role: "assistant", content: "OK" }, null, {});
    chunk({}, "stop", { usage });
    response.end("data: [DONE]\n\n");
  });
}).listen(Number(port), "127.0.0.1");
