//! `basic_auth`: which lists of users are read, and what is refused without showing a hash.

use super::Case;

const BCRYPT: &str = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn case(setting: &str, file: &str) -> Case {
    let text = format!(
        "services:\n  web:\n    image: web:1\n    x-deploy-apps:\n      port: 80\n      basic_auth: {setting}\n\
         secrets: {{ people: {{ file: ./htpasswd }} }}\n"
    );
    Case::new(&text).file("htpasswd", file)
}

#[test]
fn users_come_from_a_file_or_a_secret() {
    let lines = format!("# people\nann:{BCRYPT}\r\n\nb\u{f6}b:$2b${}\n", &BCRYPT[4..]);
    for users in ["./htpasswd", "people"] {
        let project = case(&format!("{{ users: {users}, realm: Staging, forward: true }}"), &lines).project();
        let auth = project.apps[0].settings.basic_auth.clone().expect("the setting");
        let names: Vec<&str> = auth.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!((auth.realm.as_str(), auth.forward, names), ("Staging", true, vec!["ann", "b\u{f6}b"]));
        let shown = format!("{project:?}{}", serde_json::to_string(&project).expect("JSON"));
        assert!(!shown.contains("$2y$"), "a hash is shown: {shown}");
    }
    let auth = case("{ users: htpasswd }", &lines).project().apps[0].settings.basic_auth.clone().expect("the setting");
    assert_eq!((auth.realm.as_str(), auth.forward), ("web", false));
}

#[test]
fn what_is_not_bcrypt_is_refused_by_its_name() {
    let refuses = |line: &str, message: &str, hint: &str| {
        case("{ users: ./htpasswd }", &format!("# people\n{line}\n")).refuses(&format!("6:28: {message}"), hint);
    };
    let bcrypt = "`htpasswd -nB ann` prints the line with bcrypt";
    for (hash, kind) in [
        ("$apr1$salt$hash", "Apache's MD5 (`$apr1$`)"),
        ("$1$salt$hash", "MD5 (`$1$`)"),
        ("{SHA}hash", "SHA-1 without a salt (`{SHA}`)"),
        ("{SSHA}hash", "SHA-1 (`{SSHA}`)"),
        ("$5$salt$hash", "SHA-256 crypt (`$5$`)"),
        ("$6$salt$hash", "SHA-512 crypt (`$6$`)"),
        ("hunter2", "none that is known, or the password itself"),
    ] {
        let message = format!("the hash of `ann` in line 2 of `./htpasswd` is {kind}, and only bcrypt is taken");
        refuses(&format!("ann:{hash}"), &message, bcrypt);
    }
    let whole = "the hash of `ann` in line 2 of `./htpasswd` is not a whole bcrypt hash";
    refuses(
        "ann:$2y$04$short",
        whole,
        "it has 60 characters and begins with `$2y$`, `$2b$` or `$2a$`; in the compose file itself each `$` is written `$$`",
    );
    refuses(
        &format!("ann:{}", BCRYPT.replace("$04$", "$13$")),
        "the hash of `ann` in line 2 of `./htpasswd` has cost 13, and costs from 4 to 12 are taken",
        "`htpasswd -nB -C 10 NAME` makes one of cost 10",
    );
    let line = "`htpasswd -nB NAME` prints a line that is";
    refuses("ann", "line 2 of `./htpasswd` is not `NAME:HASH`", line);
    refuses(":hash", "line 2 of `./htpasswd` begins with what is no name of 1 to 128 bytes", "");
    let twice = format!("ann:{BCRYPT}\nann:{BCRYPT}");
    refuses(&twice, "line 3 of `./htpasswd` names `ann` once more", "keep one line for each name");
    refuses("", "`./htpasswd` names no user, so nobody could come", "`htpasswd -nB NAME` prints a line for it");
}

#[test]
fn a_wrong_setting_is_refused_where_it_stands() {
    let file = format!("ann:{BCRYPT}\n");
    case("{ realm: x }", &file).refuses(
        "6:7: `basic_auth` needs `users`",
        "write such as `basic_auth: { users: ./htpasswd }`, or the name of a secret",
    );
    case("{ users: ./htpasswd, realm: 'a\"b' }", &file)
        .refuses("6:47: `realm` must be a line of at most 128 ASCII characters without `\"` and `\\`, not `a\"b`", "");
    case("{ users: ./htpasswd, relm: x }", &file)
        .refuses("6:40: unknown key `relm` in `basic_auth`", "did you mean `realm`?");
}
