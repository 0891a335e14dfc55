import assert from "node:assert/strict";
import { test } from "node:test";

import { newWorld } from "nexus/testing.js";
import welcome from "../src/welcome.js";

test("welcomes a user once", async () => {
  const world = newWorld();
  const event = { id: "1", type: "user.created", data: { user_id: "u42" } };
  await welcome(event);
  assert.deepEqual(await welcome(event), { user_id: "u42", visits: 2 });
  assert.deepEqual(world.published.map(({ data }) => data), [{ user_id: "u42", text: "Welcome!" }]);
});
