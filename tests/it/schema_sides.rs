//! Both sides know the same fields of a record: Rust's, and the table of the proxy's Lua.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::full_record::full_record;

/// The names in the Lua table that begins with this line, up to the line that ends it.
fn table(schema: &str, first_line: &str) -> BTreeSet<String> {
    let lines = schema.lines().skip_while(|line| *line != first_line).skip(1).take_while(|line| *line != "}");
    lines.filter_map(|line| line.trim().strip_prefix("{ \"")?.split('"').next()).map(str::to_owned).collect()
}

fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn a_record_has_the_same_fields_here_and_in_the_proxy() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/lua/state/schema.lua");
    let schema = std::fs::read_to_string(schema).expect("the schema");
    let record = serde_json::to_value(full_record()).expect("JSON");
    assert_eq!(names(&record), table(&schema, "_M.RECORD = object {"));
    assert_eq!(names(&record["routes"][0]), table(&schema, "local ROUTE = object {"));
    assert_eq!(names(&record["redirects"][0]), table(&schema, "local REDIRECT = object {"));
    assert_eq!(names(&record["response_headers"]), table(&schema, "local RESPONSE_HEADERS = object {"));
    assert_eq!(names(&record["response_headers"]["set"][0]), table(&schema, "local HEADER = object {"));
    assert_eq!(names(&record["access"]), table(&schema, "local ACCESS = object {"));
    assert_eq!(names(&record["rate_limit"]), table(&schema, "local RATE_LIMIT = object {"));
    assert_eq!(names(&record["timeouts"]), table(&schema, "local TIMEOUTS = object {"));
    assert_eq!(names(&record["peers"][0]), table(&schema, "local PEER = object {"));
    // The users go to the proxy alone (src/proxy/wire.rs).
    let mut auth = names(&record["basic_auth"]);
    assert!(auth.insert("users".to_owned()));
    assert_eq!(auth, table(&schema, "local BASIC_AUTH = object {"));
    let user = &full_record().settings.basic_auth.expect("the setting").users[0];
    assert_eq!(names(&serde_json::to_value(user).expect("JSON")), table(&schema, "local AUTH_USER = object {"));
    assert_eq!(names(&record["error_pages"][0]), table(&schema, "local ERROR_PAGE = object {"));
    assert_eq!(names(&record["maintenance"]), table(&schema, "local MAINTENANCE = object {"));
    assert_eq!(names(&record["maintenance"]["page"]), table(&schema, "local PAGE = object {"));
    assert_eq!(names(&record["pause"]), table(&schema, "local PAUSE = object {"));
    assert_eq!(names(&record["canary"]), table(&schema, "local CANARY = object {"));
    assert_eq!(names(&record["canary"]["match"]), table(&schema, "local MATCH = object {"));
    assert_eq!(names(&record["scale"]), table(&schema, "local SCALE = object {"));
}
