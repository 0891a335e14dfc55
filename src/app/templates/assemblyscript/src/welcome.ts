// welcome.ts: welcomes a new user; runs for every event of type user.created.
//
// What is stored and published takes effect when the handler returns: all of it, exactly once. fail(), or an exception,
// drops it, and the event is tried again.
import { Event, Json, fail, kv, log, publish, run } from "../nexus/assembly/index";

function welcome(event: Event): string {
  const user = event.data.get("user_id").asString();
  if (user == "") fail("The event has no user_id");
  log.info("Processing user event", Json.object().set("user_id", user));

  // How often this user was seen: the keys are this function's own, and last.
  const key = "visits." + user;
  const visits = kv.getJson(key).asInteger() + 1;
  kv.set(key, visits.toString());

  if (visits == 1) {
    publish("user.welcomed", Json.object().set("user_id", user).set("text", "Welcome!"));
  }
  return Json.object().set("user_id", user).set("visits", visits).toString();
}

export function handle_event(): i32 {
  return run(welcome);
}
