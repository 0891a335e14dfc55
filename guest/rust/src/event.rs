use crate::Json;

/// The CloudEvent that the function was called for.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub event_type: String,
    /// RFC 3339, or empty.
    pub time: String,
    /// Empty where the event has none.
    pub subject: String,
    /// Its data where that is JSON or text; `Json::Null` where it is binary ([`Event::attribute`] `data_base64`).
    pub data: Json,
    whole: Json,
}

impl Event {
    /// Of the bytes on standard input, as the manifest's default `input: event` gives them.
    pub fn parse(input: &[u8]) -> Result<Event, String> {
        let text = std::str::from_utf8(input).map_err(|_| "the event is not UTF-8".to_string())?;
        let whole = Json::parse(text)?;
        let attribute = |name: &str| whole[name].as_str().unwrap_or("").to_string();
        Ok(Event {
            id: attribute("id"),
            source: attribute("source"),
            event_type: attribute("type"),
            time: attribute("time"),
            subject: attribute("subject"),
            data: whole["data"].clone(),
            whole,
        })
    }

    /// Any member of the event, such as an extension attribute; `Json::Null` where there is none.
    pub fn attribute(&self, name: &str) -> &Json {
        &self.whole[name]
    }
}
