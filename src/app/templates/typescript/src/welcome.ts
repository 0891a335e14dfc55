// welcome.ts: welcomes a new user; runs for every event of type user.created.
//
// What is stored and published takes effect when the handler returns: all of it, exactly once. An exception, or a rejected
// promise, drops it, and the event is tried again. Code outside of the handler ran once, when this was built.
import { type Event, kv, log, publish } from "nexus";

export default function welcome(event: Event<{ user_id?: string }>) {
  const user = event.data?.user_id;
  if (!user) {
    throw new Error("The event has no user_id");
  }
  log.info("Processing user event", { user_id: user });

  // How often this user was seen: the keys are this function's own, and last.
  const key = `visits.${user}`;
  const visits = (kv.getJSON<number>(key) ?? 0) + 1;
  kv.setJSON(key, visits);

  if (visits === 1) {
    publish("user.welcomed", { user_id: user, text: "Welcome!" });
  }
  return { user_id: user, visits };
}
