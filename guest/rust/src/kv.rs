//! The function's own key-value store: this call's writes first, then what is committed.

use crate::{check, host, Error, Json};

/// The value of a key, or `None` where there is none.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    let mut value = vec![0; 1024];
    loop {
        let mut len = 0;
        match host::kv_get(key, &mut value, &mut len) {
            44 => return Ok(None),
            61 => value.resize(len, 0),
            errno => {
                check(errno)?;
                value.truncate(len);
                return Ok(Some(value));
            }
        }
    }
}

/// The value of a key as JSON; `Json::Null` where there is none, or it is no JSON.
pub fn get_json(key: &str) -> Result<Json, Error> {
    let value = get(key)?.unwrap_or_default();
    Ok(std::str::from_utf8(&value).ok().and_then(|text| Json::parse(text).ok()).unwrap_or(Json::Null))
}

/// Write a key (1 to 512 bytes; the value up to 512 KiB), when the call succeeds.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    check(host::kv_set(key, value.as_ref()))
}

/// Write a key's value as JSON.
pub fn set_json(key: &str, value: impl Into<Json>) -> Result<(), Error> {
    set(key, value.into().to_string())
}

/// Delete a key, when the call succeeds. Deleting what is not there is no error.
pub fn delete(key: &str) -> Result<(), Error> {
    check(host::kv_delete(key))
}
