//! Welcomes a new user; runs for every event of type user.created.
//!
//! What is stored and published takes effect when the handler gives Ok: all of it, exactly once. An error, or a
//! panic, drops it, and the event is tried again.
use nexus::{info, kv, object, publish, Event, Json, Outcome};

fn welcome(event: Event) -> Outcome<Json> {
    let user = event.data["user_id"].as_str().ok_or("The event has no user_id")?;
    info!("Processing user event", user_id = user);

    // How often this user was seen: the keys are this function's own, and last.
    let key = format!("visits.{}", user);
    let visits = kv::get_json(&key)?.as_i64().unwrap_or(0) + 1;
    kv::set_json(&key, visits)?;

    if visits == 1 {
        publish("user.welcomed", &object! { user_id: user, text: "Welcome!" })?;
    }
    Ok(object! { user_id: user, visits: visits })
}

fn main() {
    nexus::run(welcome);
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus::testing;

    #[test]
    fn welcomes_a_user_once() {
        let event = Event::parse(br#"{"id":"1","type":"user.created","data":{"user_id":"u42"}}"#).unwrap();
        welcome(event.clone()).unwrap();
        assert_eq!(welcome(event).unwrap()["visits"].as_i64(), Some(2));
        assert_eq!(testing::with(|world| world.published.len()), 1);
    }
}
