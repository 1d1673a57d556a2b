//! Splits a command line into words by a shell's quoting rules.

/// The words of `line`; the error is a fragment for use after the key's name.
pub(in crate::compose) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    // `Some` for a word that was started: a quoted word may be empty.
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has no closing '".to_owned()),
                        Some('\'') => break,
                        Some(c) => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("has no closing \"".to_owned()),
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("has no closing \"".to_owned()),
                        },
                        Some(c) => word.push(c),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("ends with a backslash".to_owned()),
            },
            // As an argument, without a shell, these would not have the intended effect.
            ';' | '&' | '|' | '<' | '>' | '`' => return Err(format!("has an unquoted `{c}`")),
            '\0' => return Err("holds a NUL character".to_owned()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}
