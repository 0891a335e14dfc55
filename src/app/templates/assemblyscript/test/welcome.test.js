import assert from "node:assert/strict";
import { test } from "node:test";

import { call } from "../nexus/testing.js";

test("welcomes a user once", () => {
  const event = { id: "1", type: "user.created", data: { user_id: "u42" } };
  const first = call("build/welcome.wasm", event);
  assert.deepEqual(first.published.map(({ data }) => data), [{ user_id: "u42", text: "Welcome!" }]);
  const second = call("build/welcome.wasm", event, { keys: first.keys });
  assert.deepEqual([second.published, JSON.parse(second.output)], [[], { user_id: "u42", visits: 2 }]);
});
