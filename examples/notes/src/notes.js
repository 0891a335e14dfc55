// Notes over HTTP: a request is an event, what this returns is the answer, and a note is a key. An answer of 201 means that
// the note, the event that made it and the record of this call are on disk, all of them.
import { kv, publish, random, respond } from "nexus";

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// Told to the client, and no failure of ours: what was asked had no effect, and trying it again would change nothing.
function refused(error) {
  if (!(error instanceof Refusal)) {
    throw error; // 502, and a dead letter to look at
  }
  respond(error.status, { "Content-Type": "application/problem+json" });
  return { title: error.message, status: error.status };
}

function textOf(request) {
  const text = request.body?.text;
  if (typeof text !== "string" || text === "") {
    throw new Refusal(422, "a note needs a text: {\"text\": \"…\"}");
  }
  return text;
}

function keyOf(request) {
  const key = `note.${request.params.id}`;
  if (kv.getJSON(key) === undefined) {
    throw new Refusal(404, "there is no such note");
  }
  return key;
}

const methods = {
  POST(request) {
    const id = [...random(8)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const note = { id, text: textOf(request) };
    kv.setJSON(`note.${id}`, note);
    publish("note.made", { id });
    respond(201, { Location: `/notes/${id}` });
    return note;
  },
  GET: (request) => kv.getJSON(keyOf(request)),
  PUT(request) {
    const note = { id: request.params.id, text: textOf(request) };
    kv.setJSON(keyOf(request), note);
    return note;
  },
  DELETE(request) {
    kv.delete(keyOf(request));
    respond(204);
  },
};
methods.HEAD = methods.GET;

export default function (event) {
  try {
    return methods[event.data.method](event.data);
  } catch (error) {
    return refused(error);
  }
}
