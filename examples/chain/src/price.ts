// price.ts: adds up an order; runs for every event of type order.placed.
import { Event, Json, fail, publish, run } from "../../../guest/assemblyscript/assembly/index";

function price(event: Event): string {
  const order = event.data.get("order").asString();
  const items = event.data.get("items");
  if (order == "") fail("The event has no order");
  if (items.length == 0) fail("The order " + order + " is empty");

  let total: i64 = 0;
  for (let i = 0; i < items.length; i++) {
    const quantity = items.at(i).get("quantity").asInteger(); // 0 where there is none
    const cents = items.at(i).get("cents").asInteger();
    if (quantity < 1 || quantity > 1000 || cents < 0 || cents > 100_000_000) {
      fail("Item " + i.toString() + " of the order " + order + " has no quantity, or no price");
    }
    total += quantity * cents;
  }
  const priced = Json.object().set("order", order).set("cents", total);
  publish("order.priced", priced);
  return priced.toString();
}

export function handle_event(): i32 {
  return run(price);
}
