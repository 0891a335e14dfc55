// Send events with the official JavaScript SDK of CloudEvents, and print what it reads back, as client.py says.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [url, path, packages] = process.argv.slice(2);
const { CloudEvent, HTTP } = createRequire(packages + "/")("cloudevents");

// The SDK's event. Its JSON data is a value, its text a string, everything else bytes.
function made({ attributes, data = {} }) {
    const content = data.base64 === undefined ? data.json ?? data.text : new Uint8Array(Buffer.from(data.base64, "base64"));
    return new CloudEvent(content === undefined ? attributes : { ...attributes, data: content });
}

async function ask(path, request) {
    const answer = await fetch(url + path, request);
    const body = await answer.text();
    if (!answer.ok) {
        throw new Error(`${answer.status} ${body}`);
    }
    return { headers: Object.fromEntries(answer.headers), body };
}

async function send(mode, event) {
    const message = mode === "binary" ? HTTP.binary(event) : HTTP.structured(event);
    await ask("/events", { method: "POST", headers: message.headers, body: message.body });
}

// The SDK has no way to make a batch, though it reads them: a batch is a JSON array of its structured events.
async function sendBatch(events) {
    const body = "[" + events.map((event) => HTTP.structured(event).body).join(",") + "]";
    await ask("/events", { method: "POST", headers: { "content-type": "application/cloudevents-batch+json" }, body });
}

// What the SDK makes of the server's answer, its content's kind named.
async function read({ attributes: { id } }) {
    const event = HTTP.toEvent(await ask("/events/" + encodeURIComponent(id)));
    const { data, data_base64: base64, ...attributes } = event.toJSON();
    if (base64 !== undefined) {
        return { attributes, data: { base64 } };
    }
    return { attributes, data: data === undefined ? {} : typeof data === "string" ? { text: data } : { json: data } };
}

const items = JSON.parse(readFileSync(path, "utf8"));
const batch = items.filter(({ mode }) => mode === "batch");
if (batch.length > 0) {
    await sendBatch(batch.map(made));
}
for (const item of items.filter(({ mode }) => mode !== "batch")) {
    await send(item.mode, made(item));
}
console.log(JSON.stringify(await Promise.all(items.map(read))));
