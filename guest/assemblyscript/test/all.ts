// What helper.test.js calls: each case of `data.case` uses one part of the helper.
import { Event, Json, env, fail, kv, log, now, publish, publishAs, random, respond, run } from "../assembly/index";


function all(event: Event): string {
  const which = event.data.get("case").asString();
  const value = event.data.get("value");
  if (which == "attributes") {
    return Json.array().add(event.id).add(event.source).add(event.type).add(event.subject).add(event.time)
      .add(event.attribute("tier")).add(event.attribute("none")).add(event.data.get("a").at(3).get("b")).toString();
  } else if (which == "json") {
    return Json.parse(value.asString()).toString();
  } else if (which == "log") {
    log.debug("d");
    log.info("i", Json.object().set("n", 1).set("b", true).set("f", 0.5).set("t", "x\"\n"));
    log.warn("w");
    log.error("e");
  } else if (which == "publish") {
    publish("a.b", Json.object().set("x", Json.array().add(1).add("two")));
    publishAs("c.d", "text/plain", String.UTF8.encode("hé"));
  } else if (which == "keys") {
    const large = "x".repeat(5000);
    kv.set("large", large);
    kv.remove("old");
    return Json.array().add(kv.get("none") == null).add(kv.get("large")! == large).add(kv.getJson("n").asInteger() + 1)
      .add(kv.getJson("none")).toString();
  } else if (which == "bad key") {
    kv.set("", "x");
  } else if (which == "world") {
    const name = env("NAME");
    return Json.array().add(now()).add(random(4).length).add(name ? name : "none").add(env("NONE") == null).toString();
  } else if (which == "respond") {
    respond(500);
    respond(201, "Location: /1\nX-A: b");
  } else if (which == "respond badly") {
    respond(99);
  } else if (which == "fail") {
    fail("mine");
  } else if (which == "throw") {
    throw new Error("thrown");
  }
  return "";
}

export function handle_event(): i32 {
  return run(all);
}
