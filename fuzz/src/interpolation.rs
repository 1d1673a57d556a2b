//! Variables in values: any text has one meaning or a reason, and the rules hold that users rely on.

use deploy_apps::compose::{ComposeError, LoadRequest, config};
use serde_json::{Value, json};

/// Of all results together, as the loader bounds it.
const MOST_BYTES: usize = 16 << 20;

/// The input's two texts are separated by NUL.
pub fn interpolation(data: &[u8]) {
    let mut texts = data.splitn(2, |byte| *byte == 0).map(printable);
    let (one, other) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());

    let escaped = one.replace('$', "$$");
    assert_eq!(interpolated(&escaped).expect("no variable in it"), one, "`$$` is a dollar sign");

    let [left, right] = [&one, &other].map(|text| interpolated(text));
    for result in [&left, &right] {
        match result {
            Ok(text) => assert!(text.len() <= MOST_BYTES + data.len(), "{} bytes", text.len()),
            Err(refused) => assert!(!refused.findings.is_empty(), "refused without a reason"),
        }
    }
    // No name and no default goes over a space and what stands behind it, once it has ended.
    if let (Ok(left), Ok(right)) = (left, right) {
        let both =
            interpolated(&format!("{one} {other}")).unwrap_or_else(|error| panic!("each alone is fine: {error}"));
        assert_eq!(both, format!("{left} {right}"), "the meaning of `{one}` and `{other}` depends on the neighbour");
    }
}

/// YAML itself has no place for the others.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}' | '\u{feff}'))
        .collect()
}

/// What becomes of a text that stands in a file, which is where users write it.
fn interpolated(text: &str) -> Result<String, ComposeError> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = json!({ "name": "sample", "services": { "web": { "image": "web:1" } }, "x-text": text });
    std::fs::write(folder.path().join("compose.yaml"), file.to_string()).expect("a file");
    let env = [("A", "one"), ("EMPTY", ""), ("DOLLAR", "$A"), ("LONG", &"x".repeat(1000))];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let request = LoadRequest {
        files: vec!["compose.yaml".into()],
        folder: folder.path().to_owned(),
        env,
        ..LoadRequest::default()
    };
    let model = config(&request, true)?.model;
    match &model["x-text"] {
        // What is printed can be read again, so a dollar sign is doubled in it.
        Value::String(text) => Ok(text.replace("$$", "$")),
        other => panic!("`{text}` has become {other}"),
    }
}
