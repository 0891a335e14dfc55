//! The helper against its own world: no server, no WebAssembly.
use nexus::{kv, object, testing, Error, Event, Json};

#[test]
fn an_event_gives_its_attributes_and_data() {
    let event = Event::parse(
        br#"{"specversion":"1.0","id":"e1","source":"/s","type":"user.created","time":"2026-01-01T00:00:00Z",
            "tier":"gold","data":{"user_id":"u42","tags":["a","b"],"age":7}}"#,
    )
    .unwrap();
    assert_eq!((event.id.as_str(), event.source.as_str(), event.event_type.as_str()), ("e1", "/s", "user.created"));
    assert_eq!(event.subject, "");
    assert_eq!(event.attribute("tier").as_str(), Some("gold"));
    assert_eq!(event.data["user_id"].as_str(), Some("u42"));
    assert_eq!(event.data["tags"][1].as_str(), Some("b"));
    assert_eq!(event.data["age"].as_i64(), Some(7));
    assert_eq!(event.data["none"]["deeper"][3], Json::Null);
}

#[test]
fn an_event_that_is_no_json_says_where() {
    assert_eq!(Event::parse(b"{\"id\":}").unwrap_err(), "not JSON: no value at byte 6");
}

#[test]
fn json_comes_back_as_it_went() {
    for text in [
        "null",
        "[true,false,[],{}]",
        r#"{"a":1,"b":-2.5,"c":"q\"\\\n\u0001","d":"ä€😀"}"#,
        "9007199254740992",
    ] {
        assert_eq!(Json::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Json::parse(r#""\ud83d\ude00\/""#).unwrap(), Json::from("😀/"));
}

#[test]
fn json_refuses_what_is_wrong() {
    for text in ["", "{", "[1,]", "nul", "\"a", "1 2", "{\"a\" 1}", "\"\\x\"", "--1", "\"\\ud8\""] {
        assert!(Json::parse(text).is_err(), "{}", text);
    }
    assert!(Json::parse(&"[".repeat(1000)).is_err());
}

#[test]
fn log_lines_have_level_and_fields() {
    nexus::info!("Processing user event", user_id = "u42", visits = 3);
    nexus::error!(format!("no {}", "such thing"));
    let lines = testing::with(|world| world.lines.clone());
    assert_eq!((lines[0].level, lines[0].text.as_str()), (1, "Processing user event"));
    assert_eq!(lines[0].fields, r#"{"user_id":"u42","visits":3}"#);
    assert_eq!((lines[1].level, lines[1].text.as_str(), lines[1].fields.as_str()), (3, "no such thing", "{}"));
}

#[test]
fn events_are_published_with_their_content_type() {
    nexus::publish("user.welcomed", &object! { user_id: "u42" }).unwrap();
    nexus::publish_as("image.made", "image/png", b"\x89PNG").unwrap();
    assert_eq!(nexus::publish("", &Json::Null), Err(Error::Invalid));
    let published = testing::with(|world| world.published.clone());
    assert_eq!(published[0].data, br#"{"user_id":"u42"}"#);
    assert_eq!((published[0].content_type.as_str(), published[1].content_type.as_str()), ("application/json", "image/png"));
}

#[test]
fn keys_are_read_written_and_deleted() {
    assert_eq!(kv::get("k").unwrap(), None);
    kv::set("k", "value").unwrap();
    assert_eq!(kv::get("k").unwrap().as_deref(), Some(&b"value"[..]));
    kv::set("k", vec![7; 100_000]).unwrap();
    assert_eq!(kv::get("k").unwrap().map(|value| value.len()), Some(100_000));
    kv::set_json("n", 41).unwrap();
    assert_eq!(kv::get_json("n").unwrap().as_i64(), Some(41));
    kv::delete("k").unwrap();
    assert_eq!(kv::get("k").unwrap(), None);
    assert_eq!(kv::set("", "x"), Err(Error::Invalid));
}

#[test]
fn an_answer_has_a_status_and_headers() {
    nexus::respond(201, &[("Location", "/1"), ("X-A", "b")]).unwrap();
    assert_eq!(testing::with(|world| world.response.clone()), Some((201, "Location: /1\nX-A: b\n".to_string())));
    assert_eq!(nexus::respond(99, &[]), Err(Error::Invalid));
    assert_eq!(nexus::respond(200, &[("X", "a\nb")]), Err(Error::Invalid));
}

#[test]
fn clock_and_random_are_the_worlds() {
    testing::with(|world| world.now = 1_700_000_000_000_000_000);
    assert_eq!(nexus::now(), 1_700_000_000_000_000_000);
    let (mut first, mut second) = ([0u8; 16], [0u8; 16]);
    nexus::random(&mut first).unwrap();
    nexus::random(&mut second).unwrap();
    assert_ne!(first, second);
    testing::reset();
    let mut again = [0u8; 16];
    nexus::random(&mut again).unwrap();
    assert_eq!(first, again);
}
