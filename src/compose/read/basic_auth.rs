//! `basic_auth` of an app: its users, from a file or a secret in htpasswd form.

use super::secrets::Declared;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Span, clip};
use crate::compose::text::scalar::boolean;
use crate::model::{AuthUser, BasicAuth};

/// As nginx/lua/state/schema.lua has them.
const MOST_USERS: usize = 256;
const LONGEST_NAME: usize = 128;
const LONGEST_REALM: usize = 128;
/// A higher cost takes the proxy more than a third of a second for each guess.
const COSTS: std::ops::RangeInclusive<u32> = 4..=12;
const BCRYPT_LENGTH: usize = 60;

/// `None` when it has a problem, which has been told.
pub(super) fn read(cx: &mut Context<'_>, service: &str, entry: &Entry, files: &Declared) -> Option<BasicAuth> {
    let map = cx.keep(collections::map(entry))?;
    let (mut realm, mut forward, mut users) = (service.to_owned(), false, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "realm" => cx.set(&mut realm, realm_of(field)),
            "forward" => cx.set(&mut forward, boolean("forward", &field.value)),
            "users" => users = Some(field),
            _ => refuse::BASIC_AUTH.judge(cx, field),
        }
    }
    let Some(field) = users else {
        let problem = Problem::at(entry.key_span, "`basic_auth` needs `users`");
        cx.refuse(problem.hint("write such as `basic_auth: { users: ./htpasswd }`, or the name of a secret"));
        return None;
    };
    let name = cx.keep(field.text())?;
    let span = field.value.span;
    let value = files.value(cx, &name, span);
    let content = cx.keep(value)??;
    let text = content.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let users = match text {
        Some(text) => parse(text, &name, span),
        None => Err(Problem::at(span, format!("`{}` is not text", clip(&name)))),
    };
    Some(BasicAuth::new(realm, forward, cx.keep(users)?))
}

fn realm_of(field: &Entry) -> Read<String> {
    let realm = field.text()?;
    let is_plain = realm.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\');
    if is_plain && (1..=LONGEST_REALM).contains(&realm.len()) {
        return Ok(realm);
    }
    Err(field.expected("a line of at most 128 ASCII characters without `\"` and `\\`"))
}

/// Where it is wrong, its line is named, and never what stands there.
fn parse(text: &str, file: &str, span: Span) -> Read<Vec<AuthUser>> {
    let mut users: Vec<AuthUser> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("line {} of `{}`", number + 1, clip(file));
        let Some((name, hash)) = line.split_once(':') else {
            return Err(Problem::at(span, format!("{place} is not `NAME:HASH`"))
                .hint("`htpasswd -nB NAME` prints a line that is"));
        };
        let is_name = (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control);
        if !is_name {
            return Err(Problem::at(span, format!("{place} begins with what is no name of 1 to 128 bytes")));
        }
        check_hash(hash, &format!("the hash of `{}` in {place}", clip(name)), name, span)?;
        if users.iter().any(|user| user.name == name) {
            return Err(Problem::at(span, format!("{place} names `{}` once more", clip(name)))
                .hint("keep one line for each name"));
        }
        users.push(AuthUser { name: name.to_owned(), hash: hash.to_owned() });
    }
    match users.len() {
        0 => Err(Problem::at(span, format!("`{}` names no user, so nobody could come", clip(file)))
            .hint("`htpasswd -nB NAME` prints a line for it")),
        1..=MOST_USERS => Ok(users),
        count => {
            Err(Problem::at(span, format!("`{}` has {count} users, and at most {MOST_USERS} are taken", clip(file))))
        }
    }
}

/// What is too easily found out is refused by its own name.
fn check_hash(hash: &str, what: &str, name: &str, span: Span) -> Read<()> {
    let kind = match hash {
        hash if hash.starts_with("$2") => return check_bcrypt(hash, what, span),
        hash if hash.starts_with("$apr1$") => "Apache's MD5 (`$apr1$`)",
        hash if hash.starts_with("$1$") => "MD5 (`$1$`)",
        hash if hash.starts_with("{SHA}") => "SHA-1 without a salt (`{SHA}`)",
        hash if hash.starts_with("{SSHA}") => "SHA-1 (`{SSHA}`)",
        hash if hash.starts_with("$5$") => "SHA-256 crypt (`$5$`)",
        hash if hash.starts_with("$6$") => "SHA-512 crypt (`$6$`)",
        hash if hash.starts_with("$argon2") => "Argon2",
        hash if hash.starts_with("{PLAIN}") => "the password itself (`{PLAIN}`)",
        hash if hash.len() == 13 => "DES crypt, or the password itself",
        _ => "none that is known, or the password itself",
    };
    Err(Problem::at(span, format!("{what} is {kind}, and only bcrypt is taken"))
        .hint(format!("`htpasswd -nB {}` prints the line with bcrypt", clip(name))))
}

fn check_bcrypt(hash: &str, what: &str, span: Span) -> Read<()> {
    let cost = ["$2y$", "$2b$", "$2a$"].iter().find_map(|kind| hash.strip_prefix(kind));
    let cost = cost.filter(|rest| rest.as_bytes().get(2) == Some(&b'$')).and_then(|rest| rest.get(..2)?.parse().ok());
    let is_whole = hash.len() == BCRYPT_LENGTH
        && hash.bytes().skip(7).all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/');
    match cost.filter(|_| is_whole) {
        None => Err(Problem::at(span, format!("{what} is not a whole bcrypt hash"))
            .hint("it has 60 characters and begins with `$2y$`, `$2b$` or `$2a$`; in the compose file itself each `$` is written `$$`")),
        Some(cost) if !COSTS.contains(&cost) => {
            Err(Problem::at(span, format!("{what} has cost {cost}, and costs from 4 to 12 are taken"))
                .hint("`htpasswd -nB -C 10 NAME` makes one of cost 10"))
        }
        Some(_) => Ok(()),
    }
}
